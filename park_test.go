package nawasync_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/tracker"
)

func TestOneJobProbesRefusedCredentialsAndItsSuccessStartsTheOthers(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		var mu sync.Mutex
		var starts []time.Time
		began := time.Now()
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, time.Now())
			if len(starts) <= 5 {
				return fault.WithClass(fault.ClassCredentials, errors.New("HTTP 401"))
			}
			return nil
		})
		h.Start(e)
		ids := []int64{enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "a", ID: "0"}).ID}
		time.Sleep(10 * time.Second)
		for _, id := range []string{"1", "2", "3"} {
			ids = append(ids, enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "a", ID: id}).ID)
		}
		time.Sleep(3 * time.Hour)
		for _, id := range ids {
			enginetest.WaitStatus(t, e, id, tracker.StatusSuccess)
		}
		// Each process looks for a probe every 5 s in this test, longer or shorter by up to half.
		want := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, time.Hour, 0, 0, 0}
		for i := 1; i < len(starts); i++ {
			if gap := starts[i].Sub(starts[i-1]); gap < want[i-1] || gap > want[i-1]+20*time.Second {
				t.Errorf("attempt %d began %s after the one before, want %s", i+1, gap, want[i-1])
			}
		}
		if len(starts) != 9 {
			t.Errorf("%d attempts in %s, want 9", len(starts), time.Since(began))
		}
		scopes, err := e.Reader().Scopes(t.Context())
		if err != nil || len(scopes) > 0 {
			t.Errorf("scopes %+v, error %v; want none", scopes, err)
		}
	})
}

func TestResumeStartsWhatWasParkedAtOnceExceptDuringARetryAfter(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		started := make(chan time.Time, 10)
		var wait time.Duration
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			started <- time.Now()
			if run.EarlierWrite() {
				return nil
			}
			if err := run.BeginWrite(t.Context()); err != nil {
				return err
			}
			return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: wait, Err: errors.New("HTTP 429")}
		})
		h.Start(e)
		for _, c := range []struct{ retryAfter, least, atMost time.Duration }{
			{0, 0, 15 * time.Second}, // the park of a minute was a guess
			{time.Hour, time.Hour - 10*time.Second, time.Hour + 15*time.Second},
		} {
			wait = c.retryAfter
			job := enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "a", ID: c.retryAfter.String()})
			<-started
			time.Sleep(time.Second)
			resumed := time.Now()
			if found, err := e.Resume(t.Context(), "notes", "a", nawasync.OperatorOptions{}); err != nil || !found {
				t.Fatalf("Resume returns %t, %v", found, err)
			}
			if gap := (<-started).Sub(resumed); gap < c.least || gap > c.atMost {
				t.Errorf("with a Retry-After of %s, the job began %s after Resume", c.retryAfter, gap)
			}
			enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		}
		audit, err := e.Reader().AuditLog(t.Context(), tracker.AuditFilter{})
		enginetest.NoError(t, err)
		if !slices.ContainsFunc(audit, func(a tracker.AuditEntry) bool { return a.Action == "resume" && a.Detail != "" }) {
			t.Error("the audit log does not say until when the remote has asked to wait")
		}
	})
}

func TestForbiddenFailsTheJobAndParksNothing(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if run.Args.ID == "locked" {
				return fault.WithClass(fault.ClassForbidden, errors.New("HTTP 403"))
			}
			return nil
		})
		h.Start(e)
		job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "a", ID: "locked"}).ID, tracker.StatusFailed)
		if job.Attempt != 1 || job.ErrorClass != "forbidden" {
			t.Errorf("job %+v, want it failed at once", job)
		}
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "a", ID: "open"}).ID, tracker.StatusSuccess)
		if scopes, err := e.Reader().Scopes(t.Context()); err != nil || len(scopes) > 0 {
			t.Errorf("scopes %+v, error %v; want none", scopes, err)
		}
	})
}
