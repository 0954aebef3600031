package mirror_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestNothingIsPrunedOrConfirmedDuringAnOutage(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newZonedShop(t, db, nil)
		delete(s.remote.objects, "ax1") // a listing would find one of two objects missing
		s.clock.Advance(time.Minute)
		began := s.clock.Now()
		ends := began.Add(10 * time.Minute)
		states := map[string]int{}
		s.answer(func(_ string, key zoned) error {
			if s.clock.Now().Before(ends) && key.Account == "a" {
				for _, row := range s.rows() {
					states[string(row.State)]++
				}
				return fault.WithClass(fault.ClassUnavailable, errors.New("connection refused"))
			}
			return nil
		})
		for _, job := range s.syncAll() {
			if s.ends(job, tracker.StatusSuccess, ""); job.Attempt != 1 {
				t.Errorf("a sync ended in attempt %d, want that the outage consumed none", job.Attempt)
			}
		}
		if n := states[string(nawasync.StateSynced)]; len(states) != 1 || n == 0 {
			t.Errorf("states of rows during the outage: %v, want synced only", states)
		}
		calls := slices.Sorted(slices.Values(append(s.calls["list a/x"], s.calls["list a/y"]...)))
		want := []time.Duration{0, 10 * time.Second, 40 * time.Second, 100 * time.Second, 220 * time.Second, 520 * time.Second, 820 * time.Second, 820 * time.Second}
		if !slices.Equal(calls, want) || !slices.Equal(s.calls["list ab/x"], []time.Duration{0}) {
			t.Errorf("the zones of account a were listed at %v, want %v; calls %v", calls, want, s.calls)
		}
		if row := s.rowOf("ax2"); row.State != nawasync.StateSynced || len(s.rows()) != 3 {
			t.Errorf("rows %+v, want that ax1 was deleted after the outage, and nothing else", s.rows())
		}
		s.noScopes()
	})
}

func TestConfirmationStopsDuringAnOutageAndDeletesAfterIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newZonedShop(t, db, nil)
		delete(s.remote.objects, "ax1")
		s.clock.Advance(time.Minute)
		ends := s.clock.Now().Add(time.Hour)
		s.answer(func(call string, _ zoned) error {
			if call == "get" && s.clock.Now().Before(ends) {
				s.rowOf("ax1") // still has a row
				return fault.WithClass(fault.ClassUnavailable, errors.New("connection refused"))
			}
			return nil
		})
		s.syncAll()
		if s.clock.Now().Before(ends) || len(s.rows()) != 3 {
			t.Errorf("at %s the rows are %+v, want ax1 deleted after %s", s.clock.Now(), s.rows(), ends)
		}
		s.noScopes()
	})
}

func TestCreationDuringAnOutageIsSentOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newZonedShop(t, db, nil)
		away := 2
		s.answer(func(call string, _ zoned) error {
			if call == "create" && away > 0 {
				away--
				return fault.WithClass(fault.ClassUnavailable, errors.New("connection refused"))
			}
			return nil
		})
		job := s.drain(s.Create(t.Context(), zoned{Account: "a", Zone: "x", Name: "ax3"}, byUser))
		if s.ends(job, tracker.StatusSuccess, ""); job.Attempt != 1 || len(s.calls["create a/x"]) != 3 {
			t.Errorf("job %+v, calls %v; want three calls in one attempt that counts", job, s.calls)
		}
		if s.rowOf("ax3").State != nawasync.StateSynced {
			t.Errorf("row %+v, want it synced", s.rowOf("ax3"))
		}
		enginetest.NoError(t, nawasynctest.Drain(t.Context(), s.engine, s.clock))
		s.noScopes()
	})
}
