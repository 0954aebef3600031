package mirror_test

import (
	"reflect"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// A row can be pending without an unfinished job, for example if an older release ended the job and
// did not update the row.
func TestSyncFixesARowThatWasLeftPending(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 3)
		job := s.waitStatus(t, s.update(t, s.row(t, "g0001"), setQuota(5)), tracker.StatusSuccess)
		enginetest.NoError(t, s.DB.Exec("UPDATE gadgets SET sync_status = 'pending_update' WHERE name = 'g0001'").Error)
		enginetest.NoError(t, s.DB.Exec("UPDATE gadgets SET sync_status = 'pending_update', sync_job_id = ? WHERE name = 'g0002'", job.ID+1000).Error)
		waitForRow(t, s, "g0001", func(g gadget) bool { return g.State == nawasync.StateSynced })
		waitForRow(t, s, "g0002", func(g gadget) bool { return g.State == nawasync.StateSynced })
	})
}

func TestNewContentFieldIsFilledInWithoutDrift(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		remote := newGadgetRemote()
		remote.Put(numberedGadgets(30)...)
		oldEngine := h.Engine(nil)
		oldRepo, err := mirror.New(oldEngine, mirror.Config[oldGadget]{Service: "shop", Type: "plain_gadget", Remote: oldGadgetRemote{remote}})
		enginetest.NoError(t, err)
		h.Start(oldEngine)
		job, err := oldRepo.SyncNow(t.Context(), oldGadget{Instance: "one"}, "", byUser)
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, oldEngine, job.ID, tracker.StatusSuccess)
		enginetest.NoError(t, oldEngine.Stop(t.Context()))
		newEngine := h.Engine(nil)
		newRepo, err := mirror.New(newEngine, mirror.Config[plainGadget]{Service: "shop", Type: "plain_gadget", Remote: plainGadgetRemote{remote}})
		enginetest.NoError(t, err)
		h.Start(newEngine)
		for _, want := range []nawasync.SyncResult{{Listed: 30, Updated: 30, Proof: "counted"}, {Listed: 30, Unchanged: 30, Proof: "counted"}} {
			job, err := newRepo.SyncNow(t.Context(), plainGadget{Instance: "one"}, "", byUser)
			enginetest.NoError(t, err)
			if got := resultOf(t, enginetest.WaitStatus(t, newEngine, job.ID, tracker.StatusSuccess)); !reflect.DeepEqual(got, want) {
				t.Errorf("sync result = %+v, want %+v", got, want)
			}
		}
	})
}

func TestPagesWithFieldsUpdateOnlyThoseColumns(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(numberedGadgets(3)...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		s.remote.Put(gadget{Instance: "one", Name: "g0001", QuotaMB: new(9), Plan: "gold", Tags: []string{"a", "b"}})
		job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "light", byUser)
		enginetest.NoError(t, err)
		if got := resultOf(t, s.waitStatus(t, job, tracker.StatusSuccess)); got.Updated != 1 || got.Unchanged != 2 {
			t.Errorf("result of the light sync = %+v, want 1 updated and 2 unchanged", got)
		}
		if row := s.row(t, "g0001"); row.Plan != "gold" || *row.QuotaMB != 101 || row.Used != 1 {
			t.Errorf("row after the light sync = %+v, want plan gold and the other columns unchanged", row)
		}
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Updated != 1 || got.Drifted["quota_mb"] != 1 || got.Drifted["plan"] != 0 {
			t.Errorf("result of the full sync = %+v, want 1 updated with drift in quota_mb only", got)
		}
	})
}
