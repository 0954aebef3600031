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

// An older release, say, ended the job and left the row.
func TestRowThatWasLeftPendingIsMendedByTheNextSync(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 3)
		job := s.status(t, s.update(t, s.row(t, "g0001"), setQuota(5)), tracker.StatusSuccess)
		enginetest.NoError(t, s.DB.Exec("UPDATE gadgets SET sync_status = 'pending_update' WHERE name = 'g0001'").Error)
		enginetest.NoError(t, s.DB.Exec("UPDATE gadgets SET sync_status = 'pending_update', sync_job_id = ? WHERE name = 'g0002'", job.ID+1000).Error)
		waitForRow(t, s, "g0001", func(g gadget) bool { return g.State == nawasync.StateSynced })
		waitForRow(t, s, "g0002", func(g gadget) bool { return g.State == nawasync.StateSynced })
	})
}

func TestNewContentFieldIsFilledInAndIsNoDrift(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		remote := newMemory()
		remote.Put(numbered(30)...)
		old := h.Engine(nil)
		before, err := mirror.New(old, mirror.Config[thinGadget]{Service: "shop", Type: "plain_gadget", Remote: thinMemory{remote}})
		enginetest.NoError(t, err)
		h.Start(old)
		job, err := before.SyncNow(t.Context(), thinGadget{Instance: "one"}, "", byAnn)
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, old, job.ID, tracker.StatusSuccess)
		enginetest.NoError(t, old.Stop(t.Context()))
		next := h.Engine(nil)
		after, err := mirror.New(next, mirror.Config[plainGadget]{Service: "shop", Type: "plain_gadget", Remote: plainMemory{remote}})
		enginetest.NoError(t, err)
		h.Start(next)
		for _, want := range []nawasync.SyncResult{{Listed: 30, Updated: 30, Proof: "complete"}, {Listed: 30, Unchanged: 30, Proof: "complete"}} {
			job, err := after.SyncNow(t.Context(), plainGadget{Instance: "one"}, "", byAnn)
			enginetest.NoError(t, err)
			if got := resultOf(t, enginetest.WaitStatus(t, next, job.ID, tracker.StatusSuccess)); !reflect.DeepEqual(got, want) {
				t.Errorf("the sync did %+v, not %+v", got, want)
			}
		}
	})
}

func TestLightPagesChangeOnlyTheColumnsTheyName(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(numbered(3)...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		s.remote.Put(gadget{Instance: "one", Name: "g0001", QuotaMB: new(9), Plan: "gold", Tags: []string{"a", "b"}})
		job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "light", byAnn)
		enginetest.NoError(t, err)
		if got := resultOf(t, s.status(t, job, tracker.StatusSuccess)); got.Updated != 1 || got.Unchanged != 2 {
			t.Errorf("the light sync did %+v", got)
		}
		if row := s.row(t, "g0001"); row.Plan != "gold" || *row.QuotaMB != 101 || row.Used != 1 {
			t.Errorf("the row is %+v", row)
		}
		got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess))
		if got.Updated != 1 || got.Drifted["quota_mb"] != 1 || got.Drifted["plan"] != 0 {
			t.Errorf("the full sync after it did %+v", got)
		}
	})
}
