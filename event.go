package nawasync

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// EventType is the kind of an Event.
type EventType string

// The types of events.
const (
	EventSucceeded   EventType = "succeeded"    // a job ended with success
	EventFinalFailed EventType = "final_failed" // a job failed and is not retried
	EventConflicted  EventType = "conflicted"   // a job ended with a conflict: base and remote differ
	EventHeld        EventType = "held"         // a sync waits for an operator's decision
	EventParked      EventType = "parked"       // the engine parked a scope because the remote refused a request
)

// Event is the argument of Config.OnEvent.
type Event struct {
	Type  EventType
	Job   *tracker.Job   // the ended job, without sealed arguments; nil for EventParked
	Scope *tracker.Scope // the parked scope; nil for other events
}

// eventTimeout is how long Config.OnEvent may take before its context ends.
const eventTimeout = 30 * time.Second

// publishEnded records the metrics of an outcome that this process committed. It also emits an
// event if the job succeeded, failed for good or met a conflict.
func (e *Engine) publishEnded(out *jobstore.Outcome, job *jobstore.Job) {
	e.telemetry.recordEnded(out, job)
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
			e.logger.Error("Config.OnEvent panicked", "event", event.Type, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	e.config.OnEvent(ctx, event)
}
