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

// operate does something for an operator and adds it to the audit log, with what came of
// it. do fills in what the entry is about, and what came of it beside the error.
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

// operateOn is operate on one job, which it reads with all that it holds.
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

// auditTimeout bounds how long a call waits for the audit log.
const auditTimeout = 5 * time.Second

// appendAudit adds an entry to the audit log. The call is over by then: that the entry could not
// be written is no error of it, and goes to the log.
func (e *Engine) appendAudit(ctx context.Context, entry tracker.AuditEntry) {
	// It is done, whether or not its caller waits.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if err := e.store.AppendAudit(ctx, entry); err != nil {
		e.logger.Error("nawasync: an operator's action is missing from the audit log",
			"action", entry.Action, "by", entry.Subject, "job", entry.JobID, "error", err)
	}
}

// auditableErrors are the errors whose texts an audit entry may show: this module's own.
var auditableErrors = []error{
	ErrInvalid, ErrNoSealer, ErrBacklogFull, ErrDatabaseBusy, ErrNotFound, ErrStillOpen, ErrEnded, ErrNotEnded, ErrNoArguments, ErrSuperseded,
	ErrExists, ErrUnchanged, ErrDeleting, ErrNoRepository, jobstore.ErrDecided, host.ErrNoConflict, errNotPaused,
}

// auditText is what an audit entry says of a failure. A database's error may name hosts and
// users: it is for the log.
func (e *Engine) auditText(action string, err error) string {
	if slices.ContainsFunc(auditableErrors, func(known error) bool { return errors.Is(err, known) }) {
		return err.Error()
	}
	e.logger.Error("nawasync: an operator's action failed", "action", action, "error", err)
	return "it failed; the log of the process has the error"
}
