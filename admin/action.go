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
