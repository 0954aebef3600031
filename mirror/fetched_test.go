package mirror_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// box is an object whose quota and note only a complete listing has.
type box struct {
	ID    uint64
	Realm string `sync:"scope"`
	Name  string `sync:"key"`
	Owner string
	Quota int64
	Note  *string
	nawasync.SyncStatus
}

const boxColumns = "realm TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '', quota BIGINT NOT NULL DEFAULT 0, note TEXT"

// briefRemote lists only the owner of each box unless all is set.
type briefRemote struct {
	*mapRemote[box]
	all bool
}

func (r *briefRemote) List(ctx context.Context, scope box, detail string) iter.Seq2[mirror.Page[box], error] {
	return func(yield func(mirror.Page[box], error) bool) {
		for page, err := range r.mapRemote.List(ctx, scope, detail) {
			if !r.all {
				page.Fields = []string{"owner"}
				for i, b := range page.Items {
					page.Items[i] = box{Realm: b.Realm, Name: b.Name, Owner: b.Owner}
				}
			}
			yield(page, err)
		}
	}
}

func newBoxes(t *testing.T, db *testdb.Database, list ...box) (*briefRemote, *mirrored[box]) {
	t.Helper()
	remote := &briefRemote{mapRemote: &mapRemote[box]{
		objects: map[string]box{},
		keyOf:   func(b box) string { return b.Name },
		find:    func(_ map[string]box, key box) string { return key.Name },
	}}
	remote.put(list...)
	return remote, newMirrored[box](t, db, "boxes", boxColumns, remote)
}

func TestDeletionAfterABriefListingIsNoConflict(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newBoxes(t, db, box{Realm: "r", Name: "a", Owner: "ann", Quota: 10, Note: new("keep")})
		m.sync(box{Realm: "r"})
		m.ends(m.drain(m.Delete(t.Context(), m.rows()[0], byUser)), tracker.StatusSuccess, "")
		if keys := remote.keys(); len(keys) != 0 {
			t.Errorf("objects after the deletion = %v, want none", keys)
		}
	})
}

func TestDeletionAfterABriefListingComparesTheFetchedFields(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newBoxes(t, db, box{Realm: "r", Name: "a", Owner: "ann", Quota: 10})
		m.sync(box{Realm: "r"})
		remote.put(box{Realm: "r", Name: "a", Owner: "bob", Quota: 10})
		m.ends(m.drain(m.Delete(t.Context(), m.rows()[0], byUser)), tracker.StatusConflict, "owner")
	})
}

func TestUpdateOfAFieldThatWasNeverFetchedIsRefusedUntilARefresh(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newBoxes(t, db, box{Realm: "r", Name: "a", Owner: "ann", Quota: 10})
		m.sync(box{Realm: "r"})
		setQuota := func(b *box) { b.Quota = 20 }
		row := m.rows()[0]
		if _, err := m.Update(t.Context(), row, setQuota, byUser); !errors.Is(err, mirror.ErrUnseen) {
			t.Fatalf("Update of the quota: error = %v, want ErrUnseen", err)
		}
		if _, err := m.Update(t.Context(), box{ID: row.ID, Realm: "r", Name: "a", Owner: "ann"}, setQuota, byUser); !errors.Is(err, mirror.ErrUnseen) {
			t.Fatalf("Update of the quota with a row built by hand: error = %v, want ErrUnseen", err)
		}
		m.ends(m.drain(m.Update(t.Context(), row, func(b *box) { b.Owner = "bob" }, byUser)), tracker.StatusSuccess, "")
		if row = m.rows()[0]; row.Quota != 10 {
			t.Fatalf("row after the update of the owner = %+v, want the whole object", row)
		}
		m.ends(m.drain(m.Update(t.Context(), row, setQuota, byUser)), tracker.StatusSuccess, "")
		if b := remote.objects["a"]; b.Quota != 20 || b.Owner != "bob" {
			t.Errorf("object = %+v, want owner bob and quota 20", b)
		}
	})
}

func TestRefreshFetchesTheFieldsThatABriefListingLeftOut(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		_, m := newBoxes(t, db, box{Realm: "r", Name: "a", Owner: "ann", Quota: 10})
		m.sync(box{Realm: "r"})
		m.ends(m.drain(m.Refresh(t.Context(), int64(m.rows()[0].ID), byUser)), tracker.StatusSuccess, "")
		m.ends(m.drain(m.Update(t.Context(), m.rows()[0], func(b *box) { b.Quota = 20 }, byUser)), tracker.StatusSuccess, "")
	})
}

func TestFieldThatWasSeenAsNullAndIsSetNowIsAConflict(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newBoxes(t, db, box{Realm: "r", Name: "a", Owner: "ann"})
		remote.all = true
		m.sync(box{Realm: "r"})
		seen := m.rows()[0]
		remote.put(box{Realm: "r", Name: "a", Owner: "ann", Note: new("theirs")})
		m.ends(m.drain(m.Update(t.Context(), seen, func(b *box) { b.Note = new("mine") }, byUser)), tracker.StatusConflict, "note")
		result := resultOf(t, m.sync(box{Realm: "r"}))
		if result.Updated != 1 {
			t.Errorf("result of the sync = %+v, want the row updated", result)
		}
	})
}

// A value that was null and is set now was changed by somebody; a value that is fetched for the
// first time was not.
func TestSyncCountsANullThatWasSetAsDriftAndAFirstFetchNot(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newBoxes(t, db, box{Realm: "r", Name: "a", Owner: "ann", Quota: 10})
		m.sync(box{Realm: "r"})
		remote.all = true
		if result := resultOf(t, m.sync(box{Realm: "r"})); result.Updated != 1 || len(result.Drifted) != 0 {
			t.Errorf("result of the first complete sync = %+v, want one row updated and no drift", result)
		}
		remote.put(box{Realm: "r", Name: "a", Owner: "ann", Quota: 10, Note: new("theirs")})
		if result := resultOf(t, m.sync(box{Realm: "r"})); result.Drifted["note"] != 1 {
			t.Errorf("result after the note was set = %+v, want drift of the note", result)
		}
		remote.all = false // leaves a row that is known completely as it is
		if result := resultOf(t, m.sync(box{Realm: "r"})); result.Unchanged != 1 {
			t.Errorf("result of a brief sync afterwards = %+v, want the row unchanged", result)
		}
	})
}
