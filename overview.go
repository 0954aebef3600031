package nawasync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Services lists the services that this process has handlers or repositories of.
func (e *Engine) Services() []string {
	found := map[string]bool{}
	e.mu.Lock()
	for kind := range e.handlers {
		found[kind.Service] = true
	}
	for _, r := range e.repositories {
		found[r.Describe().Service] = true
	}
	e.mu.Unlock()
	return slices.Sorted(maps.Keys(found))
}

// Retention is how long ended jobs of that status are kept.
func (e *Engine) Retention(status tracker.Status) time.Duration {
	if status == tracker.StatusSuccess {
		return e.config.KeepSuccess
	}
	return e.config.KeepOther
}

// TaskState is where a queued job's doorbell is.
type TaskState string

// The queue states of a queued job.
const (
	TaskWaits   TaskState = "waits"   // in Redis, and no worker has taken it yet
	TaskMissing TaskState = "missing" // not in Redis: it is rung again within seconds
	TaskNotDue  TaskState = "not yet" // it is not its time, or not its turn
	TaskUnknown TaskState = "unknown" // this process has no Redis, or it does not answer
)

// TaskState looks into Redis for the task of a queued job. It returns ErrNotFound for a
// job that is not there.
func (e *Engine) TaskState(ctx context.Context, id int64) (TaskState, error) {
	job, err := e.store.Load(ctx, id)
	if err != nil {
		return TaskUnknown, err
	}
	switch {
	case job.RungAt.IsZero():
		return TaskNotDue, nil
	case e.bells == nil:
		return TaskUnknown, nil
	}
	waits, err := e.bells.Waits(jobstore.Bell{ID: job.ID, Epoch: job.Epoch, Ring: job.Ring, Queue: job.Queue})
	if err != nil {
		return TaskUnknown, fmt.Errorf("look for the task of job %d in Redis: %w", id, err)
	}
	if waits {
		return TaskWaits, nil
	}
	return TaskMissing, nil
}
