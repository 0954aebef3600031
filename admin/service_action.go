package admin

import (
	"context"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// serviceAction pauses, resumes or syncs a service or an instance.
func (p *request) serviceAction() error {
	name, err := p.pathService()
	if err != nil {
		return err
	}
	if strings.HasSuffix(p.r.PathValue("action"), "_schedule") {
		return p.scheduleAction(name)
	}
	if typ, at, ok := strings.Cut(p.r.PostFormValue("table"), "/"); ok { // the menu of the page's head has all tables
		p.r.PostForm.Set("type", typ)
		p.r.PostForm.Set("instance", at)
	}
	instance, operator := p.r.PostFormValue("instance"), p.operatorOptions()
	asked, found := scopeAsked(instance), instance == "" || p.viewer.viewsScope(name, instance)
	switch p.r.PathValue("action") { // also the first one of an instance
	case "sync":
		asked, found = p.syncAsked(name, p.r.PostFormValue("type"), instance), instance == "" || p.viewer.allowed(PermissionView, name, instance)
	case "plan":
		asked, found = instance, instance == "" || p.viewer.allowed(PermissionView, name, instance)
	}
	if !found {
		return errNotFound
	}
	entry := tracker.AuditEntry{Action: p.r.PathValue("action"), Service: name, Instance: instance}
	runAction := func(do func(ctx context.Context) (flash, error)) error {
		return p.runActionIf(p.viewer.allowed(PermissionService, name, asked) && p.viewer.allowed(PermissionView, name, asked), PermissionService, entry, do)
	}
	engine := p.h.engine
	switch entry.Action {
	case "pause":
		return runAction(func(ctx context.Context) (flash, error) {
			if operator.Reason == "" {
				return flash{}, &refusedError{text: p.T("Enter a reason, so that others know why the service is paused.")}
			}
			err := engine.Pause(ctx, name, instance, p.pauseOptions())
			return flash{Text: p.Tf("%s is paused. Queued jobs wait; running jobs continue.", p.scopeText(name, instance))}, err
		})
	case "resume":
		return runAction(func(ctx context.Context) (flash, error) {
			found, err := engine.Resume(ctx, name, instance, operator)
			if err == nil && !found {
				err = &refusedError{p.Tf("%s is not paused.", p.scopeText(name, instance)), true}
			}
			if err != nil {
				return flash{}, err
			}
			return flash{Text: p.resumedText(ctx, name, instance)}, nil
		})
	case "sync", "plan":
		entry.Type = p.r.PostFormValue("type")
		return runAction(func(ctx context.Context) (flash, error) {
			request := nawasync.SyncRequest{Service: name, Type: entry.Type, Instance: instance, Detail: p.r.PostFormValue("detail")}
			if entry.Action == "plan" {
				job, err := engine.PlanNow(ctx, request, operator)
				return newJobFlash(p.T("Job %d finds out what a sync would do. Its page shows the changes."), job, err)
			}
			job, err := engine.SyncNow(ctx, request, operator)
			if err != nil {
				return flash{}, err
			}
			if job.Coalesced {
				return flash{Text: p.Tf("Job %d is already queued for this sync.", job.ID), Job: job.ID}, nil
			}
			return flash{Text: p.Tf("Job %d was queued for this sync.", job.ID), Job: job.ID}, nil
		})
	}
	return p.unknownAction()
}

// holdAction releases or rejects a held sync.
func (p *request) holdAction() error {
	id, err := strconv.ParseInt(p.r.PathValue("id"), 10, 64)
	if err != nil {
		return errNotFound
	}
	hold, err := p.store().Hold(p.r.Context(), id)
	if err != nil {
		return err
	}
	entry := tracker.AuditEntry{Action: p.r.PathValue("action"), Service: hold.Service, Type: hold.Type, Instance: hold.Instance}
	switch entry.Action {
	case "release":
		return p.runAction(PermissionManage, entry, p.confirmed(func(ctx context.Context) (flash, error) {
			job, err := mirror.ReleaseHold(ctx, p.h.engine, id, p.operatorOptions())
			if err != nil {
				return flash{}, err
			}
			text := p.Tf("Released. Job %d will list the remote objects again. A second job then deletes the rows that are still missing and that the remote confirms to be gone.", job.ID)
			return flash{Text: text, Job: job.ID}, nil
		}))
	case "reject":
		return p.runAction(PermissionManage, entry, func(ctx context.Context) (flash, error) {
			return flash{Text: p.T("Rejected. The rows are kept and stay marked as missing.")}, mirror.RejectHold(ctx, p.h.engine, id, p.operatorOptions())
		})
	}
	return p.unknownAction()
}
