package mirror_test

import (
	"errors"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestOpenSyncIsTheRunningSyncOfTheScopeWithItsProgress(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newIdleShop(t, enginetest.New(t, db))
		s.remote.Put(numberedGadgets(30)...)
		s.remote.Configure(func() { s.remote.PageSize = 10 })
		ctx, one := t.Context(), gadget{Instance: "one"}
		none := func(when string, scope gadget) {
			t.Helper()
			if job, err := s.repo.OpenSync(ctx, scope); !errors.Is(err, nawasync.ErrNotFound) || job != nil {
				t.Errorf("%s: open sync %+v, %v; want ErrNotFound", when, job, err)
			}
		}
		none("before any sync", one)
		light, err := s.repo.SyncNow(ctx, one, "light", byUser)
		enginetest.NoError(t, err)
		full, err := s.repo.SyncNow(ctx, one, "", byUser)
		enginetest.NoError(t, err)
		_, err = s.plainRepo.SyncNow(ctx, plainGadget{Instance: "two"}, "", byUser)
		enginetest.NoError(t, err)
		none("of another scope", gadget{Instance: "two"})
		if job, err := s.repo.OpenSync(ctx, one); err != nil || job.ID != light.ID || job.Status != tracker.StatusQueued || job.TargetID != "all:light" {
			t.Errorf("the open sync is %+v, %v; want the oldest one, %d", job, err, light.ID)
		}
		_, err = s.engine.Cancel(ctx, light.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		open, waiting := make(chan *tracker.Job, 2), make(chan *tracker.Job, 2)
		s.remote.beforePage(func(page int) {
			if page != 1 || len(open) > 0 {
				return
			}
			next, _ := s.repo.SyncNow(ctx, one, "light", byUser) // a job that waits does not hide the running one
			job, _ := s.repo.OpenSync(ctx, one)
			waiting <- next
			open <- job
		})
		s.Start(s.engine)
		s.waitStatus(t, full, tracker.StatusSuccess)
		s.waitStatus(t, <-waiting, tracker.StatusSuccess)
		job := <-open
		progress, found := job.ProgressValues()
		if job.ID != full.ID || job.Status != tracker.StatusRunning || job.StartedAt.IsZero() || !found || progress.Done != 10 {
			t.Errorf("the open sync is %+v with progress %+v; want the running one with 10 listed", job, progress)
		}
		none("after the syncs", one)
	})
}

// A page shows the progress in a process that only reads.
func TestOpenSyncNeedsNoRemote(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	s := newIdleShop(t, enginetest.New(t, db))
	job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
	enginetest.NoError(t, err)
	web, err := mirror.New(s.Engine(nil), mirror.Config[gadget]{Service: "shop", Type: "gadget", Actions: mirror.Actions{Sync: "sync_gadgets"}})
	enginetest.NoError(t, err)
	if open, err := web.OpenSync(t.Context(), gadget{Instance: "one"}); err != nil || open.ID != job.ID {
		t.Errorf("the open sync is %+v, %v; want job %d", open, err, job.ID)
	}
}
