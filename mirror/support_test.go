package mirror_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// These remotes can do less than a mapRemote, and the last one only says what it could do.
type (
	listingMembers  struct{ mirror.Lister[member] }
	readingMembers  struct{ listReader }
	creatingMembers struct {
		listReader
		mirror.Creator[member]
	}
	blindMembers struct {
		mirror.Lister[member]
		mirror.Updater[member]
	}
	listReader struct {
		mirror.Lister[member]
		mirror.Reader[member]
	}
)

const memberColumns = "realm TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, note TEXT"

func newMemberRemote(names ...string) *mapRemote[member] {
	remote := &mapRemote[member]{
		objects: map[string]member{},
		keyOf:   func(m member) string { return m.Name },
		find:    func(_ map[string]member, key member) string { return key.Name },
	}
	for _, name := range names {
		remote.put(memberNamed(name))
	}
	return remote
}

// wantUnsupported checks that an error says which action the remote cannot do.
func wantUnsupported(t *testing.T, err error, action string) {
	t.Helper()
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "api/members/"+action) {
		t.Errorf("error = %v, want errors.ErrUnsupported for %s", err, action)
	}
}

// refusesAll checks that every action but a sync is refused.
func refusesAll(t *testing.T, m *mirrored[member], row member) {
	t.Helper()
	ctx := t.Context()
	_, err := m.Create(ctx, memberNamed("dan"), byUser)
	wantUnsupported(t, err, "create")
	_, err = m.Update(ctx, row, func(m *member) { m.Email = "new@example.com" }, byUser)
	wantUnsupported(t, err, "update")
	_, err = m.Delete(ctx, row, byUser)
	wantUnsupported(t, err, "delete")
	_, err = m.Refresh(ctx, int64(row.ID), byUser)
	wantUnsupported(t, err, "refresh")
	_, err = m.RefreshKey(ctx, row, byUser)
	wantUnsupported(t, err, "refresh")
	_, err = mirror.Restore(ctx, m.engine, mirror.DeletedRow{Service: "api", Type: "members", ID: 1}, nawasync.OperatorOptions{})
	wantUnsupported(t, err, "refresh")
	want := []string{"create", "delete", "changes", "refresh", "update"}
	if info := m.engine.Repositories()[0]; !slices.Equal(info.Unsupported, want) {
		t.Errorf("Unsupported = %v, want %v", info.Unsupported, want)
	}
}

func TestRemoteThatOnlyListsIsSyncedAndNothingElse(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newMemberRemote("ann", "bob")
		m := newMirrored[member](t, db, "members", memberColumns, listingMembers{remote})
		m.sync(member{Realm: "r"})
		rows := m.rows()
		if len(rows) != 2 || rows[0].Email != "ann@example.com" {
			t.Fatalf("rows = %+v, want ann and bob", rows)
		}
		refusesAll(t, m, rows[0])
		remote.rename("bob", memberNamed("cy"))
		m.sync(member{Realm: "r"})
		m.clock.Advance(1)
		if job := m.drain(m.SyncNow(t.Context(), member{Realm: "r"}, "", byUser)); job.Status != tracker.StatusConflict {
			t.Errorf("sync of a missing row is %s (%s), want it held: nothing can confirm the deletion", job.Status, job.Error)
		}
	})
}

func TestProcessWithoutRemoteKnowsWhatTheRemoteSupports(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMirroredWith[member](t, db, "members", memberColumns, mirror.Config[member]{Supports: (*listingMembers)(nil)})
		enginetest.NoError(t, db.Exec("INSERT INTO members (realm, name, email, identity, sync_status) VALUES ('r', 'ann', 'a', ?, 'synced')", []byte(strings.Repeat("a", 32))).Error)
		row, err := m.Find(t.Context(), 1)
		enginetest.NoError(t, err)
		refusesAll(t, m, row)
	})
}

func TestRemoteWithoutUpdateCreatesAndReads(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newMemberRemote("ann")
		m := newMirroredWith[member](t, db, "members", memberColumns, mirror.Config[member]{
			Remote: creatingMembers{listReader{remote, remote}, remote}, Settle: -1,
		})
		m.sync(member{Realm: "r"})
		m.ends(m.drain(m.Create(t.Context(), memberNamed("dan"), byUser)), tracker.StatusSuccess, "")
		m.ends(m.drain(m.Refresh(t.Context(), 1, byUser)), tracker.StatusSuccess, "")
		_, err := m.Delete(t.Context(), m.rows()[0], byUser)
		wantUnsupported(t, err, "delete")

		taken := memberNamed("ann")
		taken.Name = "eve"
		remote.put(taken)
		taken.Email = "other@example.com"
		failed := m.drain(m.Create(t.Context(), taken, byUser)) // the remote has another eve
		m.ends(failed, tracker.StatusConflict, "already exists")
		_, err = mirror.Overwrite(t.Context(), m.engine, failed.ID, nawasync.OperatorOptions{})
		if !errors.Is(err, mirror.ErrNoConflict) {
			t.Errorf("Overwrite without an Updater = %v, want ErrNoConflict", err)
		}
		row, err := m.Find(t.Context(), 3)
		enginetest.NoError(t, err)
		m.ends(m.drain(m.Delete(t.Context(), row, byUser)), tracker.StatusSuccess, "") // only the row
		if got := remote.keys(); !slices.Equal(got, []string{"ann", "dan", "eve"}) {
			t.Errorf("objects = %v, want all three", got)
		}
	})
}

func TestRetryOfAnActionThatTheRemoteNoLongerSupportsIsRefused(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newMemberRemote("ann")
		h := enginetest.New(t, db)
		m := newMirroredOn[member](h, "members", memberColumns, mirror.Config[member]{Remote: remote, Settle: -1}, nil)
		m.sync(member{Realm: "r"})
		job, err := m.Update(t.Context(), m.rows()[0], func(m *member) { m.Email = "b@example.com" }, byUser)
		enginetest.NoError(t, err)
		_, err = m.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)

		later := h.Engine(nil)
		_, err = mirror.New(later, mirror.Config[member]{Service: "api", Type: "members", Remote: readingMembers{listReader{remote, remote}}})
		enginetest.NoError(t, err)
		_, err = later.Retry(t.Context(), job.ID, nawasync.RetryOptions{By: "user:7"})
		wantUnsupported(t, err, "update")
	})
}

func TestRemoteThatChangesWhatItCannotReadIsRefused(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	_, err := mirror.New(h.Engine(nil), mirror.Config[member]{Service: "api", Type: "members", Remote: blindMembers{}})
	if err == nil || !strings.Contains(err.Error(), "method Update and not Get") {
		t.Errorf("New = %v, want an error that names Update and Get", err)
	}
}
