package nawasync_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

func TestScheduleRunsEachTickAndTheNewestMissedTickAndReportsOrphans(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		var ran atomic.Int64
		start := func(scheduled bool) *nawasync.Engine {
			e := h.Unhurried(nil)
			enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
				ran.Add(1)
				return nil
			})
			if scheduled {
				enginetest.NoError(t, e.Schedule(nawasync.Schedule{Name: "notes-hourly", Spec: "0 * * * *", Args: enginetest.JobArgs{ID: "all"}}))
			}
			return h.Start(e)
		}
		first := start(true)
		time.Sleep(3*time.Hour + time.Minute)
		if n := ran.Load(); n != 3 {
			t.Fatalf("%d runs in three hours, want 3", n)
		}
		enginetest.NoError(t, first.Stop(t.Context()))
		time.Sleep(10 * time.Hour) // no engine runs
		second := start(true)
		time.Sleep(time.Minute)
		if n := ran.Load(); n != 4 {
			t.Fatalf("%d runs after ten missed ticks, want one more than before: 4", n)
		}
		enginetest.NoError(t, second.Stop(t.Context()))
		third := start(false)
		time.Sleep(time.Hour)
		rows, err := third.Reader().Schedules(t.Context())
		enginetest.NoError(t, err)
		if len(rows) != 1 || !rows[0].Orphaned(third.Reader().Now()) || ran.Load() != 4 {
			t.Fatalf("schedules %+v, %d runs; want one orphaned schedule and 4 runs", rows, ran.Load())
		}
		page, err := third.Reader().Search(t.Context(), tracker.Search{Limit: 10})
		enginetest.NoError(t, err)
		if page.Jobs[0].TriggerSource != "scheduled" || page.Jobs[0].TriggeredBy != "schedule:notes-hourly" {
			t.Fatalf("job %+v, want one of schedule notes-hourly", page.Jobs[0])
		}
	})
}

func TestTickOnFiveProcessesWithSkewedClocksAddsOneJob(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		for i := range 5 {
			e := h.Unhurried(func(c *nawasync.Config) {
				if i == 1 {
					c.Now = func() time.Time { return time.Now().Add(7 * time.Minute) }
				}
				if i == 2 { // sees every tick late
					c.Now = func() time.Time { return time.Now().Add(-3 * time.Minute) }
				}
			})
			enginetest.Register(t, e, enginetest.DoNothing)
			enginetest.NoError(t, e.Schedule(nawasync.Schedule{Name: "often", Spec: "*/20 * * * *", Args: enginetest.JobArgs{ID: "all"}}))
			if i != 1 && i != 2 { // a skewed clock would add a second job at start
				enginetest.NoError(t, e.Schedule(nawasync.Schedule{Name: "at-start", Spec: "0 0 1 1 *", RunAtStart: true, Args: enginetest.JobArgs{ID: "start"}}))
			}
			h.Start(e)
			// The first process registers the schedules. Registered by the third, 00:00 would be a
			// tick still to come.
			time.Sleep(time.Second)
		}
		time.Sleep(50 * time.Minute)
		counts := map[string]int{}
		var rows []string
		enginetest.NoError(t, h.DB.Raw("SELECT target_id FROM nawasync_jobs").Scan(&rows).Error)
		for _, id := range rows {
			counts[id]++
		}
		if counts["all"] != 2 || counts["start"] != 1 {
			t.Fatalf("jobs by target %v, want 2 of all and 1 of start", counts)
		}
	})
}

func TestScheduleTicksOnAfterItsClockWasAheadAndIsSetBack(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		h.Skip(3 * time.Hour)
		var ran atomic.Int64
		e := h.Unhurried(nil)
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			ran.Add(1)
			return nil
		})
		enginetest.NoError(t, e.Schedule(nawasync.Schedule{Name: "often", Spec: "*/10 * * * *", Args: enginetest.JobArgs{ID: "all"}}))
		h.Start(e)
		time.Sleep(time.Hour)
		ahead := ran.Load()
		h.Skip(-3 * time.Hour)
		time.Sleep(time.Hour)
		if n := ran.Load() - ahead; ahead != 6 || n < 6 || n > 7 {
			t.Errorf("%d runs in the hour before the clock was set back and %d after, want 6 and 6 or 7", ahead, n)
		}
		rows, err := e.Reader().Schedules(t.Context())
		enginetest.NoError(t, err)
		if now := e.Reader().Now(); rows[0].Orphaned(now) || rows[0].LastTick.After(now) {
			t.Errorf("at %s the schedule is %+v; want that it was seen, with a last tick in the past", now, rows[0])
		}
	})
}

func TestPausedScheduleLeavesItsTicksOutAndRunsWhenAnOperatorAsks(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		var ran atomic.Int64
		start := func() *nawasync.Engine {
			e := h.Unhurried(nil)
			enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
				ran.Add(1)
				return nil
			})
			enginetest.NoError(t, e.Schedule(nawasync.Schedule{Name: "often", Spec: "*/5 * * * *", Args: enginetest.JobArgs{ID: "all"}}))
			return h.Start(e)
		}
		first := start()
		start() // a tick or a request is one job on two processes
		expect := func(when string, want int64) {
			t.Helper()
			if n := ran.Load(); n != want {
				t.Fatalf("%s: %d runs, want %d", when, n, want)
			}
		}
		internals, ctx := first.Internals(host.NewKey()), t.Context()
		time.Sleep(7*time.Minute + 30*time.Second)
		expect("after a tick", 1)

		enginetest.NoError(t, internals.PauseSchedule(ctx, "often", nawasync.PauseOptions{By: "ann", Reason: "moves"}))
		time.Sleep(15 * time.Minute)
		expect("paused for three ticks", 1)
		for range 2 {
			_, served, err := internals.RunSchedule(ctx, "often", nawasync.OperatorOptions{By: "bob"})
			enginetest.NoError(t, err)
			if !served {
				t.Fatal("a schedule that two processes register is not served")
			}
		}
		time.Sleep(time.Minute)
		expect("two requests at once", 2)
		page, err := first.Reader().Search(ctx, tracker.Search{Limit: 1})
		enginetest.NoError(t, err)
		if job := page.Jobs[0]; job.TriggeredBy != "bob" || job.TriggerSource != "manual" {
			t.Errorf("the run that bob asked for is %+v", job)
		}

		found, err := internals.ResumeSchedule(ctx, "often", nawasync.OperatorOptions{By: "ann"})
		enginetest.NoError(t, err)
		again, err := internals.ResumeSchedule(ctx, "often", nawasync.OperatorOptions{By: "ann"})
		enginetest.NoError(t, err)
		if !found || again {
			t.Errorf("resumed: %t, and again: %t; want true, and false", found, again)
		}
		time.Sleep(time.Minute)
		expect("resumed, before the next tick", 2)
		time.Sleep(5 * time.Minute)
		expect("resumed, after the next tick", 3)

		until := first.Reader().Now().Add(10 * time.Minute)
		enginetest.NoError(t, internals.PauseSchedule(ctx, "often", nawasync.PauseOptions{By: "ann", Until: until}))
		time.Sleep(10*time.Minute + 20*time.Second)
		expect("a pause of ten minutes", 3)
		time.Sleep(5 * time.Minute)
		expect("five minutes after the pause has ended by itself", 4)

		if err := internals.PauseSchedule(ctx, "often", nawasync.PauseOptions{Until: until}); !errors.Is(err, nawasync.ErrInvalid) {
			t.Errorf("a pause until a time in the past: %v, want ErrInvalid", err)
		}
		if err := internals.PauseSchedule(ctx, "none", nawasync.PauseOptions{}); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("a pause of an unknown schedule: %v, want ErrNotFound", err)
		}
		entries, err := first.Reader().AuditLog(ctx, tracker.AuditFilter{Subject: "ann", Action: "resume_schedule"})
		enginetest.NoError(t, err)
		if len(entries) != 2 || entries[1].Outcome != tracker.AuditDone || entries[0].Outcome != tracker.AuditFailed || entries[1].Detail != "schedule often" {
			t.Errorf("the audit log has %+v; want a resume that was done, and one that failed", entries)
		}
	})
}

func TestRequestForARunThatNoProcessTakesExpiresAfterAnHour(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		var ran atomic.Int64
		start := func() *nawasync.Engine {
			e := h.Unhurried(nil)
			enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
				ran.Add(1)
				return nil
			})
			enginetest.NoError(t, e.Schedule(nawasync.Schedule{Name: "yearly", Spec: "0 0 1 1 *", Args: enginetest.JobArgs{ID: "all"}}))
			return h.Start(e)
		}
		ask := func(e *nawasync.Engine) {
			t.Helper()
			asked, served, err := e.Internals(host.NewKey()).RunSchedule(t.Context(), "yearly", nawasync.OperatorOptions{By: "bob"})
			enginetest.NoError(t, err)
			if !asked || !served {
				t.Fatalf("asked %t, served %t; want both", asked, served)
			}
		}
		for _, c := range []struct {
			down          time.Duration
			runs, expired int
		}{{55 * time.Minute, 1, 0}, {61 * time.Minute, 1, 1}} {
			e := start()
			time.Sleep(time.Minute)
			enginetest.NoError(t, e.Stop(t.Context()))
			ask(e)
			time.Sleep(c.down)
			e = start()
			time.Sleep(time.Minute)
			entries, err := e.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "run_schedule", Outcome: tracker.AuditFailed})
			enginetest.NoError(t, err)
			if int(ran.Load()) != c.runs || len(entries) != c.expired {
				t.Fatalf("after %s: %d runs, and the audit log has %+v; want %d runs and %d expired requests", c.down, ran.Load(), entries, c.runs, c.expired)
			}
			for _, entry := range entries {
				if entry.Subject != "bob" || entry.Detail != "schedule yearly: no process took the request within 1h0m0s" {
					t.Errorf("the audit log has %+v", entry)
				}
			}
			rows, err := e.Reader().Schedules(t.Context())
			enginetest.NoError(t, err)
			if !rows[0].RunAskedAt.IsZero() {
				t.Errorf("after %s, the request is still there: %+v", c.down, rows[0])
			}
			enginetest.NoError(t, e.Stop(t.Context()))
		}
		e := start()
		ask(e) // an expired request does not block a new one
		time.Sleep(time.Minute)
		if n := ran.Load(); n != 2 {
			t.Errorf("%d runs after the last request, want 2", n)
		}
	})
}

func TestScheduleThatNoProcessRegistersCannotRunNow(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		enginetest.NoError(t, e.Schedule(nawasync.Schedule{Name: "hourly", Spec: "0 * * * *", Args: enginetest.JobArgs{ID: "all"}}))
		e = h.Start(e)
		time.Sleep(time.Minute)
		enginetest.NoError(t, e.Stop(t.Context()))
		time.Sleep(time.Hour)
		asked, served, err := e.Internals(host.NewKey()).RunSchedule(t.Context(), "hourly", nawasync.OperatorOptions{By: "ann"})
		if err != nil || asked || served {
			t.Errorf("asked %t, served %t, %v; want neither", asked, served, err)
		}
	})
}
