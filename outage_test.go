package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/tracker"
)

// outageRemote is a remote of two processes, which can be away.
type outageRemote struct {
	mu     sync.Mutex
	away   bool
	starts []time.Time
}

func (r *outageRemote) Execute(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts = append(r.starts, time.Now())
	if r.away {
		return fault.WithClass(fault.ClassUnavailable, errors.New("connection refused"))
	}
	return nil
}

func (r *outageRemote) set(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// started returns the number of attempts since the last call of gaps.
func (r *outageRemote) started() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.starts)
}

// gaps returns the times between the attempts since the last call.
func (r *outageRemote) gaps() (gaps []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 1; i < len(r.starts); i++ {
		gaps = append(gaps, r.starts[i].Sub(r.starts[i-1]))
	}
	r.starts = r.starts[:0]
	return gaps
}

func TestOutageStopsAllProcessesUntilOneJobHasReachedTheRemote(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		remote := &outageRemote{away: true}
		var engines []*nawasync.Engine
		for range 2 {
			e := h.Unhurried(func(c *nawasync.Config) { c.Expiry = 30 * time.Minute })
			enginetest.Register(t, e, remote.Execute)
			engines = append(engines, h.Start(e))
		}
		ids := []int64{enginetest.Dispatch(t, engines[0], enginetest.JobArgs{Instance: "web1", ID: "0"}).ID}
		time.Sleep(time.Second)
		for i := range 20 {
			ids = append(ids, enginetest.Dispatch(t, engines[i%2], enginetest.JobArgs{Instance: "web1", ID: fmt.Sprint(i + 1)}).ID)
		}
		time.Sleep(40 * time.Minute)
		want := []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}
		gaps := remote.gaps()
		for i, gap := range gaps { // each process looks for a probe every 5 s in this test, longer or shorter by up to half
			if wait := want[min(i, len(want)-1)]; gap < wait || gap > wait+20*time.Second {
				t.Errorf("attempt %d began %s after the one before, want %s", i+2, gap, wait)
			}
		}
		if len(gaps) < 10 || len(gaps) > 11 {
			t.Errorf("%d probes in 40 minutes, want 10 or 11", len(gaps))
		}
		remote.set(false)
		time.Sleep(6 * time.Minute)
		for _, id := range ids {
			if job := enginetest.WaitStatus(t, engines[0], id, tracker.StatusSuccess); job.Attempt != 1 {
				t.Errorf("job %d succeeded in attempt %d, want that the outage consumed none", id, job.Attempt)
			}
		}
		if scopes, err := engines[0].Reader().Scopes(t.Context()); err != nil || len(scopes) > 0 {
			t.Errorf("scopes %+v, error %v; want none", scopes, err)
		}
	})
}

func TestResumeOfAnOutageStartsOneJob(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		remote := &outageRemote{away: true}
		e := h.Unhurried(nil)
		enginetest.Register(t, e, remote.Execute)
		h.Start(e)
		var ids []int64
		for i := range 5 {
			ids = append(ids, enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "web1", ID: fmt.Sprint(i)}).ID)
			time.Sleep(3 * time.Second)
		}
		time.Sleep(5 * time.Minute)
		resume := func() {
			t.Helper()
			remote.gaps()
			found, err := e.Resume(t.Context(), "notes", "web1", nawasync.OperatorOptions{})
			if err != nil || !found {
				t.Fatalf("Resume returns %t, %v", found, err)
			}
			time.Sleep(10 * time.Second)
		}
		resume()
		if n := remote.started(); n != 1 {
			t.Errorf("after Resume %d jobs ran, want 1", n)
		}
		remote.set(false)
		resume()
		for _, id := range ids {
			enginetest.WaitStatus(t, e, id, tracker.StatusSuccess)
		}
		if n := remote.started(); n != 5 {
			t.Errorf("after the second Resume %d jobs ran, want 5", n)
		}
	})
}

func TestRefusedCredentialsAtNightFailAndExpireNoneOf500Jobs(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(func(c *nawasync.Config) { c.Expiry = time.Hour })
		var refuses atomic.Bool
		var refused, done atomic.Int64
		refuses.Store(true)
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			if refuses.Load() {
				refused.Add(1)
				return fault.WithClass(fault.ClassCredentials, errors.New("HTTP 401"))
			}
			done.Add(1)
			return nil
		})
		h.Start(e)
		batch := make([]nawasync.Args, 500)
		for i := range batch {
			batch[i] = enginetest.JobArgs{Instance: "web1", ID: fmt.Sprint(i)}
		}
		enginetest.Dispatch(t, e, batch[0])
		time.Sleep(10 * time.Second)
		_, err := e.DispatchMany(t.Context(), batch[1:], nawasync.Options{})
		enginetest.NoError(t, err)
		time.Sleep(90 * time.Minute)
		if n := refused.Load(); n != 5 { // at once, and after 1, 6, 21 and 81 minutes
			t.Errorf("the credentials were refused %d times, want 5", n)
		}
		refuses.Store(false)
		_, err = e.Resume(t.Context(), "notes", "web1", nawasync.OperatorOptions{})
		enginetest.NoError(t, err)
		time.Sleep(time.Minute)
		var succeeded int64
		enginetest.NoError(t, h.DB.DB.Table("nawasync_jobs").Where("status = 'success' AND attempt = 1").Count(&succeeded).Error)
		if succeeded != 500 || done.Load() != 500 {
			t.Errorf("a minute after Resume %d jobs have succeeded in %d attempts, want 500", succeeded, done.Load())
		}
	})
}
