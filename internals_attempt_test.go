package nawasync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// sealing configures an engine with a clock and a keyring.
func sealing(t *testing.T, clock *nawasynctest.Clock) func(*nawasync.Config) {
	sealer := enginetest.Keyring(t, enginetest.NewKey(t))
	return func(c *nawasync.Config) { c.Now, c.Sealer = clock.Now, sealer }
}

// runAttempts registers a handler that runs the given functions, one per attempt, and runs the jobs.
func runAttempts(t *testing.T, e *nawasync.Engine, clock *nawasynctest.Clock, list ...func(ctx context.Context, a host.Attempt) error) *tracker.Job {
	t.Helper()
	next := 0
	kind := enginetest.JobArgs{}.Kind()
	enginetest.NoError(t, e.Internals(host.NewKey()).Register([]host.Handler{{
		Service: kind.Service, Type: kind.Type, Action: kind.Action,
		Decode: func([]byte) ([]string, func(context.Context, host.Attempt) error, error) {
			return nil, func(ctx context.Context, a host.Attempt) error {
				if next++; next > len(list) {
					return fmt.Errorf("attempt %d was not expected", next)
				}
				return list[next-1](ctx, a)
			}, nil
		},
	}}))
	job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
	enginetest.NoError(t, nawasynctest.Drain(t.Context(), e, clock))
	job, err := e.Reader().Get(t.Context(), job.ID)
	enginetest.NoError(t, err)
	if next != len(list) {
		t.Fatalf("%d attempts ran, want %d; job: %s (%s)", next, len(list), job.Status, job.Error)
	}
	return job
}

type placeState struct {
	Cursor string `json:"cursor"`
}

func stateOf(t *testing.T, db *testdb.Database, id int64) (state []byte) {
	t.Helper()
	enginetest.NoError(t, db.Raw("SELECT state FROM nawasync_jobs WHERE id = ?", id).Row().Scan(&state))
	return state
}

func requireState(ctx context.Context, a host.Attempt, want string) error {
	var got placeState
	found, err := a.State(ctx, &got)
	if err != nil || found != (want != "") || got.Cursor != want {
		return nawasync.Permanent(fmt.Errorf("state %q (%v, %w), want %q", got.Cursor, found, err, want))
	}
	return nil
}

func TestStateOfAnAttemptIsThereInTheNextOneUntilTheJobEnds(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		clock := nawasynctest.NewClock(time.Time{})
		e := enginetest.New(t, db).Engine(sealing(t, clock))
		var id int64
		job := runAttempts(t, e, clock, func(ctx context.Context, a host.Attempt) error {
			id = a.Job().ID
			err := errors.Join(requireState(ctx, a, ""), a.SetState(placeState{"page 2"}), requireState(ctx, a, "page 2"))
			if state := stateOf(t, db, id); len(state) > 0 {
				t.Errorf("SetState wrote before the end of the attempt: %q", state)
			}
			return errors.Join(err, enginetest.ErrBoom)
		}, func(ctx context.Context, a host.Attempt) error {
			err := errors.Join(requireState(ctx, a, "page 2"), a.SetState(placeState{"page 3"}))
			if state := stateOf(t, db, id); len(state) == 0 || bytes.Contains(state, []byte("page")) {
				t.Errorf("the stored state is %q, want it sealed", state)
			}
			return errors.Join(err, &fault.Error{Class: fault.ClassRateLimited, RetryAfter: time.Hour})
		}, func(ctx context.Context, a host.Attempt) error { // keeps the state
			return errors.Join(requireState(ctx, a, "page 3"), nawasync.RetryAfter(time.Minute, nil))
		}, func(ctx context.Context, a host.Attempt) error {
			err := errors.Join(requireState(ctx, a, "page 3"), a.SetState(nil), requireState(ctx, a, ""))
			return errors.Join(err, nawasync.RetryAfter(time.Minute, nil))
		}, func(ctx context.Context, a host.Attempt) error {
			err := errors.Join(requireState(ctx, a, ""), a.StoreState(ctx, placeState{"page 4"}))
			if len(stateOf(t, db, id)) == 0 {
				t.Error("StoreState has not written")
			}
			return err
		})
		if state := stateOf(t, db, job.ID); job.Status != tracker.StatusSuccess || job.Attempt != 2 || len(state) > 0 {
			t.Errorf("job %d is %s (%s) at attempt %d with state %q; want success at attempt 2 without a state", job.ID, job.Status, job.Error, job.Attempt, state)
		}
	})
}

func TestStateIsBoundToItsJobAndToItsAttempt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		clock := nawasynctest.NewClock(time.Time{})
		e := enginetest.New(t, db).Engine(sealing(t, clock))
		job := runAttempts(t, e, clock, func(_ context.Context, a host.Attempt) error {
			if err := a.SetState(strings.Repeat("x", host.MaxState)); err == nil || !strings.Contains(err.Error(), "over the limit of 65536") {
				t.Errorf("a state over the limit: error = %v", err)
			}
			arguments := enginetest.Stored(t, e, a.Job().ID).Sealed
			enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET state = ? WHERE id = ?", arguments, a.Job().ID).Error)
			return nawasync.RetryAfter(0, nil)
		}, func(ctx context.Context, a host.Attempt) error {
			if found, err := a.State(ctx, &placeState{}); found || err == nil {
				t.Errorf("the job's arguments were opened as its state: found = %v, error = %v", found, err)
			}
			enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET epoch = epoch + 1 WHERE id = ?", a.Job().ID).Error)
			if err := a.StoreState(ctx, placeState{"late"}); !errors.Is(err, nawasync.ErrLeaseLost) {
				t.Errorf("StoreState of an attempt that another process has taken over: error = %v, want ErrLeaseLost", err)
			}
			enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET epoch = epoch - 1 WHERE id = ?", a.Job().ID).Error)
			return enginetest.ErrBoom
		}, func(context.Context, host.Attempt) error { return nawasync.Permanent(enginetest.ErrBoom) })
		if state := stateOf(t, db, job.ID); len(state) > 0 {
			t.Errorf("a failed job keeps the state %q", state)
		}
		retry, err := e.Retry(t.Context(), job.ID, nawasync.RetryOptions{})
		enginetest.NoError(t, err)
		if state := stateOf(t, db, retry.ID); len(state) > 0 {
			t.Errorf("the retry begins with the state %q", state)
		}
	})
}
