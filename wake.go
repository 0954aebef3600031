package nawasync

import (
	"context"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync/internal/doorbell"
	"github.com/nawasara/nawasync/internal/jobstore"
)

// wake wakes the workers for jobs that can be claimed now or later. It does not wait for Redis: a
// wake-up may get lost, since all workers poll the database.
func (e *Engine) wake(wakes []jobstore.Wake) {
	if len(wakes) == 0 {
		return
	}
	now := e.store.Now().UnixMicro()
	var others []jobstore.Wake
	if w := e.worker.Load(); w != nil {
		others = w.WakeHere(wakes)
	} else {
		for _, wake := range wakes {
			if wake.At <= now {
				others = append(others, wake)
			}
		}
	}
	if e.doorbell != nil {
		e.doorbell.Ring(others)
	}
}

// WakeTask is the type of the asynq tasks that wake workers. They carry no job and no secret.
const WakeTask = doorbell.TaskType

// WakeHandler returns an asynq handler for tasks of type WakeTask, for a host that works the queues of
// WakeQueues in an asynq server of its own and has set Config.HostAsynqServer. The handler wakes this
// engine's workers and returns at once; before Start and after Stop it does nothing. Without
// Config.Redis it returns a handler that does nothing.
func (e *Engine) WakeHandler() asynq.Handler {
	if e.doorbell == nil {
		return asynq.HandlerFunc(func(context.Context, *asynq.Task) error { return nil })
	}
	return e.doorbell.Handler(func(wake jobstore.Wake) {
		if w := e.worker.Load(); w != nil {
			w.Wake(wake)
		}
	})
}

// WakeQueues returns the names in asynq of the queues in Config.Queues. Each has priority 1. Without
// Config.Redis it returns nil.
func (e *Engine) WakeQueues() map[string]int {
	if e.doorbell == nil {
		return nil
	}
	queues := map[string]int{}
	for queue := range e.config.Queues {
		queues[e.doorbell.QueueName(queue)] = 1
	}
	return queues
}
