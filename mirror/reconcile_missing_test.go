package mirror_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestExhaustedListingAsksForEachRowHoweverManyAreKept(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 100)
		s.remote.Drop(numbered(40)...)
		s.status(t, s.sync(t), tracker.StatusConflict)
		open, err := s.engine.Reader().Holds(t.Context(), "shop", "gadget", true, 1)
		enginetest.NoError(t, err)
		enginetest.NoError(t, mirror.RejectHold(t.Context(), s.engine, open[0].ID, nawasync.OperatorOptions{By: "user:7"}))
		s.remote.changePages(func(p []mirror.Page[gadget]) []mirror.Page[gadget] {
			p[0].Proof, p[0].Items = mirror.Proof{Level: mirror.ProofExhausted}, p[0].Items[5:] // five are skipped
			return p
		})
		for range 3 {
			if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Deleted != 0 || got.Kept != 40 {
				t.Errorf("the sync did %+v", got)
			}
		}
	})
}

func TestVanishedRowsAreMissingFirstAndDeletedAfterTwoCompleteRuns(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numbered(20)
		s.remote.Put(list...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		s.remote.Drop(list[3], list[4])
		s.status(t, s.sync(t), tracker.StatusSuccess)
		if row := s.row(t, "g0003"); row.State != nawasync.StateMissing || row.MissingSince.IsZero() || row.MissingRuns != 1 {
			t.Errorf("the row is %+v", row.SyncStatus)
		}
		s.remote.Put(list[3]) // it comes back
		if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Deleted != 1 || got.Updated != 1 {
			t.Errorf("the sync did %+v", got)
		}
		if row := s.row(t, "g0003"); row.State != nawasync.StateSynced || !row.MissingSince.IsZero() || row.MissingRuns != 0 {
			t.Errorf("the row is %+v", row.SyncStatus)
		}
	})
}

func TestUnprovenListingDeletesNothingAndAnExhaustedOneOnlyWhatGetAnswersGone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numbered(20)
		s.remote.Put(list...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		s.remote.Drop(list[4])
		level := mirror.ProofNone
		s.remote.changePages(func(p []mirror.Page[gadget]) []mirror.Page[gadget] {
			p[0].Proof = mirror.Proof{Level: level}
			p[0].Items = p[0].Items[1:] // g0000 is there, and not in the list
			return p
		})
		if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Missing != 0 || got.Proof != "unproven" {
			t.Errorf("an unproven listing did %+v", got)
		}
		level = mirror.ProofExhausted
		for run := range 2 {
			if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Missing != 1 || got.Deleted != int64(run) {
				t.Errorf("run %d of an exhausted listing did %+v", run, got)
			}
		}
		rows := s.rows(t)
		if _, there := rows["g0000"]; !there || len(rows) != 19 {
			t.Errorf("left are %v", names(rows))
		}
	})
}

func TestTooManyDeletionsAreHeldReleasedRejectedOrWithdrawn(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numbered(100)
		s.remote.Put(list...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		hold := func() tracker.Hold {
			t.Helper()
			s.remote.Drop(list[:31]...)
			s.remote.Put(gadget{Instance: "one", Name: fmt.Sprintf("new%d", s.remote.Calls(nawasynctest.CallList))})
			job := s.status(t, s.sync(t), tracker.StatusConflict)
			if !strings.Contains(job.Error, "31 of") || job.ErrorClass != "held" || resultOf(t, job).Created != 1 {
				t.Fatalf("the held run says %q, %q, %+v", job.Error, job.ErrorClass, resultOf(t, job))
			}
			open, err := s.engine.Reader().Holds(t.Context(), "shop", "gadget", true, 10)
			if err != nil || len(open) != 1 || open[0].Missing != 31 {
				t.Fatalf("held are %+v, %v", open, err)
			}
			return open[0]
		}
		// Held: nothing goes, however often it is run.
		first := hold()
		if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Held != first.ID || got.Deleted != 0 {
			t.Errorf("a run beside the hold did %+v", got)
		}
		// Back again: withdrawn.
		s.remote.Put(list[:31]...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		if h, err := s.engine.Reader().Hold(t.Context(), first.ID); err != nil || h.Status != tracker.HoldWithdrawn {
			t.Errorf("the hold is %+v, %v", h, err)
		}
		if _, err := mirror.ReleaseHold(t.Context(), s.engine, first.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, jobstore.ErrDecided) {
			t.Errorf("a withdrawn hold is released: %v", err)
		}
		// Rejected: kept.
		enginetest.NoError(t, mirror.RejectHold(t.Context(), s.engine, hold().ID, nawasync.OperatorOptions{By: "user:7"}))
		for range 3 {
			if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Kept != 31 || got.Deleted != 0 {
				t.Errorf("a run after the rejection did %+v", got)
			}
		}
		s.remote.Put(list[:31]...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		// Released: what is still absent goes.
		held := hold()
		s.remote.Put(list[0])
		job, err := mirror.ReleaseHold(t.Context(), s.engine, held.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		if got := resultOf(t, s.status(t, job, tracker.StatusSuccess)); got.Deleted != 30 {
			t.Errorf("the released run did %+v", got)
		}
		if h, err := s.engine.Reader().Hold(t.Context(), held.ID); err != nil || h.Status != tracker.HoldReleased || h.ReleaseJob != job.ID ||
			h.DecidedBy != "user:7" {
			t.Errorf("the hold is %+v, %v", h, err)
		}
		rows := s.rows(t)
		if _, there := rows["g0000"]; !there || len(rows) != 100-31+1+3 {
			t.Errorf("left are %d rows", len(rows))
		}
	})
}
