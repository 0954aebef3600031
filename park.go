package nawasync

import (
	"context"
	"errors"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

const (
	// parkForRateLimit is how long a scope is parked when the remote does not say how long to wait.
	parkForRateLimit = time.Minute
	maxPark          = 24 * time.Hour
	// parkFailed is how long a job waits whose scope could not be parked.
	parkFailed = time.Minute
	// parkTimeout bounds how long an attempt waits for the write that parks its scope.
	parkTimeout = 5 * time.Second
)

// park parks the job's limit scope and requeues the job. The other jobs of the scope would fail in the
// same way. The job waits for the end of the park, as they do, so that Resume starts it at once.
func (e *Engine) park(ctx context.Context, out *jobstore.Outcome, class fault.Class, err error) *jobstore.Outcome {
	refusal := jobstore.Refusal{
		Service: out.Job.Service, Instance: e.limitScope(out.Job), Class: class, Reason: out.Error, Probe: out.Job.Probe,
	}
	if class == fault.ClassRateLimited {
		refusal.Wait = parkForRateLimit
	}
	if classified := fault.Outermost(err); classified != nil && classified.RetryAfter > 0 {
		refusal.Wait, refusal.Asked = min(classified.RetryAfter, maxPark), true
	}
	parkCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parkTimeout)
	defer cancel()
	scope, err := e.store.Park(parkCtx, refusal)
	if err != nil { // this job waits, and the next one tries to park the scope
		e.logger.Warn("could not park a scope", "service", refusal.Service, "instance", refusal.Instance, "error", err)
		return e.requeue(out, max(refusal.Wait, parkFailed), tracker.OutcomeParked, class)
	}
	if scope != nil {
		e.logger.Warn("a scope is parked", "service", scope.Service, "instance", scope.Instance, "until", scope.Until, "reason", scope.Reason)
		e.emit(Event{Type: EventParked, Scope: scope})
	}
	return e.requeue(out, 0, tracker.OutcomeParked, class)
}

// limitScope returns what the limits and credentials of a job's remote belong to: the job's instance or
// its first components. The repository of the job's service and type tells; without one in this process it is the
// instance.
func (e *Engine) limitScope(job *jobstore.Job) string {
	r, err := e.repository(job.Service, job.Type)
	if err != nil {
		return job.Instance
	}
	limiter, ok := r.(host.LimitScoper)
	if !ok {
		return job.Instance
	}
	scope, err := limiter.LimitScopeOf(job.Instance)
	if err != nil {
		e.logger.Warn("the limit scope of a job is not known; its instance is used", "job_id", job.ID, "error", err)
		return job.Instance
	}
	return scope
}

// endProbe decides what an attempt that was a probe says about the remote. An attempt whose error has parked
// the scope again has set the time of the next probe already.
func (e *Engine) endProbe(ctx context.Context, out *jobstore.Outcome, err error) {
	if !out.Job.Probe || (out.Attempt == tracker.OutcomeParked && needsProbe(fault.ClassOf(err))) {
		return
	}
	works := answered(out, err)
	probeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parkTimeout)
	defer cancel()
	if err := e.store.EndProbe(probeCtx, out.Job.Stream(), works); err != nil { // another probe follows
		e.logger.Warn("a probe could not be ended", "job_id", out.Job.ID, "error", err)
		return
	}
	if w := e.worker.Load(); w != nil && works {
		e.logger.Info("a probe shows that the remote works again", "service", out.Job.Service, "instance", out.Job.Instance)
		w.LookAtAll()
	}
}

// needsProbe reports whether an error of the class parks the limit scope until a probe shows that the remote
// works again.
func needsProbe(class fault.Class) bool {
	return class == fault.ClassCredentials || class == fault.ClassUnavailable
}

// answered reports whether an outcome shows that the remote can be reached and accepts the credentials.
func answered(out *jobstore.Outcome, err error) bool {
	if out.Status == tracker.StatusSuccess || out.Status == tracker.StatusConflict {
		return true
	}
	class := fault.ClassOf(err)
	switch class {
	case fault.ClassForbidden, fault.ClassGone, fault.ClassAlreadyExists, fault.ClassConflict, fault.ClassRateLimited:
		return true
	}
	var later *retryAfterError // the handler has got as far as to decide that
	return errors.As(err, &later) && !needsProbe(class)
}
