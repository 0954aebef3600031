package nawasynctest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

var noon = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// newDrained returns an engine without Redis whose jobs run do, and its clock, which shows noon.
func newDrained(t *testing.T, db *gorm.DB, do func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error) (*nawasync.Engine, *nawasynctest.Clock) {
	t.Helper()
	clock := nawasynctest.NewClock(noon)
	e := nawasynctest.NewEngine(t, func(c *nawasync.Config) { c.DB, c.Now, c.Redis = db, clock.Now, nil })
	enginetest.Register(t, e, do)
	return e, clock
}

func dispatch(t *testing.T, e *nawasync.Engine, args nawasync.Args, o nawasync.Options) int64 {
	t.Helper()
	job, err := e.Dispatch(t.Context(), args, o)
	enginetest.NoError(t, err)
	return job.ID
}

func drain(t *testing.T, e *nawasync.Engine, clock *nawasynctest.Clock) {
	t.Helper()
	enginetest.NoError(t, nawasynctest.Drain(t.Context(), e, clock))
}

func get(t *testing.T, e *nawasync.Engine, id int64) *tracker.Job {
	t.Helper()
	job, err := e.Reader().Get(t.Context(), id)
	enginetest.NoError(t, err)
	return job
}

func TestDrainRetriesWithoutWaitingForTheBackoff(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		e, clock := newDrained(t, db.DB, func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if err := run.BeginWrite(ctx); err != nil {
				return err
			}
			switch {
			case run.Args.ID == "never", run.Attempt() < 3:
				return enginetest.ErrBoom
			}
			return nil
		})
		second, never := dispatch(t, e, enginetest.JobArgs{ID: "third time"}, nawasync.Options{}), dispatch(t, e, enginetest.JobArgs{ID: "never"}, nawasync.Options{})
		begun := time.Now()
		drain(t, e, clock)
		if job := get(t, e, second); job.Status != tracker.StatusSuccess || job.Attempt != 3 {
			t.Errorf("job = %s after attempt %d, want success after 3", job.Status, job.Attempt)
		}
		if job := get(t, e, never); job.Status != tracker.StatusFailed || job.Attempt != nawasync.DefaultAttempts {
			t.Errorf("job = %s after attempt %d, want failed after %d", job.Status, job.Attempt, nawasync.DefaultAttempts)
		}
		if moved := clock.Now().Sub(noon); moved < 30*time.Second || time.Since(begun) > moved {
			t.Errorf("the clock moved by %s in %s, want the backoffs of 10 s and 30 s without a wait", moved, time.Since(begun))
		}
	})
}

func TestDrainRunsJobsInTheOrderOfTheirTimesAndThenOfTheirDispatch(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var order []string
		var clock *nawasynctest.Clock
		record := func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			order = append(order, fmt.Sprint(run.Args.Instance, "/", run.Args.N, "+", clock.Now().Sub(noon)))
			return nil
		}
		e, clock2 := newDrained(t, db.DB, record)
		clock = clock2
		for i, delay := range []time.Duration{3 * time.Hour, time.Hour, 0, 0, 2 * time.Hour} {
			// The streams' names are in the opposite order, and the first and the last job share a lane.
			args := enginetest.JobArgs{Instance: string(rune('z' - i%4)), ID: "a", N: i}
			dispatch(t, e, args, nawasync.Options{Delay: delay})
		}
		drain(t, e, clock)
		want := []string{"x/2+0s", "w/3+0s", "y/1+1h0m0s", "z/4+2h0m0s", "z/0+3h0m0s"}
		if !slices.Equal(order, want) {
			t.Errorf("order = %v, want %v", order, want)
		}
	})
}

func TestDrainResumesAParkedScopeAndALaneBehindIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var order []int
		e, clock := newDrained(t, db.DB, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			order = append(order, run.Args.N)
			if len(order) == 1 {
				return &fault.Error{Class: fault.ClassRateLimited, Err: errors.New("slow down"), RetryAfter: 20 * time.Minute}
			}
			return nil
		})
		var ids []int64
		for i := range 3 {
			ids = append(ids, dispatch(t, e, enginetest.JobArgs{ID: "same", N: i}, nawasync.Options{}))
		}
		ids = append(ids, dispatch(t, e, enginetest.JobArgs{ID: "other", N: 3}, nawasync.Options{}))
		drain(t, e, clock)
		for _, id := range ids {
			if job := get(t, e, id); job.Status != tracker.StatusSuccess || job.FinishedAt.Before(noon.Add(20*time.Minute)) {
				t.Errorf("job %d = %s at %s, want success after the scope was parked", id, job.Status, job.FinishedAt)
			}
		}
		if want := []int{0, 0, 1, 2, 3}; !slices.Equal(order, want) {
			t.Errorf("order = %v, want %v", order, want)
		}
		if moved := clock.Now().Sub(noon); moved != 20*time.Minute {
			t.Errorf("the clock moved by %s, want 20 minutes", moved)
		}
	})
}

func TestDrainRunsTheJobsThatAJobDispatches(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var e *nawasync.Engine
		runs, hooks := 0, 0
		e, clock := newDrained(t, db.DB, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			runs++
			run.OnSuccess(func(tx *gorm.DB) error {
				if hooks++; hooks == 1 {
					return enginetest.ErrBoom // the attempt fails and is retried
				}
				if run.Args.N == 3 {
					return nil
				}
				_, err := e.DispatchTx(tx.Statement.Context, tx, enginetest.JobArgs{ID: "next", N: run.Args.N + 1}, nawasync.Options{Delay: time.Hour})
				return err
			})
			return nil
		})
		dispatch(t, e, enginetest.JobArgs{ID: "first", N: 1}, nawasync.Options{})
		drain(t, e, clock)
		if runs != 4 || clock.Now().Before(noon.Add(2*time.Hour)) {
			t.Errorf("%d runs by %s, want the first job twice and two more jobs, each an hour later", runs, clock.Now())
		}
		nawasynctest.RequireDispatched(t, e, enginetest.JobArgs{ID: "next", N: 3})
	})
}

func TestDrainNamesTheJobsThatCannotRunAndRunsTheOthers(t *testing.T) {
	t.Parallel()
	e, clock := newDrained(t, nil, enginetest.DoNothing)
	unregistered := dispatch(t, e, rename{Mailbox: "a"}, nawasync.Options{})
	paused := dispatch(t, e, enginetest.JobArgs{Instance: "down", ID: "b"}, nawasync.Options{})
	later := dispatch(t, e, enginetest.JobArgs{Instance: "later", ID: "c"}, nawasync.Options{})
	enginetest.NoError(t, e.Pause(t.Context(), "notes", "down", nawasync.PauseOptions{By: "user:7"}))
	enginetest.NoError(t, e.Pause(t.Context(), "notes", "later", nawasync.PauseOptions{By: "user:7", Until: noon.Add(time.Hour)}))
	err := nawasynctest.Drain(t.Context(), e, clock)
	want := fmt.Sprintf(`drain: these jobs have not ended: job %d, mail/mailbox/rename of "a": no handler is registered for its kind; `+
		`job %d, notes/note/write of "b": user:7 has paused notes/down until Engine.Resume`, unregistered, paused)
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
	if job := get(t, e, later); job.Status != tracker.StatusSuccess || !job.FinishedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("the job of a pause with an end is %s at %s, want success at its end", job.Status, job.FinishedAt)
	}
}

func TestDrainGivesUpOnAJobThatNeverEnds(t *testing.T) {
	t.Parallel()
	runs := 0
	e, clock := newDrained(t, nil, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		runs++
		return nawasync.RetryAfter(0, errors.New("still exporting"))
	})
	id := dispatch(t, e, enginetest.JobArgs{ID: "a"}, nawasync.Options{})
	err := nawasynctest.Drain(t.Context(), e, clock)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("gave up on job %d", id)) || !strings.Contains(err.Error(), "still exporting") || runs != 300 {
		t.Errorf("error = %v after %d runs, want one that names job %d and its error after 300 runs", err, runs, id)
	}
}

func TestDrainEndsWithItsContextAndConsumesNoAttempt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	errEnough := errors.New("enough")
	e, clock := newDrained(t, nil, func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
		cancel(errEnough)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	id := dispatch(t, e, enginetest.JobArgs{ID: "a"}, nawasync.Options{})
	if err := nawasynctest.Drain(ctx, e, clock); !errors.Is(err, errEnough) || !strings.Contains(err.Error(), fmt.Sprintf("job %d", id)) {
		t.Errorf("error = %v, want the cause and the open job %d", err, id)
	}
	if job := get(t, e, id); job.Status != tracker.StatusQueued || job.Attempt != 0 {
		t.Errorf("job = %s with %d attempts, want queued with none", job.Status, job.Attempt)
	}
}

func TestDrainRefusesAStartedEngineAndTheClockOfAnother(t *testing.T) {
	t.Parallel()
	e, _ := newDrained(t, nil, enginetest.DoNothing)
	dispatch(t, e, enginetest.JobArgs{ID: "a"}, nawasync.Options{Delay: time.Hour})
	for _, clock := range []*nawasynctest.Clock{nil, nawasynctest.NewClock(time.Time{})} {
		if err := nawasynctest.Drain(t.Context(), e, clock); err == nil || !strings.Contains(err.Error(), "set Config.Now") {
			t.Errorf("Drain with a clock that is not the engine's: error = %v, want one about Config.Now", err)
		}
	}
	enginetest.NoError(t, e.Start(t.Context()))
	if err := nawasynctest.Drain(t.Context(), e, nil); err == nil || !strings.Contains(err.Error(), "WaitEnded") {
		t.Errorf("Drain of a started engine: error = %v, want one about WaitEnded", err)
	}
}

func TestClockShowsTheTimeThatTheTestSets(t *testing.T) {
	t.Parallel()
	clock := nawasynctest.NewClock(noon)
	clock.Advance(time.Hour)
	clock.Advance(-time.Minute)
	if want := noon.Add(59 * time.Minute); !clock.Now().Equal(want) {
		t.Errorf("the clock shows %s after Advance, want %s", clock.Now(), want)
	}
	clock.Set(noon.Add(time.Nanosecond))
	if clock.Now() != noon {
		t.Errorf("the clock shows %s after Set, want %s in whole microseconds", clock.Now(), noon)
	}
	if d := time.Since(nawasynctest.NewClock(time.Time{}).Now()); d < 0 || d > time.Hour {
		t.Errorf("a clock without a start is %s behind the system's, want the current time", d)
	}
}
