package mirror_test

import (
	"errors"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestQueuedChangesOfOneFieldApplyInOrderWithoutConflict(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		s := newIdleShop(t, h)
		created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", QuotaMB: new(1)}, byUser)
		enginetest.NoError(t, err)
		seen := s.row(t, "a")
		var jobs []*tracker.Job
		for _, n := range []int{10, 20, 10, 30} { // all updates are based on the same row
			jobs = append(jobs, s.update(t, seen, setQuota(n)))
		}
		var written []int
		s.remote.afterCall(func(call, _ string) error {
			if call == "update" {
				object, _ := s.remote.find("a")
				written = append(written, *object.QuotaMB)
			}
			return nil
		})
		h.Start(s.engine)
		for _, job := range append(jobs, created) {
			s.waitStatus(t, job, tracker.StatusSuccess)
		}
		if len(written) != 4 || written[0] != 10 || written[1] != 20 || written[2] != 10 || written[3] != 30 {
			t.Errorf("quotas written = %v, want [10 20 10 30]", written)
		}
		if row := s.row(t, "a"); *row.QuotaMB != 30 || row.State != nawasync.StateSynced {
			t.Errorf("row = %+v, want synced with quota 30", row)
		}
	})
}

func TestHostTransactionWithAnOldReadViewSeesTheCurrentRowState(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.MySQL(t)) // its default isolation level, REPEATABLE READ, keeps the view of the first read
	s := newIdleShop(t, h)
	s.remote.Put(numberedGadgets(1)...)
	h.Start(s.engine)
	s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
	enginetest.NoError(t, s.engine.Stop(t.Context()))
	seen := s.row(t, "g0000")
	err := h.DB.Transaction(func(tx *gorm.DB) error {
		var n int64
		if err := tx.Table("gadgets").Count(&n).Error; err != nil {
			return err
		}
		if _, err := s.repo.Delete(t.Context(), seen, byUser); err != nil { // outside the transaction
			return err
		}
		_, err := s.repo.WithTx(tx).Update(t.Context(), seen, setQuota(5), byUser)
		return err
	})
	if !errors.Is(err, nawasync.ErrDeleting) {
		t.Errorf("Update after the concurrent Delete: error = %v, want ErrDeleting", err)
	}
}

func TestCreateUpdateAndDeleteReachTheRemoteAndTheRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		want := gadget{Instance: "one", Name: "Änne ‘x’ \u8a66", QuotaMB: new(0), Plan: "basic", Tags: []string{"z", "a"}, Password: nawasync.NewSecret("pässword-1")}
		job, err := s.repo.Create(t.Context(), want, byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusSuccess)
		object, found := s.remote.find(want.Name)
		if !found || *object.QuotaMB != 0 || object.Password.Reveal() != "pässword-1" {
			t.Fatalf("remote object after the create = %+v, found = %v, want quota 0 and the first password", object, found)
		}
		row := s.row(t, want.Name)
		if row.State != nawasync.StateSynced || row.QuotaMB == nil || *row.QuotaMB != 0 || row.Used != 1 || row.LastSyncedAt.IsZero() || row.CreatedAt.IsZero() {
			t.Fatalf("row after the create = %+v, want synced with quota 0, used 1 and both times set", row)
		}
		job, err = s.repo.Update(t.Context(), row, func(g *gadget) {
			*g.QuotaMB = 500
			g.Tags = []string{"a", "z"} // the same set in another order
			g.Password = nawasync.NewSecret("pässword-2")
		}, nawasync.Options{By: "user:7", Action: "update_quota"})
		enginetest.NoError(t, err)
		if *row.QuotaMB != 0 {
			t.Errorf("Update changed its argument: quota = %d, want 0", *row.QuotaMB)
		}
		done := s.waitStatus(t, job, tracker.StatusSuccess)
		if done.Action != "update_quota" || strings.Contains(string(done.Payload), "pässword") || strings.Contains(string(done.Payload), "tags") ||
			!strings.Contains(string(done.Payload), `"from":0`) {
			t.Errorf("job action = %s, payload = %s; want update_quota and a change from 0, without secrets and tags", done.Action, done.Payload)
		}
		if object, _ := s.remote.find(want.Name); *object.QuotaMB != 500 || object.Password.Reveal() != "pässword-2" {
			t.Errorf("remote object after the update = %+v, want quota 500 and the second password", object)
		}
		row = s.row(t, want.Name)
		if *row.QuotaMB != 500 || row.State != nawasync.StateSynced {
			t.Errorf("row after the update = %+v, want synced with quota 500", row)
		}
		job, err = s.repo.Delete(t.Context(), row, byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusSuccess)
		if _, found := s.remote.find(want.Name); found {
			t.Error("the object still exists on the remote after the delete")
		}
		if _, err := s.repo.Find(t.Context(), int64(row.ID)); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("Find after the delete: error = %v, want ErrNotFound", err)
		}
	})
}

func TestInvalidRepositoryCallsAreRefusedAndDispatchNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newIdleShop(t, enginetest.New(t, db))
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, byUser)
		enginetest.NoError(t, err)
		row := s.row(t, "a")
		for name, refused := range map[string]struct {
			err  error
			want error
		}{
			"a name that is taken": {errorOf(s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, byUser)), nawasync.ErrExists},
			"no name":              {errorOf(s.repo.Create(t.Context(), gadget{Instance: "one"}, byUser)), nawasync.ErrInvalid},
			"no change":            {errorOf(s.repo.Update(t.Context(), row, func(*gadget) {}, byUser)), nawasync.ErrUnchanged},
			"another key":          {errorOf(s.repo.Update(t.Context(), row, func(g *gadget) { g.Name = "b" }, byUser)), nawasync.ErrInvalid},
			"an observed field":    {errorOf(s.repo.Update(t.Context(), row, func(g *gadget) { g.Used = 5 }, byUser)), nawasync.ErrInvalid},
			"an unknown action": {
				errorOf(s.repo.Update(t.Context(), row, func(g *gadget) { g.Plan = "x" }, nawasync.Options{Action: "explode"})),
				nawasync.ErrInvalid,
			},
			"a row without id":  {errorOf(s.repo.Update(t.Context(), gadget{Name: "a"}, func(g *gadget) { g.Plan = "x" }, byUser)), nawasync.ErrInvalid},
			"a missing row":     {errorOf(s.repo.Delete(t.Context(), gadget{ID: 999, Instance: "one", Name: "zz"}, byUser)), nawasync.ErrNotFound},
			"an unknown detail": {errorOf(s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "dark", byUser)), nawasync.ErrInvalid},
		} {
			if !errors.Is(refused.err, refused.want) {
				t.Errorf("%s: error = %v, want %v", name, refused.err, refused.want)
			}
		}
		if jobs, err := s.engine.Reader().Search(t.Context(), tracker.Search{Services: []string{"shop"}, Limit: 10}); err != nil || len(jobs.Jobs) != 1 ||
			jobs.Jobs[0].ID != job.ID {
			t.Errorf("jobs = %+v, %v, want only job %d", jobs.Jobs, err, job.ID)
		}
		deleting, err := s.repo.Delete(t.Context(), row, byUser)
		enginetest.NoError(t, err)
		if _, err := s.repo.Update(t.Context(), row, func(g *gadget) { g.Plan = "x" }, byUser); !errors.Is(err, nawasync.ErrDeleting) {
			t.Errorf("Update while a delete is queued: error = %v, want ErrDeleting", err)
		}
		_, err = s.engine.Cancel(t.Context(), deleting.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.NoError(t, err)
		if got := s.row(t, "a"); got.State != nawasync.StatePendingCreate || got.SyncJobID == nil || *got.SyncJobID != job.ID {
			t.Errorf("row after the delete was cancelled = %+v, want pending_create by job %d", got.SyncStatus, job.ID)
		}
		_, err = s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.NoError(t, err)
		if _, err := s.repo.FindKey(t.Context(), row); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("FindKey after the create was cancelled: error = %v, want ErrNotFound", err)
		}
	})
}

func TestWritesInAHostTransactionRollBackWithIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newIdleShop(t, enginetest.New(t, db))
		errRollback := errors.New("the host rolls back")
		err := s.engine.Transaction(t.Context(), func(tx *gorm.DB) error {
			inside := s.repo.WithTx(tx)
			if _, err := inside.Create(t.Context(), gadget{Instance: "one", Name: "a"}, byUser); err != nil {
				return err
			}
			if _, err := inside.FindKey(t.Context(), gadget{Instance: "one", Name: "a"}); err != nil {
				return err
			}
			return errRollback
		})
		if !errors.Is(err, errRollback) {
			t.Fatal(err)
		}
		if rows := s.rows(t); len(rows) != 0 {
			t.Errorf("rows after the rollback = %v, want none", sortedNames(rows))
		}
	})
}

// errorOf returns the error of a call that returns a value and an error.
func errorOf[T any](_ T, err error) error { return err }
