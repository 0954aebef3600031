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

func TestExhaustedListingConfirmsMissingRowsWithGetAlthoughManyOthersAreKept(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 100)
		s.remote.Drop(numberedGadgets(40)...)
		s.waitStatus(t, s.sync(t), tracker.StatusConflict)
		open, err := s.engine.Reader().Holds(t.Context(), "shop", "gadget", true, 1)
		enginetest.NoError(t, err)
		enginetest.NoError(t, mirror.RejectHold(t.Context(), s.engine, open[0].ID, nawasync.OperatorOptions{By: "user:7"}))
		s.remote.changePages(func(p []mirror.Page[gadget]) []mirror.Page[gadget] {
			p[0].Proof, p[0].Items = mirror.Proof{Level: mirror.ProofExhausted}, p[0].Items[5:] // the listing lacks five existing objects
			return p
		})
		for run := range 3 {
			if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Confirming != int64(run%2*5) || got.Kept != 40 {
				t.Errorf("result of sync %d = %+v, want 40 kept and five to confirm in the second one", run, got)
			}
			if run == 1 {
				if got := s.confirmed(t); got.Deleted != 0 || got.Present != 5 {
					t.Errorf("result of the confirmation = %+v, want five present and none deleted", got)
				}
			}
		}
		if n := len(s.rows(t)); n != 100 {
			t.Errorf("%d rows are left, want 100", n)
		}
	})
}

func TestUnlistedRowsBecomeMissingAndAreDeletedAfterTwoCompleteListings(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numberedGadgets(20)
		s.remote.Put(list...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		s.remote.Drop(list[3], list[4])
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		if row := s.row(t, "g0003"); row.State != nawasync.StateMissing || row.MissingSince.IsZero() || row.MissingRuns != 1 {
			t.Errorf("status of the unlisted row = %+v, want missing for one run", row.SyncStatus)
		}
		s.remote.Put(list[3]) // one of the two is listed again
		if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Confirming != 1 || got.Updated != 1 {
			t.Errorf("sync result = %+v, want one row to confirm and one updated", got)
		}
		if got := s.confirmed(t); got.Deleted != 1 || len(s.rows(t)) != 19 {
			t.Errorf("result of the confirmation = %+v, with %d rows left; want one deleted and 19", got, len(s.rows(t)))
		}
		if row := s.row(t, "g0003"); row.State != nawasync.StateSynced || !row.MissingSince.IsZero() || row.MissingRuns != 0 {
			t.Errorf("status of the row that is listed again = %+v, want synced", row.SyncStatus)
		}
	})
}

func TestUnprovenListingDeletesNothingAndAnExhaustedListingOnlyWhatGetConfirms(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numberedGadgets(20)
		s.remote.Put(list...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		s.remote.Drop(list[4])
		level := mirror.ProofNone
		s.remote.changePages(func(p []mirror.Page[gadget]) []mirror.Page[gadget] {
			p[0].Proof = mirror.Proof{Level: level}
			p[0].Items = p[0].Items[1:] // g0000 exists, but the listing lacks it
			return p
		})
		if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Missing != 0 || got.Proof != "unproven" {
			t.Errorf("result of an unproven listing = %+v, want no missing rows", got)
		}
		level = mirror.ProofExhausted
		for run := range 2 {
			if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Missing != 2 || got.Confirming != int64(2*run) {
				t.Errorf("result of run %d with an exhausted listing = %+v, want 2 missing and %d to confirm", run, got, 2*run)
			}
		}
		if got := s.confirmed(t); got.Deleted != 1 || got.Present != 1 {
			t.Errorf("result of the confirmation = %+v, want one deleted and one present", got)
		}
		if rows := s.rows(t); len(rows) != 19 || rows["g0000"].State != nawasync.StateSynced {
			t.Errorf("rows = %v, want 19 with g0000 synced", sortedNames(rows))
		}
	})
}

func TestTooManyMissingRowsAreHeldUntilTheHoldIsWithdrawnRejectedOrReleased(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numberedGadgets(100)
		s.remote.Put(list...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		hold := func() tracker.Hold {
			t.Helper()
			s.remote.Drop(list[:31]...)
			s.remote.Put(gadget{Instance: "one", Name: fmt.Sprintf("new%d", s.remote.Calls(nawasynctest.CallList))})
			job := s.waitStatus(t, s.sync(t), tracker.StatusConflict)
			if !strings.Contains(job.Error, "31 of") || job.ErrorClass != "held" || resultOf(t, job).Created != 1 {
				t.Fatalf("held job has error %q, class %q and result %+v; want 31 rows held and one created", job.Error, job.ErrorClass, resultOf(t, job))
			}
			open, err := s.engine.Reader().Holds(t.Context(), "shop", "gadget", true, 10)
			if err != nil || len(open) != 1 || open[0].Missing != 31 {
				t.Fatalf("open holds = %+v, %v, want one of 31 rows", open, err)
			}
			return open[0]
		}
		// While the hold is open, further syncs delete nothing.
		first := hold()
		if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Held != first.ID || got.Confirming != 0 {
			t.Errorf("result of a sync during the hold = %+v, want hold %d and none to confirm", got, first.ID)
		}
		// When the objects are listed again, the hold is withdrawn.
		s.remote.Put(list[:31]...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		if h, err := s.engine.Reader().Hold(t.Context(), first.ID); err != nil || h.Status != tracker.HoldWithdrawn {
			t.Errorf("hold = %+v, %v, want status withdrawn", h, err)
		}
		if _, err := mirror.ReleaseHold(t.Context(), s.engine, first.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, jobstore.ErrDecided) {
			t.Errorf("ReleaseHold of a withdrawn hold: error = %v, want ErrDecided", err)
		}
		// After a rejection, the rows are kept.
		enginetest.NoError(t, mirror.RejectHold(t.Context(), s.engine, hold().ID, nawasync.OperatorOptions{By: "user:7"}))
		for range 3 {
			if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Kept != 31 || got.Confirming != 0 {
				t.Errorf("result of a sync after the rejection = %+v, want 31 kept and none to confirm", got)
			}
		}
		s.remote.Put(list[:31]...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		// A release deletes the rows that are still missing.
		held := hold()
		s.remote.Put(list[0])
		job, err := mirror.ReleaseHold(t.Context(), s.engine, held.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		if got := resultOf(t, s.waitStatus(t, job, tracker.StatusSuccess)); got.Confirming != 30 {
			t.Errorf("result of the released sync = %+v, want 30 to confirm", got)
		}
		if got := s.confirmed(t); got.Deleted != 30 {
			t.Errorf("result of the confirmation = %+v, want 30 deleted", got)
		}
		if h, err := s.engine.Reader().Hold(t.Context(), held.ID); err != nil || h.Status != tracker.HoldReleased || h.ReleaseJob != job.ID ||
			h.DecidedBy != "user:7" {
			t.Errorf("hold = %+v, %v, want released by user:7 in job %d", h, err, job.ID)
		}
		rows := s.rows(t)
		if _, found := rows["g0000"]; !found || len(rows) != 100-31+1+3 {
			t.Errorf("%d rows are left (g0000 among them: %v), want %d with g0000", len(rows), found, 100-31+1+3)
		}
	})
}
