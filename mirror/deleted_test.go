package mirror_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestRowOfADeletedObjectIsHiddenFromEveryReaderAndKept(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob", "cy")
		m.vanish("ann")
		deletion := m.delete("bob")

		if rows := m.rows(); len(rows) != 1 || rows[0].Name != "cy" {
			t.Errorf("All = %+v, want cy alone", rows)
		}
		for _, total := range []int64{-1, 10} {
			page, err := m.List(t.Context(), nawasync.Query{Sort: "-name", Total: total})
			if err != nil || len(page.Items) != 1 || page.Total != 1 {
				t.Errorf("List = %+v, %v, want one row", page, err)
			}
		}
		counts, err := m.engine.CountStates(t.Context(), "api", "members", "r")
		if err != nil || len(counts) != 1 || counts[nawasync.StateSynced] != 1 {
			t.Errorf("CountStates = %v, %v, want one synced row", counts, err)
		}
		for id := int64(1); id <= 2; id++ {
			row := m.all()[id-1]
			_, find := m.Find(t.Context(), id)
			_, findKey := m.FindKey(t.Context(), row)
			_, update := m.Update(t.Context(), row, func(m *member) { m.Email = "x" }, byUser)
			_, remove := m.Delete(t.Context(), row, byUser)
			_, refresh := m.Refresh(t.Context(), id, byUser)
			for what, err := range map[string]error{"Find": find, "FindKey": findKey, "Update": update, "Delete": remove, "Refresh": refresh} {
				if !errors.Is(err, nawasync.ErrNotFound) {
					t.Errorf("%s of row %d returns %v, want ErrNotFound", what, id, err)
				}
			}
		}
		var list []member
		var n int64
		enginetest.NoError(t, db.Where("realm = ? OR name = ?", "r", "ann").Find(&list).Error)
		enginetest.NoError(t, db.Model(&member{}).Count(&n).Error)
		if len(list) != 1 || n != 1 || db.First(&member{}, 1).Error == nil {
			t.Errorf("gorm finds %d rows, counts %d, and finds row 1; want the row of cy alone", len(list), n)
		}

		page, err := m.List(t.Context(), nawasync.Query{States: []nawasync.SyncState{tracker.StateDeleted}, Total: 10})
		if err != nil || len(page.Items) != 2 || page.Total != 2 {
			t.Fatalf("List of the deleted rows = %+v, %v, want two", page, err)
		}
		gone, deleted := page.Items[0], page.Items[1]
		if gone.Note == nil || gone.DeletedAt.IsZero() || gone.DeletedJobID != nil {
			t.Errorf("row = %+v, want its note, and deleted by no job", gone)
		}
		if deleted.Note == nil || deleted.DeletedJobID == nil || *deleted.DeletedJobID != deletion.ID {
			t.Errorf("row = %+v, want its note, and deleted by job %d", deleted, deletion.ID)
		}
	})
}

func TestSyncLeavesDeletedRowsAlone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob", "cy")
		m.vanish("ann")
		m.delete("bob")
		before := m.all()
		result := m.syncResult()
		if result.Unchanged != 1 || result.Missing != 0 || result.InFlight != 0 || result.Updated != 0 || result.Created != 0 || result.Confirming != 0 {
			t.Errorf("sync result = %+v, want one unchanged row and nothing else", result)
		}
		for i, row := range m.all() {
			if row.State != before[i].State || row.Identity != before[i].Identity || !row.DeletedAt.Equal(before[i].DeletedAt.Time) {
				t.Errorf("row = %+v, want %+v", row, before[i])
			}
		}
	})
}

func TestRowWhoseCreationFailedIsRemovedByItsDeletion(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		m.remote.created = func() error {
			delete(m.remote.objects, "bob")
			return fault.WithClass(fault.ClassPermanent, errors.New("the name is reserved"))
		}
		m.ends(m.drain(m.Create(t.Context(), memberNamed("bob"), byUser)), tracker.StatusFailed, "reserved")
		m.delete("bob")
		if rows := m.all(); len(rows) != 1 {
			t.Errorf("rows = %+v, want that of ann alone", rows)
		}
	})
}

func TestObjectThatReturnsGetsItsRowWithItsIDAndTheHostsColumns(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		m.vanish("ann")
		m.clock.Advance(29 * 24 * time.Hour)
		back := memberNamed("ann")
		back.Email = "new@example.com"
		m.remote.put(back, memberNamed("new"))
		plan, err := m.Plan(t.Context(), member{Realm: "r"}, "")
		if err != nil || plan.Updated != 1 || plan.Created != 1 || plan.Unchanged != 1 {
			t.Errorf("plan = %+v, %v, want one row updated, one created and one unchanged", plan, err)
		}
		result := m.syncResult()
		if result.Updated != 1 || result.Created != 1 || result.Unchanged != 1 || result.Missing != 0 || len(result.Drifted) != 0 {
			t.Errorf("sync result = %+v, want one row updated, one created and one unchanged", result)
		}
		rows := m.rows()
		if len(rows) != 3 || rows[0].ID != 1 || rows[0].Note == nil || rows[0].State != nawasync.StateSynced || rows[0].Email != "new@example.com" ||
			!rows[0].DeletedAt.IsZero() || !rows[0].MissingSince.IsZero() || rows[0].MissingRuns != 0 {
			t.Fatalf("rows = %+v, want row 1 synced, with its note and the new address", rows)
		}
		target := tracker.Target{Service: "api", Type: "members", Instance: "r", ID: "ann"}
		changes, err := m.engine.Reader().Changes(t.Context(), target, time.Time{}, time.Time{}, 10)
		if err != nil || len(changes) == 0 || changes[0].Kind != tracker.ChangeReturned || !strings.Contains(string(changes[0].Fields), "new@example.com") {
			t.Errorf("changes = %+v, %v, want that ann returned with a new address", changes, err)
		}
		if result := m.syncResult(); result.Unchanged != 3 {
			t.Errorf("the next sync = %+v, want 3 unchanged rows", result)
		}
		m.ends(m.drain(m.Update(t.Context(), rows[0], func(m *member) { m.Email = "x@example.com" }, byUser)), tracker.StatusSuccess, "")
	})
}

func TestObjectThatReturnsAfterOurOwnDeletionGetsANewRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		m.vanish("ann")
		m.ends(m.drain(m.Create(t.Context(), memberNamed("ann"), byUser)), tracker.StatusSuccess, "") // a new row
		m.delete("ann")
		m.clock.Advance(time.Hour)
		m.remote.put(memberNamed("ann"))
		if result := m.syncResult(); result.Created != 1 || result.Updated != 0 {
			t.Errorf("sync result = %+v, want a new row", result)
		}
		if rows := m.all(); len(rows) != 4 || rows[0].State != tracker.StateDeleted || rows[2].State != tracker.StateDeleted || rows[3].Note != nil {
			t.Errorf("rows = %+v, want two deleted ones of ann, and a new one without a note", rows)
		}
	})
}

func TestObjectThatReturnsAfter30DaysGetsANewRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		m.vanish("ann")
		m.clock.Advance(30 * 24 * time.Hour)
		m.remote.put(memberNamed("ann"))
		if result := m.syncResult(); result.Created != 1 || result.Updated != 0 || result.Purged != 1 {
			t.Errorf("sync result = %+v, want a new row, and the old one removed", result)
		}
	})
}

func TestListingThatIsOlderThanADeletionBringsNoRowBack(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		m.vanish("ann")
		m.remote.put(memberNamed("ann"))
		enginetest.NoError(t, db.Exec("UPDATE members SET deleted_at = ? WHERE id = 1", m.clock.Now().Add(2*time.Minute).UnixMicro()).Error)
		if result := m.syncResult(); result.InFlight != 1 || result.Created != 0 || result.Updated != 0 {
			t.Errorf("sync result = %+v, want one object left to the next sync", result)
		}
		m.clock.Advance(5 * time.Minute)
		if result := m.syncResult(); result.Updated != 1 || m.rows()[0].ID != 1 {
			t.Errorf("the next sync = %+v, want row 1 back", result)
		}
	})
}

func TestRetriedChangeOfADeletedRowEndsGoneAndLeavesTheRowDeleted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		update := m.drain(m.Update(t.Context(), m.find("ann"), func(m *member) { m.Email = "x@example.com" }, byUser))
		deletion := m.delete("ann")
		m.remote.put(memberNamed("ann")) // a new customer's
		retried := m.drain(m.engine.Retry(t.Context(), update.ID, nawasync.RetryOptions{By: "user:1", Force: true}))
		m.ends(retried, tracker.StatusFailed, "no longer exists")
		if row := m.find("ann"); row.State != tracker.StateDeleted || *row.SyncJobID != deletion.ID || m.remote.objects["ann"].Email != "ann@example.com" {
			t.Errorf("row %+v and object %+v, want the row deleted and the object unchanged", row, m.remote.objects["ann"])
		}
	})
}

func TestRetriedCreationOfADeletedRowIsRefused(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		creation := m.drain(m.Create(t.Context(), memberNamed("bob"), byUser))
		m.delete("bob")
		_, err := m.engine.Retry(t.Context(), creation.ID, nawasync.RetryOptions{By: "user:1", Force: true})
		if row := m.find("bob"); !errors.Is(err, nawasync.ErrRowGone) || row.State != tracker.StateDeleted {
			t.Errorf("Retry returns %v, and the row is %s; want ErrRowGone, and the row deleted", err, row.State)
		}
	})
}

func TestRefreshThatOverlapsADeletionLeavesTheRowDeleted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		for i, name := range []string{"ann", "none"} { // the object exists, and does not
			m.remote.find = func(map[string]member, member) string {
				enginetest.NoError(t, db.Exec("UPDATE members SET sync_status = 'deleted', deleted_at = 1 WHERE id = ?", i+1).Error)
				return name
			}
			m.drain(m.Refresh(t.Context(), int64(i+1), byUser))
			if row := m.all()[i]; row.State != tracker.StateDeleted {
				t.Errorf("row = %+v, want it deleted", row)
			}
		}
	})
}

// A customer who signs up with the name of one whose object is missing must not get that customer's row.
func TestCreationOfTheNameOfAMissingObjectIsANewRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db, ann("ann"), ann("bob"))
		m.sync(realm)
		before := m.rows()[0]
		delete(remote.objects, "ann")
		m.sync(realm)
		if row := m.rows()[0]; row.State != nawasync.StateMissing {
			t.Fatalf("row = %+v, want it missing", row)
		}
		m.ends(m.drain(m.Create(t.Context(), ann("ann"), byUser)), tracker.StatusSuccess, "")
		rows := m.rows()
		if len(rows) != 2 || rows[1].Name != "ann" || rows[1].ID == before.ID || rows[1].State != nawasync.StateSynced {
			t.Errorf("rows = %+v, want bob and a new row of ann, which had row %d", rows, before.ID)
		}
		page, err := m.List(t.Context(), nawasync.Query{States: []nawasync.SyncState{tracker.StateDeleted}})
		enginetest.NoError(t, err)
		if len(page.Items) != 1 || page.Items[0].ID != before.ID {
			t.Errorf("deleted rows = %+v, want row %d", page.Items, before.ID)
		}
	})
}

// The object was only missing from listings: its row returns.
func TestFailedCreationOfTheNameOfAMissingObjectGivesTheRowBackToTheObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db, ann("ann"), ann("bob"))
		m.sync(realm)
		before := m.rows()[0]
		hidden := remote.objects["ann"]
		delete(remote.objects, "ann")
		m.sync(realm)
		remote.put(hidden)
		other := ann("ann")
		other.Email = "other@example.com"
		m.ends(m.drain(m.Create(t.Context(), other, byUser)), tracker.StatusConflict, "already exists")
		m.sync(realm)
		rows := m.rows()
		if len(rows) != 3 || rows[0].ID != before.ID || rows[0].State != nawasync.StateSynced || rows[2].State != nawasync.StateConflict {
			t.Errorf("rows = %+v, want row %d of ann, bob and the failed creation", rows, before.ID)
		}
	})
}
