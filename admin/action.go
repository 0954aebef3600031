package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// operatorOptions returns the subject, reason and address that the engine writes to the audit log.
func (p *request) operatorOptions() nawasync.OperatorOptions {
	o := nawasync.OperatorOptions{By: p.viewer.subject, Reason: strings.TrimSpace(p.r.PostFormValue("reason"))}
	if host, _, err := net.SplitHostPort(p.r.RemoteAddr); err == nil {
		o.Address = host
	}
	return o
}

// runAction runs do if the operator has the permission on the service and instance of the entry, and then
// redirects to the page that sent the form. The engine writes the audit entry of a call that it
// accepts. runAction writes the entry itself if the permission is missing, do rejects the action, or do
// fails before it calls the engine.
func (p *request) runAction(permission string, entry tracker.AuditEntry, do func(ctx context.Context) (flash, error)) error {
	return p.runActionIf(p.viewer.allowed(permission, entry.Service, entry.Instance), permission, entry, do)
}

// runActionIf is runAction for callers that check the permission themselves.
func (p *request) runActionIf(allowed bool, permission string, entry tracker.AuditEntry, do func(ctx context.Context) (flash, error)) error {
	f, err := p.runIfAllowed(allowed, permission, entry, do)
	if err != nil {
		return err
	}
	return p.back(f)
}

// runIfAllowed is runAction for callers that check the permission themselves and render their own
// answer. It returns an error if the action is not allowed or has not begun. If do fails, the error text
// is in the flash instead. A form that is sent again does not run do again.
func (p *request) runIfAllowed(allowed bool, permission string, entry tracker.AuditEntry, do func(ctx context.Context) (flash, error)) (f flash, err error) {
	done, err := p.limitRefusals(entry)
	if err != nil {
		return flash{}, err
	}
	defer func() { done(f, err) }()
	if !allowed {
		entry.Outcome, entry.Detail = tracker.AuditRefused, permission
		if err := p.recordAudit(p.r.Context(), entry); err != nil {
			return flash{}, err
		}
		return flash{}, &httpError{
			http.StatusForbidden, p.T("Not permitted"),
			p.Tf("Nothing was done: your account lacks the permission %s on %s.", permission, p.scopeText(entry.Service, entry.Instance)),
		}
	}
	f, err = p.once(func() (flash, error) { return p.perform(entry, do) })
	if unclaimed, ok := errors.AsType[claimError](err); ok {
		return p.perform(entry, func(context.Context) (flash, error) { return flash{}, readError(unclaimed) })
	}
	return f, err
}

// perform runs do and records that it was refused.
func (p *request) perform(entry tracker.AuditEntry, do func(ctx context.Context) (flash, error)) (flash, error) {
	ctx := p.r.Context()
	f, err := do(ctx)
	if refused, ok := errors.AsType[*refusedError](err); ok && !refused.alreadyRecorded {
		entry.Outcome, entry.Detail = tracker.AuditFailed, refused.text
		if err := p.recordAudit(ctx, entry); err != nil {
			return flash{}, err
		}
	}
	if hasNotBegun(err) {
		entry.Outcome, entry.Detail = tracker.AuditFailed, p.problem(err).title
		return flash{}, errors.Join(err, p.recordAudit(ctx, entry))
	}
	if err != nil {
		f = flash{Bad: true, Text: p.errorText(err)}
	}
	return f, nil
}

// auditTimeout is how long a refusal waits for its audit entry to be written.
const auditTimeout = 5 * time.Second

// recordAudit adds an entry to the audit log for an action that no engine call records. It does so even if
// the sender has left or the time of the request is over.
func (p *request) recordAudit(ctx context.Context, entry tracker.AuditEntry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	o := p.operatorOptions()
	entry.Subject, entry.Reason, entry.Address = o.By, o.Reason, o.Address
	return p.h.engine.Internals(host.NewKey()).AppendAudit(ctx, entry)
}

// readError is the error of what an action reads before it calls the engine.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

// hasNotBegun reports whether an action failed before it called the engine, which records its calls.
func hasNotBegun(err error) bool {
	if _, ok := errors.AsType[*busyError](err); ok {
		return true
	}
	_, ok := errors.AsType[readError](err)
	return ok || errors.Is(err, sqlkit.ErrTooSlow)
}

// refusedError reports that an action is not possible in the current state. Its text is in the
// operator's language.
type refusedError struct {
	text            string
	alreadyRecorded bool // an engine call has written the audit entry
}

func (e *refusedError) Error() string { return e.text }

// errorText returns the text that the page shows for an error.
func (p *request) errorText(err error) string {
	if text := p.retriedErrorText(err); text != "" {
		return text
	}
	for _, known := range []struct {
		is   error
		text string
	}{
		{nawasync.ErrEnded, p.T("The job has already ended.")},
		{nawasync.ErrNoArguments, p.T("The job's arguments are no longer stored, so the job cannot be retried. Repeat the action in the application.")},
		{nawasync.ErrRowGone, p.T("The row of this creation no longer exists, because the creation was cancelled or the row was deleted. Create the object again instead.")},
		{nawasync.ErrNotTracked, p.T("Nothing was enqueued: this process cannot enqueue tasks of this kind in asynq. Call Engine.Track with a Client in the process of these pages.")},
		{nawasync.ErrSuperseded, p.T("A later job for the same object succeeded, and a retry would undo its change. To retry anyway, select “Retry although a later job succeeded”.")},
		{mirror.ErrDecided, p.T("This held sync was already decided, or the remote lists the rows again.")},
		{mirror.ErrNoConflict, p.T("The job has no conflict that this action can resolve. Reload the page to see the current status.")},
		{nawasync.ErrNoRepository, p.T("The sync was not queued because this process has no repository for that table. Create the repository with mirror.New.")},
		{nawasync.ErrNoSealer, p.T("The text looks like a secret, and this application has no Config.Sealer to store one. Leave the secret out.")},
		{nawasync.ErrBacklogFull, p.T("The service's queue is full. Wait until some jobs have finished, or raise Config.MaxQueued.")},
		{tracker.ErrNotFound, p.T("The job no longer exists. It was deleted or pruned.")},
		{nawasync.ErrDatabaseBusy, p.T("Another transaction holds the database's only write lock. Repeat the action.")},
		{context.DeadlineExceeded, p.T("The database did not answer in time, so the action may or may not have been done. Check the status below before you repeat the action.")},
	} {
		if errors.Is(err, known.is) {
			return known.text
		}
	}
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return refused.text
	}
	if errors.Is(err, nawasync.ErrInvalid) {
		return err.Error()
	}
	// The text of a database error may contain details that do not belong on a page.
	p.h.config.Logger.Error("operator action failed", "path", p.r.URL.Path, "error", err)
	return p.T("The action failed because of an internal error. See the log of the process that serves this page.")
}
