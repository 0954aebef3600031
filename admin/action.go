package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// operatorOptions is who asks, why and from where, for the engine's audit log.
func (p *request) operatorOptions() nawasync.OperatorOptions {
	o := nawasync.OperatorOptions{By: p.viewer.subject, Reason: strings.TrimSpace(p.r.PostFormValue("reason"))}
	if host, _, err := net.SplitHostPort(p.r.RemoteAddr); err == nil {
		o.Address = host
	}
	return o
}

// runAction does what an operator asked for, if they have the permission on its service, and
// answers the form. The entry says what it was where the engine is not called, for it is
// not permitted or makes no sense: its calls add their own.
func (p *request) runAction(permission string, entry tracker.AuditEntry, do func(ctx context.Context) (flash, error)) error {
	f, err := p.runPermitted(p.viewer.may(permission, entry.Service), permission, entry, do)
	if err != nil {
		return err
	}
	return p.back(f)
}

// runPermitted is act for those who may by another rule. Its error is that they may not; that
// it went wrong is in the flash.
func (p *request) runPermitted(may bool, permission string, entry tracker.AuditEntry, do func(ctx context.Context) (flash, error)) (flash, error) {
	ctx := p.r.Context()
	if !may {
		entry.Outcome, entry.Detail = tracker.AuditRefused, permission
		if err := p.record(ctx, entry); err != nil {
			return flash{}, err
		}
		return flash{}, &httpError{
			http.StatusForbidden, p.T("You may not do this"),
			p.Tf("Your account has no permission %s on %s. Nothing was done.", permission, entry.Service),
		}
	}
	f, err := do(ctx)
	if refused, ok := errors.AsType[*refusedError](err); ok && !refused.alreadyRecorded {
		entry.Outcome, entry.Detail = tracker.AuditFailed, refused.text
		if err := p.record(ctx, entry); err != nil {
			return flash{}, err
		}
	}
	if err != nil {
		f = flash{Bad: true, Text: p.errorText(err)}
	}
	return f, nil
}

// record adds to the audit log what no call of the engine records.
func (p *request) record(ctx context.Context, entry tracker.AuditEntry) error {
	o := p.operatorOptions()
	entry.Subject, entry.Reason, entry.Address = o.By, o.Reason, o.Address
	return p.h.engine.Internals(host.NewKey()).AppendAudit(ctx, entry)
}

// refusedError is an act that makes no sense as things stand; its text is for the operator.
type refusedError struct {
	text            string
	alreadyRecorded bool // by a call of the engine, in the audit log
}

func (r *refusedError) Error() string { return r.text }

// errorText is an error for the person who reads it on a page.
func (p *request) errorText(err error) string {
	for _, known := range []struct {
		is   error
		text string
	}{
		{nawasync.ErrEnded, p.T("The job has ended already.")},
		{nawasync.ErrNoArguments, p.T("The job's arguments are no longer kept, so it cannot run again as it was. Dispatch it anew from the application.")},
		{nawasync.ErrSuperseded, p.T("A later job of the same target succeeded: running this one again would undo it. Tick “run it all the same” if that is what you want.")},
		{mirror.ErrDecided, p.T("Somebody has decided on this held sync already, or its rows have come back.")},
		{mirror.ErrNoConflict, p.T("This conflict cannot be answered so. Resync takes over what the remote has.")},
		{nawasync.ErrNoRepository, p.T("This process has no repository of that name, so it cannot have it synced.")},
		{nawasync.ErrBacklogFull, p.T("The service's queue is full. Wait until it has worked some off, or raise Config.MaxQueued.")},
		{tracker.ErrNotFound, p.T("It is not there any more.")},
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
	// A database's error is for the log.
	p.h.config.Logger.Error("admin: an operator's act failed", "path", p.r.URL.Path, "error", err)
	return p.T("It could not be done. The log of this process has the error.")
}
