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

func TestQueuedChangesOfOneFieldAreNoConflictWithEachOtherAndApplyInOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		s := idleShop(t, h)
		created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", QuotaMB: new(1)}, byAnn)
		enginetest.NoError(t, err)
		seen := s.row(t, "a")
		var jobs []*tracker.Job
		for _, n := range []int{10, 20, 10, 30} { // the same user, and others who saw the same
			jobs = append(jobs, s.update(t, seen, setQuota(n)))
		}
		var wrote []int
		s.remote.afterCall(func(call, _ string) error {
			if call == "update" {
				there, _ := s.remote.look("a")
				wrote = append(wrote, *there.QuotaMB)
			}
			return nil
		})
		h.Start(s.engine)
		for _, job := range append(jobs, created) {
			s.status(t, job, tracker.StatusSuccess)
		}
		if len(wrote) != 4 || wrote[0] != 10 || wrote[1] != 20 || wrote[2] != 10 || wrote[3] != 30 {
			t.Errorf("written were %v", wrote)
		}
		if row := s.row(t, "a"); *row.QuotaMB != 30 || row.State != nawasync.StateSynced {
			t.Errorf("the row is %+v", row)
		}
	})
}

func TestHostTransactionThatReadBeforeSeesTheRowsStateOfNow(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.MySQL(t)) // its default isolation keeps the first read's view
	s := idleShop(t, h)
	s.remote.Put(numbered(1)...)
	h.Start(s.engine)
	s.status(t, s.sync(t), tracker.StatusSuccess)
	enginetest.NoError(t, s.engine.Stop(t.Context()))
	seen := s.row(t, "g0000")
	err := h.DB.Transaction(func(tx *gorm.DB) error {
		var n int64
		if err := tx.Table("gadgets").Count(&n).Error; err != nil {
			return err
		}
		if _, err := s.repo.Delete(t.Context(), seen, byAnn); err != nil { // another session
			return err
		}
		_, err := s.repo.WithTx(tx).Update(t.Context(), seen, setQuota(5), byAnn)
		return err
	})
	if !errors.Is(err, nawasync.ErrDeleting) {
		t.Error(err)
	}
}

func TestCreateUpdateDeleteReachTheRemoteAndTheRowSaysSo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		want := gadget{Instance: "one", Name: "Änne ‘x’ \u8a66", QuotaMB: new(0), Plan: "basic", Tags: []string{"z", "a"}, Password: nawasync.NewSecret("pässword-1")}
		job, err := s.repo.Create(t.Context(), want, byAnn)
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusSuccess)
		there, found := s.remote.look(want.Name)
		if !found || *there.QuotaMB != 0 || there.Password.Reveal() != "pässword-1" {
			t.Fatalf("the remote has %+v", there)
		}
		row := s.row(t, want.Name)
		if row.State != nawasync.StateSynced || row.QuotaMB == nil || *row.QuotaMB != 0 || row.Used != 1 || row.LastSyncedAt.IsZero() || row.CreatedAt.IsZero() {
			t.Fatalf("the row is %+v", row)
		}
		job, err = s.repo.Update(t.Context(), row, func(g *gadget) {
			*g.QuotaMB = 500
			g.Tags = []string{"a", "z"} // the same set
			g.Password = nawasync.NewSecret("pässword-2")
		}, nawasync.Options{By: "user:7", Action: "update_quota"})
		enginetest.NoError(t, err)
		if *row.QuotaMB != 0 {
			t.Error("Update changed what was seen")
		}
		done := s.status(t, job, tracker.StatusSuccess)
		if done.Action != "update_quota" || strings.Contains(string(done.Payload), "pässword") || strings.Contains(string(done.Payload), "tags") ||
			!strings.Contains(string(done.Payload), `"from":0`) {
			t.Errorf("its row says %s %s", done.Action, done.Payload)
		}
		if there, _ := s.remote.look(want.Name); *there.QuotaMB != 500 || there.Password.Reveal() != "pässword-2" {
			t.Errorf("the remote has %+v", there)
		}
		row = s.row(t, want.Name)
		if *row.QuotaMB != 500 || row.State != nawasync.StateSynced {
			t.Errorf("the row is %+v", row)
		}
		job, err = s.repo.Delete(t.Context(), row, byAnn)
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusSuccess)
		if _, found := s.remote.look(want.Name); found {
			t.Error("the remote has it still")
		}
		if _, err := s.repo.Find(t.Context(), int64(row.ID)); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("the row is there still: %v", err)
		}
	})
}

func TestBadCallsOfARepositoryAreRefusedAndLeaveNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := idleShop(t, enginetest.New(t, db))
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, byAnn)
		enginetest.NoError(t, err)
		row := s.row(t, "a")
		for what, refused := range map[string]struct {
			err  error
			want error
		}{
			"a name that is taken": {second(s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, byAnn)), nawasync.ErrExists},
			"no name":              {second(s.repo.Create(t.Context(), gadget{Instance: "one"}, byAnn)), nawasync.ErrInvalid},
			"a trailing space":     {second(s.repo.Create(t.Context(), gadget{Instance: "one", Name: "b "}, byAnn)), nawasync.ErrInvalid},
			"no change":            {second(s.repo.Update(t.Context(), row, func(*gadget) {}, byAnn)), nawasync.ErrUnchanged},
			"another key":          {second(s.repo.Update(t.Context(), row, func(g *gadget) { g.Name = "b" }, byAnn)), nawasync.ErrInvalid},
			"an observed field":    {second(s.repo.Update(t.Context(), row, func(g *gadget) { g.Used = 5 }, byAnn)), nawasync.ErrInvalid},
			"an unknown action": {
				second(s.repo.Update(t.Context(), row, func(g *gadget) { g.Plan = "x" }, nawasync.Options{Action: "explode"})),
				nawasync.ErrInvalid,
			},
			"a row without id":   {second(s.repo.Update(t.Context(), gadget{Name: "a"}, func(g *gadget) { g.Plan = "x" }, byAnn)), nawasync.ErrInvalid},
			"a row that is gone": {second(s.repo.Delete(t.Context(), gadget{ID: 999, Instance: "one", Name: "zz"}, byAnn)), nawasync.ErrNotFound},
			"an unknown detail":  {second(s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "dark", byAnn)), nawasync.ErrInvalid},
		} {
			if !errors.Is(refused.err, refused.want) {
				t.Errorf("%s: %v", what, refused.err)
			}
		}
		if jobs, err := s.engine.Reader().Search(t.Context(), tracker.Search{Services: []string{"shop"}, Limit: 10}); err != nil || len(jobs.Jobs) != 1 ||
			jobs.Jobs[0].ID != job.ID {
			t.Errorf("there are jobs: %+v %v", jobs.Jobs, err)
		}
		deleting, err := s.repo.Delete(t.Context(), row, byAnn)
		enginetest.NoError(t, err)
		if _, err := s.repo.Update(t.Context(), row, func(g *gadget) { g.Plan = "x" }, byAnn); !errors.Is(err, nawasync.ErrDeleting) {
			t.Errorf("an update of what is being deleted: %v", err)
		}
		_, err = s.engine.Cancel(t.Context(), deleting.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.NoError(t, err)
		if got := s.row(t, "a"); got.State != nawasync.StatePendingCreate || got.SyncJobID == nil || *got.SyncJobID != job.ID {
			t.Errorf("the job before the cancelled one has the row: %+v", got.SyncStatus)
		}
		_, err = s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.NoError(t, err)
		if _, err := s.repo.FindKey(t.Context(), row); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("a row whose creation was called off is there: %v", err)
		}
	})
}

func TestWritesInsideAHostsTransactionStandOrFallWithIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := idleShop(t, enginetest.New(t, db))
		boom := errors.New("the host changed its mind")
		err := s.engine.Transaction(t.Context(), func(tx *gorm.DB) error {
			inside := s.repo.WithTx(tx)
			if _, err := inside.Create(t.Context(), gadget{Instance: "one", Name: "a"}, byAnn); err != nil {
				return err
			}
			if _, err := inside.FindKey(t.Context(), gadget{Instance: "one", Name: "a"}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if len(s.rows(t)) != 0 {
			t.Error("the row outlived its transaction")
		}
	})
}

func second[T any](_ T, err error) error { return err }
