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

// Services lists the services for which this process has handlers or repositories, in
// alphabetical order.
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

// Retention returns how long ended jobs of a status are kept.
func (e *Engine) Retention(status tracker.Status) time.Duration {
	if status == tracker.StatusSuccess {
		return e.config.KeepSuccess
	}
	return e.config.KeepOther
}

// TaskState is the state of a queued job's task in Redis.
type TaskState string

// The states of a queued job's task.
const (
	TaskWaits   TaskState = "waits"   // the task is in Redis and no worker has claimed the job yet
	TaskMissing TaskState = "missing" // the task is not in Redis; the relay adds it again within seconds
	TaskNotDue  TaskState = "not yet" // the job is not due yet, or another job of its lane comes first
	TaskUnknown TaskState = "unknown" // this process has no Redis, or Redis does not respond
)

// TaskState looks up the task of a queued job in Redis. It returns ErrNotFound for a job that
// does not exist.
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
		return TaskUnknown, fmt.Errorf("look up the task of job %d in Redis: %w", id, err)
	}
	if waits {
		return TaskWaits, nil
	}
	return TaskMissing, nil
}
