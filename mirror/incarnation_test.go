package mirror_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// tenant is an object whose name can be used again by another one, with another uid.
type tenant struct {
	ID    uint64
	Realm string `sync:"scope"`
	Name  string `sync:"key"`
	Email string
	UID   string  `gorm:"column:uid" sync:"incarnation"`
	Note  *string `sync:"ignored"`
	nawasync.SyncStatus
}

func tenantOf(name, uid string) tenant {
	return tenant{Realm: "r", Name: name, Email: name + "@example.com", UID: uid}
}

// countedTenants claims a listing whose objects the server has counted.
type countedTenants struct{ *mapRemote[tenant] }

func (r countedTenants) List(ctx context.Context, scope tenant, detail string) iter.Seq2[mirror.Page[tenant], error] {
	return func(yield func(mirror.Page[tenant], error) bool) {
		for page, err := range r.mapRemote.List(ctx, scope, detail) {
			page.Proof = mirror.Proof{Level: mirror.ProofCounted, Total: int64(len(page.Items))}
			yield(page, err)
		}
	}
}

// newTenants mirrors the tenants with a note each.
func newTenants(t *testing.T, db *testdb.Database, list ...tenant) (*mapRemote[tenant], *mirrored[tenant]) {
	t.Helper()
	remote := &mapRemote[tenant]{
		objects: map[string]tenant{},
		keyOf:   func(v tenant) string { return v.Name },
		find:    func(_ map[string]tenant, key tenant) string { return key.Name },
	}
	m := newMirrored[tenant](t, db, "tenants", "realm TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, uid TEXT, note TEXT", countedTenants{remote})
	remote.put(list...)
	m.sync(tenant{Realm: "r"})
	enginetest.NoError(t, db.Exec("UPDATE tenants SET note = 'note'").Error)
	return remote, m
}

// withDeleted returns all rows, oldest first.
func withDeleted(t *testing.T, db *testdb.Database) (list []tenant) {
	t.Helper()
	enginetest.NoError(t, db.Unscoped().Order("id").Find(&list).Error)
	return list
}

func TestNameThatIsUsedAgainIsANewRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newTenants(t, db, tenantOf("ann", "u1"), tenantOf("bob", "u2"))
		remote.put(tenantOf("ann", "u9"))
		plan, err := m.Plan(t.Context(), tenant{Realm: "r"}, "")
		if err != nil || plan.Created != 1 || plan.Updated != 0 {
			t.Errorf("plan = %+v, %v, want one row created", plan, err)
		}
		result := resultOf(t, m.sync(tenant{Realm: "r"}))
		if result.Created != 1 || result.Updated != 0 || result.Unchanged != 1 || result.Missing != 0 || result.Proof != "counted" || len(result.Drifted) != 0 {
			t.Errorf("sync result = %+v, want one row created and one unchanged", result)
		}
		rows := withDeleted(t, db)
		if len(rows) != 3 || rows[0].State != tracker.StateDeleted || rows[0].UID != "u1" || rows[0].Note == nil || rows[0].DeletedJobID != nil ||
			rows[2].State != nawasync.StateSynced || rows[2].UID != "u9" || rows[2].Note != nil {
			t.Fatalf("rows = %+v, want the old one of ann deleted, and a new one without a note", rows)
		}
		target := tracker.Target{Service: "api", Type: "tenants", Instance: "r", ID: "ann"}
		changes, err := m.engine.Reader().Changes(t.Context(), target, time.Time{}, time.Time{}, 10)
		if err != nil || len(changes) != 2 || changes[0].Kind != tracker.ChangeAppeared || changes[1].Kind != tracker.ChangeDeleted {
			t.Errorf("changes = %+v, %v, want deleted and appeared", changes, err)
		}
		// The old object is back, for example from a backup.
		m.clock.Advance(time.Hour)
		remote.put(tenantOf("ann", "u1"))
		m.sync(tenant{Realm: "r"})
		if rows := withDeleted(t, db); len(rows) != 3 || rows[0].State != nawasync.StateSynced || rows[2].State != tracker.StateDeleted {
			t.Errorf("rows = %+v, want the first one back, and the last one deleted", rows)
		}
		if result := resultOf(t, m.sync(tenant{Realm: "r"})); result.Unchanged != 2 {
			t.Errorf("the next sync = %+v, want two unchanged rows", result)
		}
	})
}

func TestDeletedRowIsNotThatOfAnotherIncarnation(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newTenants(t, db, tenantOf("ann", "u1"), tenantOf("bob", "u2"))
		delete(remote.objects, "ann")
		for range 2 {
			m.sync(tenant{Realm: "r"})
		}
		remote.put(tenantOf("ann", "u9"))
		if result := resultOf(t, m.sync(tenant{Realm: "r"})); result.Created != 1 || result.Updated != 0 {
			t.Errorf("sync result = %+v, want a new row", result)
		}
		if rows := withDeleted(t, db); len(rows) != 3 || rows[0].State != tracker.StateDeleted || rows[2].Note != nil {
			t.Errorf("rows = %+v, want the old one deleted, and a new one without a note", rows)
		}
	})
}

func TestChangeOfAnObjectThatWasMadeAgainTouchesNeitherOfThem(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newTenants(t, db, tenantOf("ann", "u1"), tenantOf("bob", "u2"))
		old := withDeleted(t, db)[0]
		remote.put(tenantOf("ann", "u9"))
		for what, dispatch := range map[string]func() (*tracker.Job, error){
			"update": func() (*tracker.Job, error) {
				return m.Update(t.Context(), old, func(v *tenant) { v.Email = "x" }, byUser)
			},
			"delete": func() (*tracker.Job, error) { return m.Delete(t.Context(), old, byUser) },
		} {
			job := m.drain(dispatch())
			m.ends(job, tracker.StatusFailed, "its uid is u9 and was u1")
			if job.ErrorClass != string(fault.ClassGone) || remote.objects["ann"] != tenantOf("ann", "u9") || len(remote.deletes) != 0 {
				t.Errorf("%s ends with class %q, and ann is %+v; want gone, and ann unchanged", what, job.ErrorClass, remote.objects["ann"])
			}
		}
		m.drain(m.Refresh(t.Context(), 1, byUser))
		if row := withDeleted(t, db)[0]; row.State != nawasync.StateMissing || row.UID != "u1" {
			t.Errorf("the refreshed row = %+v, want missing, with the old uid", row)
		}
		m.sync(tenant{Realm: "r"})
		if rows := withDeleted(t, db); len(rows) != 3 || rows[0].State != tracker.StateDeleted || rows[2].UID != "u9" {
			t.Errorf("rows = %+v, want the old one deleted, and a new one", rows)
		}
	})
}

func TestConfirmationThatFindsAnotherIncarnationDeletesTheRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newTenants(t, db, tenantOf("ann", "u1"), tenantOf("bob", "u2"))
		delete(remote.objects, "ann")
		m.sync(tenant{Realm: "r"})
		remote.find = func(_ map[string]tenant, key tenant) string {
			remote.objects["ann"] = tenantOf("ann", "u9") // it was made again after the listing
			return key.Name
		}
		m.sync(tenant{Realm: "r"})
		if rows := withDeleted(t, db); len(rows) != 2 || rows[0].State != tracker.StateDeleted || rows[0].UID != "u1" {
			t.Errorf("rows = %+v, want that of ann deleted", rows)
		}
	})
}

func TestIncarnationThatWasNeverFetchedIsStoredAndNothingIsReplaced(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newTenants(t, db, tenantOf("ann", ""), tenantOf("bob", "u2"))
		remote.put(tenantOf("ann", "u1"), tenantOf("bob", ""))
		result := resultOf(t, m.sync(tenant{Realm: "r"}))
		if rows := withDeleted(t, db); len(rows) != 2 || rows[0].UID != "u1" || result.Updated != 2 {
			t.Errorf("sync result = %+v, rows = %+v, want two rows updated", result, rows)
		}
	})
}

func TestMoreNewIncarnationsThanTheLimitReplaceNoRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var list, again []tenant
		for i := range 20 {
			list, again = append(list, tenantOf(fmt.Sprintf("t%02d", i), "1")), append(again, tenantOf(fmt.Sprintf("t%02d", i), "1.0"))
		}
		remote, m := newTenants(t, db, list...)
		remote.put(again...)
		m.clock.Advance(time.Minute)
		job := m.drain(m.SyncNow(t.Context(), tenant{Realm: "r"}, "", byUser))
		m.ends(job, tracker.StatusFailed, "raise Config.Limit")
		if rows := withDeleted(t, db); len(rows) != 20 || rows[0].State != nawasync.StateSynced || rows[0].UID != "1" {
			t.Errorf("rows = %+v, want the 20 rows unchanged", rows)
		}
	})
}
