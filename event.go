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

// eventTimeout is how long the host's callback may take before its context ends.
const eventTimeout = 30 * time.Second

// publishEnded is told of every outcome that this process committed.
func (e *Engine) publishEnded(v *jobstore.Outcome, job *jobstore.Job) {
	e.telemetry.recordEnded(v, job)
	types := map[tracker.Status]EventType{tracker.StatusSuccess: EventSucceeded, tracker.StatusFailed: EventFinalFailed, tracker.StatusConflict: EventConflicted}
	if t, ok := types[job.Status]; ok {
		if job.ErrorClass == string(fault.ClassHeld) {
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
	ctx, cancel := context.WithTimeout(context.Background(), eventTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			e.logger.Error("nawasync: Config.OnEvent panicked", "event", event.Type, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	e.config.OnEvent(ctx, event)
}
