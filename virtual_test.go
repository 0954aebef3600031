package nawasync_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/tracker"
)

func TestBackoffIs10Then30SecondsWithJitterAndADelayIsKept(t *testing.T) {
	enginetest.Virtually(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		starts := make(chan time.Time, 10)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error {
			starts <- time.Now()
			return enginetest.ErrBoom
		}}))
		h.Start(e)
		begun := time.Now()
		job, err := e.Dispatch(t.Context(), enginetest.Note{ID: "a"}, nawasync.Options{Delay: time.Hour})
		enginetest.OK(t, err)
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
		enginetest.WaitStatus(t, e, job.ID, tracker.Failed)
	})
}

func TestScheduleTicksCatchesUpWithTheNewestAndShowsOrphans(t *testing.T) {
	enginetest.Virtually(t, func(t *testing.T, h *enginetest.Harness) {
		var ran atomic.Int64
		start := func(scheduled bool) *nawasync.Engine {
			e := h.Unhurried(nil)
			enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { ran.Add(1); return nil }}))
			if scheduled {
				enginetest.OK(t, e.Schedule(nawasync.Schedule{Name: "notes-hourly", Spec: "0 * * * *", Args: enginetest.Note{ID: "all"}}))
			}
			return h.Start(e)
		}
		first := start(true)
		time.Sleep(3*time.Hour + time.Minute)
		if n := ran.Load(); n != 3 {
			t.Fatalf("%d ticks in three hours", n)
		}
		enginetest.OK(t, first.Stop(t.Context()))
		time.Sleep(10 * time.Hour) // nobody is there
		second := start(true)
		time.Sleep(time.Minute)
		if n := ran.Load(); n != 4 {
			t.Fatalf("%d runs after a downtime of ten ticks", n)
		}
		enginetest.OK(t, second.Stop(t.Context()))
		third := start(false)
		time.Sleep(time.Hour)
		rows, err := third.Reader().Schedules(t.Context())
		enginetest.OK(t, err)
		if len(rows) != 1 || !rows[0].Orphaned(third.Reader().Now()) || ran.Load() != 4 {
			t.Fatalf("%+v, %d runs", rows, ran.Load())
		}
		page, err := third.Reader().Search(t.Context(), tracker.Search{Limit: 10})
		enginetest.OK(t, err)
		if page.Jobs[0].TriggerSource != "scheduled" || page.Jobs[0].TriggeredBy != "schedule:notes-hourly" {
			t.Fatalf("%+v", page.Jobs[0])
		}
	})
}

func TestTickOnFiveProcessesOneWithASkewedClockMakesOneRow(t *testing.T) {
	enginetest.Virtually(t, func(t *testing.T, h *enginetest.Harness) {
		for i := range 5 {
			e := h.Unhurried(func(c *nawasync.Config) {
				if i == 1 {
					c.Now = func() time.Time { return time.Now().Add(7 * time.Minute) }
				}
				if i == 2 { // slow: it looks at the schedules late
					c.Now = func() time.Time { return time.Now().Add(-3 * time.Minute) }
				}
			})
			enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
			enginetest.OK(t, e.Schedule(nawasync.Schedule{Name: "often", Spec: "*/20 * * * *", Args: enginetest.Note{ID: "all"}}))
			if i != 1 && i != 2 { // what runs at start goes by the clock
				enginetest.OK(t, e.Schedule(nawasync.Schedule{Name: "at-start", Spec: "0 0 1 1 *", RunAtStart: true, Args: enginetest.Note{ID: "start"}}))
			}
			h.Start(e)
		}
		time.Sleep(50 * time.Minute)
		counts := map[string]int{}
		var rows []string
		enginetest.OK(t, h.DB.Raw("SELECT target_id FROM nawasync_jobs").Scan(&rows).Error)
		for _, id := range rows {
			counts[id]++
		}
		if counts["all"] != 2 || counts["start"] != 1 {
			t.Fatalf("rows %v", counts)
		}
	})
}

func TestJobThatDoesNotFinishInAWeekExpires(t *testing.T) {
	enginetest.Virtually(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error {
			return nawasync.RetryAfter(24*time.Hour, errors.New("not yet"))
		}}))
		h.Start(e)
		waits := enginetest.Dispatch(t, e, enginetest.Note{ID: "waits"})
		unserved := enginetest.Dispatch(t, e, other{ID: "unserved"})
		for range 4 {
			h.Skip(24 * time.Hour)
		}
		if row, err := e.Reader().Get(t.Context(), waits.ID); err != nil || row.Status != tracker.Queued || row.Attempt != 0 {
			t.Fatalf("%+v %v", row, err)
		}
		for range 4 {
			h.Skip(24 * time.Hour)
		}
		for _, id := range []int64{waits.ID, unserved.ID} {
			if row, err := e.Reader().Get(t.Context(), id); err != nil || row.Status != tracker.Failed || row.ErrorClass != "expired" {
				t.Fatalf("%+v %v", row, err)
			}
		}
	})
}

func TestRetentionDropsArgumentsThenRowsAndKeepsTheLastSuccess(t *testing.T) {
	enginetest.Virtually(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			if run.Args.N == 1 {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			return nil
		}}))
		h.Start(e)
		good, bad := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"}), enginetest.Dispatch(t, e, enginetest.Note{ID: "b", N: 1})
		exists := func(id int64) bool {
			_, err := e.Reader().Get(t.Context(), id)
			return err == nil
		}
		time.Sleep(time.Minute)
		h.Skip(6 * 24 * time.Hour)
		if row, err := enginetest.Store(e).Load(t.Context(), bad.ID); err != nil || len(row.Sealed) == 0 {
			t.Fatalf("arguments went early: %v", err)
		}
		h.Skip(2 * 24 * time.Hour)
		if row, err := e.Reader().Get(t.Context(), bad.ID); err != nil || !row.ArgumentsDropped() {
			t.Fatalf("arguments are kept: %v", err)
		}
		if _, err := e.Retry(t.Context(), bad.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatal(err)
		}
		h.Skip(7 * 24 * time.Hour)
		if exists(good.ID) || !exists(bad.ID) {
			t.Fatal("after 15 days the success should be gone and the failure not")
		}
		h.Skip(80 * 24 * time.Hour)
		if exists(bad.ID) {
			t.Fatal("after 95 days the failure is still there")
		}
		at, id, err := e.Reader().LastSuccess(t.Context(), "notes", "note", "write", "")
		enginetest.OK(t, err)
		if id != good.ID || at.IsZero() {
			t.Fatalf("last success %d at %s", id, at)
		}
	})
}
