package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// JobArgs are the arguments of the jobs of most tests.
type JobArgs struct {
	Instance string `json:"instance,omitempty"`
	ID       string `json:"id"`
	N        int    `json:"n"`
}

// Kind returns notes/note/write.
func (JobArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "note", Action: "write"}
}

// Target returns the note.
func (n JobArgs) Target() nawasync.Target { return nawasync.Target{Instance: n.Instance, ID: n.ID} }

// Handler runs a function. Tests in real time can set a short backoff.
type Handler[A nawasync.Args] struct {
	nawasync.AbstractJob[A]
	Do    func(ctx context.Context, run *nawasync.Run[A]) error
	Limit time.Duration // timeout; 0 means the default
	Wait  time.Duration // backoff; 0 means the default
}

// Execute calls Do.
func (h *Handler[A]) Execute(ctx context.Context, run *nawasync.Run[A]) error { return h.Do(ctx, run) }

// Timeout returns Limit, or the default.
func (h *Handler[A]) Timeout() time.Duration {
	if h.Limit > 0 {
		return h.Limit
	}
	return h.AbstractJob.Timeout()
}

// Backoff returns Wait, or the default.
func (h *Handler[A]) Backoff(attempt int) time.Duration {
	if h.Wait > 0 {
		return h.Wait
	}
	return h.AbstractJob.Backoff(attempt)
}

// Runs counts executions by job id and epoch. It is safe for concurrent use.
type Runs struct {
	mu   sync.Mutex
	seen map[string]int
}

// Record counts an execution.
func (r *Runs) Record(job tracker.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]int{}
	}
	r.seen[fmt.Sprint(job.ID, ".", job.Epoch)]++
}

// RanTwice returns how many epochs were executed more than once.
func (r *Runs) RanTwice() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, count := range r.seen {
		if count > 1 {
			n++
		}
	}
	return n
}

// Total returns the number of executions.
func (r *Runs) Total() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, count := range r.seen {
		n += count
	}
	return n
}

// ErrBoom is the error of jobs that fail on purpose.
var ErrBoom = errors.New("boom")

// Dispatch dispatches a job as user:7.
func Dispatch(t testing.TB, e *nawasync.Engine, args nawasync.Args) *tracker.Job {
	t.Helper()
	job, err := e.Dispatch(context.Background(), args, nawasync.Options{By: "user:7"})
	NoError(t, err)
	return job
}

// WaitStatus waits until a job has the status. It fails the test when the job finishes with
// another status.
func WaitStatus(t testing.TB, e *nawasync.Engine, id int64, want tracker.Status) *tracker.Job {
	t.Helper()
	var job *tracker.Job
	deadline := time.Now().Add(slowness * 40 * time.Second)
	for {
		var err error
		if job, err = e.Reader().Get(context.Background(), id); err == nil && job.Status == want {
			return job
		}
		if time.Now().After(deadline) || (err == nil && job.Status.Terminal()) {
			t.Fatalf("job %d is not %s: %+v (%v)", id, want, job, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// DoNothing is the Do function of a handler whose jobs succeed at once.
func DoNothing(context.Context, *nawasync.Run[JobArgs]) error { return nil }

// Register registers a handler that runs do for jobs with JobArgs.
func Register(t testing.TB, e *nawasync.Engine, do func(context.Context, *nawasync.Run[JobArgs]) error) {
	t.Helper()
	NoError(t, nawasync.Register(e, &Handler[JobArgs]{Do: do}))
}
