package nawasync_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/tracker"
)

// unhurried keeps the actors from ticking millions of times in virtual weeks.
var unhurried = nawasync.Tuning{
	Relay: 5 * time.Second, Sweep: time.Hour, Beat: 20 * time.Second, Trust: 2 * time.Minute, Patience: 5 * time.Minute,
	Fold: time.Minute, Prune: 2 * time.Minute, Schedule: 20 * time.Second, Recheck: 5 * time.Minute,
}

// virtually runs a test in a bubble in which time passes as soon as all wait.
func virtually(t *testing.T, fn func(t *testing.T, h *harness)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "virtual.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := testdb.Open("sqlite", testdb.SQLiteDSN(path))
		ok(t, err)
		t.Cleanup(func() {
			pool, err := db.DB()
			ok(t, err)
			ok(t, pool.Close())
		})
		ok(t, migrations.Up(t.Context(), db))
		fn(t, newHarness(t, &testdb.Database{DB: db, Dialect: "sqlite", DSN: testdb.SQLiteDSN(path)}))
	})
}

func (h *harness) unhurried(change func(*nawasync.Config)) *nawasync.Engine {
	return h.tuned(unhurried, func(c *nawasync.Config) {
		c.Queues = map[string]nawasync.Queue{"default": {Slots: 2, Poll: 5 * time.Second}}
		c.Now = func() time.Time { return time.Now().Add(time.Duration(h.shift.Load())) }
		if change != nil {
			change(c)
		}
	})
}

// skip turns the engines' clock on by d, without the ticks in between, and lets
// the actors take notice.
func (h *harness) skip(d time.Duration) {
	h.shift.Add(int64(d))
	time.Sleep(6 * time.Minute)
}

func TestBackoffIs10Then30SecondsWithJitterAndADelayIsKept(t *testing.T) {
	virtually(t, func(t *testing.T, h *harness) {
		e := h.unhurried(nil)
		starts := make(chan time.Time, 10)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error {
			starts <- time.Now()
			return errBoom
		}}))
		h.start(e)
		begun := time.Now()
		job, err := e.Dispatch(t.Context(), note{ID: "a"}, nawasync.Options{Delay: time.Hour})
		ok(t, err)
		first, second, third := <-starts, <-starts, <-starts
		for _, gap := range []struct {
			name              string
			is, least, atMost time.Duration
		}{
			{"delay", first.Sub(begun), time.Hour, time.Hour + 15*time.Second},
			{"first backoff", second.Sub(first), 8 * time.Second, 12*time.Second + 15*time.Second},
			{"second backoff", third.Sub(second), 24 * time.Second, 36*time.Second + 15*time.Second},
		} {
			if gap.is < gap.least || gap.is > gap.atMost {
				t.Errorf("%s took %s", gap.name, gap.is)
			}
		}
		waitStatus(t, e, job.ID, tracker.Failed)
	})
}

func TestScheduleTicksCatchesUpWithTheNewestAndShowsOrphans(t *testing.T) {
	virtually(t, func(t *testing.T, h *harness) {
		var ran atomic.Int64
		start := func(scheduled bool) *nawasync.Engine {
			e := h.unhurried(nil)
			ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { ran.Add(1); return nil }}))
			if scheduled {
				ok(t, e.Schedule(nawasync.Schedule{Name: "notes-hourly", Spec: "0 * * * *", Args: note{ID: "all"}}))
			}
			return h.start(e)
		}
		first := start(true)
		time.Sleep(3*time.Hour + time.Minute)
		if n := ran.Load(); n != 3 {
			t.Fatalf("%d ticks in three hours", n)
		}
		ok(t, first.Stop(t.Context()))
		time.Sleep(10 * time.Hour) // nobody is there
		second := start(true)
		time.Sleep(time.Minute)
		if n := ran.Load(); n != 4 {
			t.Fatalf("%d runs after a downtime of ten ticks", n)
		}
		ok(t, second.Stop(t.Context()))
		third := start(false)
		time.Sleep(time.Hour)
		rows, err := third.Store().Schedules(t.Context())
		ok(t, err)
		if len(rows) != 1 || !rows[0].Orphaned(third.Store().Now()) || ran.Load() != 4 {
			t.Fatalf("%+v, %d runs", rows, ran.Load())
		}
		page, err := third.Store().Search(t.Context(), tracker.Search{}, 0, 0, 10)
		ok(t, err)
		if page.Jobs[0].TriggerSource != "scheduled" || page.Jobs[0].TriggeredBy != "schedule:notes-hourly" {
			t.Fatalf("%+v", page.Jobs[0])
		}
	})
}

func TestTickOnFiveProcessesOneWithASkewedClockMakesOneRow(t *testing.T) {
	virtually(t, func(t *testing.T, h *harness) {
		for i := range 5 {
			e := h.unhurried(func(c *nawasync.Config) {
				if i == 1 {
					c.Now = func() time.Time { return time.Now().Add(7 * time.Minute) }
				}
				if i == 2 { // slow: it looks at the schedules late
					c.Now = func() time.Time { return time.Now().Add(-3 * time.Minute) }
				}
			})
			ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
			ok(t, e.Schedule(nawasync.Schedule{Name: "often", Spec: "*/20 * * * *", Args: note{ID: "all"}}))
			if i != 1 && i != 2 { // what runs at start goes by the clock
				ok(t, e.Schedule(nawasync.Schedule{Name: "at-start", Spec: "0 0 1 1 *", RunAtStart: true, Args: note{ID: "start"}}))
			}
			h.start(e)
		}
		time.Sleep(50 * time.Minute)
		counts := map[string]int{}
		var rows []string
		ok(t, h.db.Raw("SELECT target_id FROM nawasync_jobs").Scan(&rows).Error)
		for _, id := range rows {
			counts[id]++
		}
		if counts["all"] != 2 || counts["start"] != 1 {
			t.Fatalf("rows %v", counts)
		}
	})
}

func TestJobThatDoesNotFinishInAWeekExpires(t *testing.T) {
	virtually(t, func(t *testing.T, h *harness) {
		e := h.unhurried(nil)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error {
			return nawasync.RetryAfter(24*time.Hour, errors.New("not yet"))
		}}))
		h.start(e)
		waits := dispatch(t, e, note{ID: "waits"})
		unserved := dispatch(t, e, other{ID: "unserved"})
		for range 4 {
			h.skip(24 * time.Hour)
		}
		if row, err := e.Store().Get(t.Context(), waits.ID); err != nil || row.Status != tracker.Queued || row.Attempt != 0 {
			t.Fatalf("%+v %v", row, err)
		}
		for range 4 {
			h.skip(24 * time.Hour)
		}
		for _, id := range []int64{waits.ID, unserved.ID} {
			if row, err := e.Store().Get(t.Context(), id); err != nil || row.Status != tracker.Failed || row.ErrorClass != "expired" {
				t.Fatalf("%+v %v", row, err)
			}
		}
	})
}

func TestRetentionDropsArgumentsThenRowsAndKeepsTheLastSuccess(t *testing.T) {
	virtually(t, func(t *testing.T, h *harness) {
		e := h.unhurried(func(c *nawasync.Config) { c.Sealer = keyring(t, newKey(t)) })
		ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error {
			if run.Args.N == 1 {
				return nawasync.Permanent(errBoom)
			}
			return nil
		}}))
		h.start(e)
		good, bad := dispatch(t, e, note{ID: "a"}), dispatch(t, e, note{ID: "b", N: 1})
		exists := func(id int64) bool {
			_, err := e.Store().Get(t.Context(), id)
			return err == nil
		}
		time.Sleep(time.Minute)
		h.skip(6 * 24 * time.Hour)
		if row, err := e.Store().Get(t.Context(), bad.ID); err != nil || len(row.Sealed) == 0 {
			t.Fatalf("arguments went early: %v", err)
		}
		h.skip(2 * 24 * time.Hour)
		if row, err := e.Store().Get(t.Context(), bad.ID); err != nil || !row.ArgumentsDropped() {
			t.Fatalf("arguments are kept: %v", err)
		}
		if _, err := e.Retry(t.Context(), bad.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatal(err)
		}
		h.skip(7 * 24 * time.Hour)
		if exists(good.ID) || !exists(bad.ID) {
			t.Fatal("after 15 days the success should be gone and the failure not")
		}
		h.skip(80 * 24 * time.Hour)
		if exists(bad.ID) {
			t.Fatal("after 95 days the failure is still there")
		}
		at, id, err := e.Store().LastSuccess(t.Context(), "notes", "note", "write", "")
		ok(t, err)
		if id != good.ID || at.IsZero() {
			t.Fatalf("last success %d at %s", id, at)
		}
	})
}
