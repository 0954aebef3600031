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

// A firewall that forgets connections closes none of them: each statement waits for an answer that never comes. These
// tests have a worker whose connections fall silent while it runs a job, and another engine.

func TestWorkerWhoseConnectionsFallSilentWorksOnNewOnes(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		s := newSilence(t, h)
		s.proxy.Silence()
		silent := time.Now()
		s.runOnWorker(t, silent)
		close(s.release)
		// On a fast machine the worker keeps its lease, and the job runs once.
		done := enginetest.WaitStatus(t, s.other, s.job, tracker.StatusSuccess)
		if int64(done.Epoch) != s.runs.Load()-1 {
			t.Errorf("%d runs, job %+v; want one run for each epoch", s.runs.Load(), done)
		}
	})
}

func TestJobsOfAWorkerWhoseConnectionsStaySilentRunElsewhereAndItWorksAgainAfterwards(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		s := newSilence(t, h)
		enginetest.Register(t, s.other, enginetest.DoNothing)
		h.Start(s.other)
		s.proxy.SetStalled(true) // new connections
		s.proxy.Silence()
		silent := time.Now()
		done := enginetest.WaitStatus(t, s.other, s.job, tracker.StatusSuccess)
		enginetest.AtMost(t, "from the silence to the end of the job elsewhere", done.FinishedAt.Sub(silent), 20*time.Second, time.Minute)
		if cause := <-s.causes; !errors.Is(cause, nawasync.ErrLeaseLost) || done.Epoch != 1 {
			t.Errorf("the handler's context ended with %v; job %+v; want ErrLeaseLost and epoch 1", cause, done)
		}
		s.proxy.SetStalled(false)
		s.runOnWorker(t, time.Now())
	})
}

// silence is a worker that runs a job, and whose connections a test can silence.
type silence struct {
	proxy         *enginetest.Proxy
	worker, other *nawasync.Engine // other is not started
	job           int64
	runs          atomic.Int64 // of the job, on the worker
	release       chan struct{}
	causes        chan error // why the context of the job ended, each time
}

func newSilence(t *testing.T, h *enginetest.Harness) *silence {
	t.Helper()
	db, proxy := enginetest.NewProxiedServers(t, h)
	s := &silence{proxy: proxy, release: make(chan struct{}), causes: make(chan error, 10)}
	s.worker, s.other = h.Engine(func(c *nawasync.Config) { c.DB = db.DB }), h.Engine(nil)
	enginetest.Register(t, s.worker, func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
		s.runs.Add(1)
		select {
		case <-s.release:
			return nil
		case <-ctx.Done():
			s.causes <- context.Cause(ctx)
			return ctx.Err()
		}
	})
	enginetest.NoError(t, nawasync.Register(s.worker, &enginetest.Handler[otherArgs]{Do: otherDoNothing}))
	h.Start(s.worker)
	s.job = enginetest.Dispatch(t, s.other, enginetest.JobArgs{ID: "a"}).ID
	enginetest.Eventually(t, 20*time.Second, "handler started", func() bool { return s.runs.Load() == 1 })
	return s
}

// runOnWorker waits for a job that only the worker serves.
func (s *silence) runOnWorker(t *testing.T, since time.Time) {
	t.Helper()
	job, err := s.other.Dispatch(t.Context(), otherArgs{ID: "b"}, nawasync.Options{})
	enginetest.NoError(t, err)
	done := enginetest.WaitStatus(t, s.other, job.ID, tracker.StatusSuccess)
	enginetest.AtMost(t, "until the worker works on new connections", done.FinishedAt.Sub(since), 20*time.Second, time.Minute)
}
