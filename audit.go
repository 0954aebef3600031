package nawasync

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// operateOn does something to one job for an operator, and adds it to the audit log.
func (e *Engine) operateOn(ctx context.Context, action string, id int64, o OperatorOptions, do func(*jobstore.Job) error) error {
	if err := o.validate(); err != nil {
		return err
	}
	job, err := e.store.Load(ctx, id)
	if err != nil {
		return err
	}
	err = do(job)
	e.audit(ctx, o, tracker.AuditEntry{
		Action: action, Service: job.Service, Type: job.Type, Instance: job.Instance, TargetID: job.TargetID, JobID: id,
	}, err)
	return err
}

// auditTimeout bounds how long a call waits for the audit log.
const auditTimeout = 5 * time.Second

// audit adds what an operator did to the audit log. The call is over by then: that the
// entry could not be written is no error of it, and goes to the log.
func (e *Engine) audit(ctx context.Context, o OperatorOptions, entry tracker.AuditEntry, err error) {
	entry.Subject, entry.Reason, entry.Address, entry.Outcome = o.By, o.Reason, o.Address, tracker.AuditDone
	if err != nil {
		entry.Outcome, entry.Detail = tracker.AuditFailed, err.Error()
	}
	// It is done, whether or not its caller waits.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if err := e.store.AppendAudit(ctx, entry); err != nil {
		e.logger.Error("an operator's action is missing from the audit log", "action", entry.Action, "by", entry.Subject, "job", entry.JobID, "error", err)
	}
}
