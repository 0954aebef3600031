package admin

import (
	"strings"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// headline returns one or two sentences about the state of the job.
func (v *jobView) headline() string {
	j := v.job
	switch {
	case j.Status == tracker.StatusRunning && j.Stuck(v.now) && j.Tracked():
		return v.Tf("The task has been running for %s, past its deadline. Its process died and asynq has not delivered the task again, or its handler ignores its context. Cancel the job if the task no longer exists.",
			format.Span(v, v.now.Sub(j.StartedAt)))
	case j.Status == tracker.StatusRunning && v.hindrance != "":
		return v.hindrance
	case j.Status == tracker.StatusRunning && j.Stuck(v.now):
		return v.Tf("The job has been running for %s, past its deadline. Its handler ignores cancellation, and the job blocks its worker slot and its lane until the handler returns.",
			format.Span(v, v.now.Sub(j.StartedAt)))
	case j.Status == tracker.StatusRunning && !j.CancelAt.IsZero():
		return v.Tf("Cancelling… %s requested the cancellation; the job is still running.", j.CancelBy)
	case j.Status == tracker.StatusRunning:
		return v.Tf("The job has been running for %[3]s, attempt %[1]d of %[2]d.", j.Attempt, j.MaxAttempts, format.Span(v, v.now.Sub(j.StartedAt)))
	case j.Status == tracker.StatusQueued:
		return v.waitingText()
	case j.Status == tracker.StatusSuccess:
		return v.Tf("The job succeeded after %s.", v.tookText())
	case j.Status == tracker.StatusFailed:
		return v.Tf("The job failed after %s.", v.tookText())
	case v.isHeldSync():
		return v.T("Too many rows are missing from the listing. Nothing was deleted; the sync is held until an operator releases or rejects it.")
	case j.Status == tracker.StatusConflict:
		return v.T("The remote object changed after the user last saw it. Nothing was overwritten; choose below which values to keep.")
	case j.Status == tracker.StatusSkipped:
		return v.T("The job was skipped: there was nothing to do.")
	}
	if j.CancelBy != "" {
		return v.Tf("Cancelled by %s.", j.CancelBy)
	}
	return v.T("The job was cancelled.")
}

func (v *jobView) tookText() string {
	n := max(1, len(v.attempts), v.job.Attempt)
	took := format.Span(v, v.job.FinishedAt.Sub(v.job.DueAt))
	if n == 1 {
		return v.Tf("1 attempt; it ended %s after the job was due", took)
	}
	return v.Tf("%d attempts; the last ended %s after the job was due", n, took)
}

func (v *jobView) waitingText() string {
	j := v.job
	switch {
	case j.Tracked() && j.NotBefore.After(v.now):
		return v.Tf("asynq delivers the task to the application again %s, at about %s.", v.timeAgo(j.NotBefore), v.fullTime(j.NotBefore))
	case j.Tracked():
		return v.Tf("The task has been waiting for the application's asynq server for %s.", format.Span(v, v.now.Sub(j.NotBefore)))
	case v.pause != nil && alert.Unreachable(*v.pause):
		return v.Tf("The job is waiting because %s has been unreachable since %s. One job tries again at %s, and the others start once the remote answers.",
			v.scopeText(v.pause.Service, v.pause.Instance), v.fullTime(v.pause.Since), v.fullTime(v.pause.Until))
	case v.pause != nil && v.pause.Probes > 0:
		return v.Tf("The job is waiting because the remote refuses the credentials of %s. One job tries them at %s, and the others start once it succeeds.",
			v.scopeText(v.pause.Service, v.pause.Instance), v.fullTime(v.pause.Until))
	case v.pause != nil && v.pause.Parked:
		return v.Tf("The job is waiting because the remote refused requests. %s is parked until %s.", v.scopeText(v.pause.Service, v.pause.Instance), v.fullTime(v.pause.Until))
	case v.pause != nil:
		return v.Tf("The job is waiting because %s paused %s. Resume %[2]s to run the job.", v.pause.By, v.scopeText(v.pause.Service, v.pause.Instance))
	case j.NotBefore.After(v.now) && j.Attempt > 0:
		return v.Tf("Attempt %d failed. The next attempt starts %s, at %s.", j.Attempt, v.timeAgo(j.NotBefore), v.fullTime(j.NotBefore))
	case j.NotBefore.After(v.now):
		return v.Tf("The job is due %s (%s).", v.timeAgo(j.NotBefore), v.fullTime(j.NotBefore))
	case len(v.predecessors) > 0:
		return v.Tf("The job is waiting for job %d of the same object.", v.predecessors[0].ID)
	case !v.hasWorker:
		return v.Tf("The job is waiting because no running process handles %s/%s/%s. Start a worker that registers a handler for this kind.", j.Service, j.Type, j.Action)
	}
	if v.shortage != nil {
		return v.shortageText()
	}
	return v.Tf("The job has been waiting for a worker for %s.", format.Span(v, v.now.Sub(j.NotBefore)))
}

// shortageText says which budget the job waits for, and until when.
func (v *jobView) shortageText() string {
	s := v.shortage
	scope, until := v.scopeText(v.job.Service, s.Scope), v.fullTime(s.Until)
	switch {
	case s.Silent:
		return v.Tf("The job is waiting because the remote asks for no calls of %s until %s.", scope, until)
	case s.Left == 0:
		return v.Tf("The job is waiting for the budget of %s: its %s calls in %s are used up. The next calls are free at %s.",
			scope, format.Thousands(v, s.Calls), format.Span(v, s.Window), until)
	}
	return v.Tf("The job is waiting for the budget of %s: of its %s calls in %s, %s are left, and kept for other jobs. More may be free at %s.",
		scope, format.Thousands(v, s.Calls), format.Span(v, s.Window), format.Thousands(v, s.Left), until)
}

// advice returns what the operator should do, or "" if there is nothing to do.
func (v *jobView) advice() string {
	j := v.job
	switch {
	case j.RetriedAs != 0: // the retry is what there is to look after
		return ""
	case v.newer != 0 && (j.Status == tracker.StatusFailed || j.Status == tracker.StatusConflict):
		return v.Tf("Nothing to do: job %d changed the same object later and succeeded. A retry of this job would undo that change.", v.newer)
	case v.isHeldSync():
		return v.T("Review the missing rows on the service's page, then release or reject the sync.")
	case j.Status != tracker.StatusFailed:
		return ""
	case j.ArgumentsDropped():
		return v.T("The job's arguments are no longer stored. Repeat the action in the application.")
	}
	return v.classAdvice()
}

// classAdvice returns the next step for the error class of a failed job, or "" where the error
// itself says all there is to say.
func (v *jobView) classAdvice() string {
	switch fault.Class(v.job.ErrorClass) {
	case fault.ClassConfig:
		return v.T("A setting is wrong. Correct the setting, restart the workers, then retry the job.")
	case fault.ClassCredentials:
		return v.T("The remote rejected the credentials. Renew the credentials, resume the service, then retry the job.")
	case fault.ClassForbidden:
		return v.T("The credentials are valid and may not do this. Check on the remote what they may do with this object, then retry the job.")
	case fault.ClassTransient, fault.ClassUnavailable, fault.ClassRateLimited:
		return v.T("The remote was unreachable or overloaded. Check that the remote answers, then retry the job.")
	case fault.ClassTimeout:
		return v.T("The job did not finish within its timeout. Check how fast the remote answers, then retry the job.")
	case fault.ClassPermanent:
		if strings.HasPrefix(v.job.Error, "accepted, not applied") {
			return v.T("The remote confirmed the change and did not carry it out. Find out on the remote what prevents it, then retry the job.")
		}
		return v.T("The request was rejected, and a retry would be rejected again. Correct the value in the application.")
	case fault.ClassGone:
		return v.T("The remote no longer has the object. Sync the service to update the list.")
	case fault.ClassAlreadyExists:
		return v.T("The remote already has an object with this name. Sync the service, then change that object.")
	case fault.ClassUnknownOutcome:
		return v.T("The remote may or may not have received the change. Compare the object with the remote; a retry reads the object again before writing.")
	case fault.ClassUndecodable:
		return v.T("This version of the application cannot read the job's arguments. Repeat the action in the application.")
	case fault.ClassPanic:
		return v.T("The handler panicked. Fix the handler (see the stack trace of the last attempt), then retry the job.")
	case fault.ClassWorkerDied:
		return v.T("The worker process died during each attempt. Find out why before you retry the job.")
	case fault.ClassExpired:
		return v.T("The job waited too long and expired. Check that the change is still wanted, then retry the job.")
	}
	return ""
}

// errorTone returns the CSS class of the box with the job's error.
func (v *jobView) errorTone() string {
	if v.job.Status == tracker.StatusFailed {
		return "bad"
	}
	return "warn"
}
