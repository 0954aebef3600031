package nawasync

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// operate runs do for an operator and records the action and its outcome in the audit log.
// do sets the entry's target and, if there are any, its details.
func (e *Engine) operate(ctx context.Context, action string, o OperatorOptions, do func(entry *tracker.AuditEntry) error) error {
	if err := o.validate(); err != nil {
		return err
	}
	entry := tracker.AuditEntry{Action: action, Subject: o.By, Reason: o.Reason, Address: o.Address, Outcome: tracker.AuditDone}
	err := do(&entry)
	if err != nil {
		entry.Outcome, entry.Detail = tracker.AuditFailed, e.auditText(action, err)
	}
	e.appendAudit(ctx, entry)
	return err
}

// operateOn is operate for an action on one job. It loads the job with all its columns.
func (e *Engine) operateOn(ctx context.Context, action string, id int64, o OperatorOptions,
	do func(job *jobstore.Job, entry *tracker.AuditEntry) error,
) error {
	return e.operate(ctx, action, o, func(entry *tracker.AuditEntry) error {
		entry.JobID = id
		job, err := e.store.Load(ctx, id)
		if err != nil {
			return err
		}
		entry.Service, entry.Type, entry.Instance, entry.TargetID = job.Service, job.Type, job.Instance, job.TargetID
		return do(job, entry)
	})
}

// auditTimeout bounds how long an action waits for its audit entry to be written.
const auditTimeout = 5 * time.Second

// appendAudit adds an entry to the audit log. The action has already happened, so a failed
// write does not make it fail: appendAudit only logs the error.
func (e *Engine) appendAudit(ctx context.Context, entry tracker.AuditEntry) {
	// Write the entry even if the caller's context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if err := e.writeAudit(ctx, entry); err != nil {
		e.logger.Error("could not write an operator's action to the audit log",
			"action", entry.Action, "by", entry.Subject, "job_id", entry.JobID, "error", err)
	}
}

// writeAudit adds an entry to the audit log, without secrets in what an operator has typed.
func (e *Engine) writeAudit(ctx context.Context, entry tracker.AuditEntry) error {
	entry.Reason, entry.Detail = e.redactor.Text(entry.Reason), e.redactor.Text(entry.Detail)
	return e.store.AppendAudit(ctx, entry)
}

// auditableErrors are this module's own errors. An audit entry may show their texts.
var auditableErrors = []error{
	ErrInvalid, ErrNoSealer, ErrBacklogFull, ErrDatabaseBusy, ErrNotFound, ErrStillOpen, ErrEnded, ErrNotEnded, ErrNoArguments, ErrSuperseded,
	ErrExists, ErrUnchanged, ErrRowGone, ErrDeleting, ErrNoRepository, jobstore.ErrDecided, host.ErrNoConflict, errNotPaused,
	errScheduleNotPaused, errScheduleOrphaned,
}

// auditText returns the text of a failure for the audit log. An error that is not this
// module's own, for example the database's, may name hosts and users. auditText writes such an
// error to the process's log only.
func (e *Engine) auditText(action string, err error) string {
	if slices.ContainsFunc(auditableErrors, func(known error) bool { return errors.Is(err, known) }) {
		return err.Error()
	}
	e.logger.Error("an operator's action failed", "action", action, "error", err)
	return "the action failed; the log of the process has the error"
}
