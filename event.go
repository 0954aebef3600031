package nawasync

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// EventType says what happened.
type EventType string

// The events.
const (
	EventSucceeded   EventType = "succeeded"    // a job ended with success
	EventFinalFailed EventType = "final_failed" // a job gave up
	EventConflicted  EventType = "conflicted"   // a job found that somebody else changed the remote
	EventHeld        EventType = "held"         // a sync waits for a person
	EventParked      EventType = "parked"       // a scope waits after a refusal of the remote
)

// Event is what Config.OnEvent is told. Job is set for endings (without sealed arguments), Scope
// for parked scopes.
type Event struct {
	Type  EventType
	Job   *tracker.Job
	Scope *tracker.Scope
}

// eventTime is how long the host's callback may take before its context ends.
const eventTime = 30 * time.Second

// ended is told of every outcome that this process committed.
func (e *Engine) ended(v *jobstore.Outcome, job *jobstore.Job) {
	e.telemetry.ended(v, job)
	types := map[tracker.Status]EventType{tracker.Success: EventSucceeded, tracker.Failed: EventFinalFailed, tracker.Conflict: EventConflicted}
	if t, ok := types[job.Status]; ok {
		if job.ErrorClass == string(fault.Held) {
			t = EventHeld
		}
		shown := job.Job
		e.emit(Event{Type: t, Job: &shown})
	}
}

func (e *Engine) emit(event Event) {
	if e.config.OnEvent == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), eventTime)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			e.logger.Error("nawasync: Config.OnEvent panicked", "event", event.Type, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	e.config.OnEvent(ctx, event)
}
