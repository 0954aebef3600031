package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// jobAction does what a button on a job's page says.
func (p *request) jobAction() error {
	id, _, err := p.jobID()
	if err != nil {
		return err
	}
	job, err := p.visibleJob(id)
	if err != nil {
		return err
	}
	name := p.r.PathValue("act")
	do, ok := p.jobActions(job)[name]
	if !ok {
		return p.unknownAction()
	}
	return p.runAction(PermissionManage, tracker.AuditEntry{
		Action: name, Service: job.Service, Type: job.Type, Instance: job.Instance, TargetID: job.TargetID, JobID: job.ID,
	}, do)
}

func (p *request) jobActions(job *tracker.Job) map[string]func(context.Context) (flash, error) {
	engine, operator := p.h.engine, p.operatorOptions()
	follows := func(text string, act func(context.Context) (*tracker.Job, error)) func(context.Context) (flash, error) {
		return func(ctx context.Context) (flash, error) {
			next, err := act(ctx)
			if err != nil {
				return flash{}, err
			}
			return flash{Text: fmt.Sprintf(text, next.ID), Job: next.ID}, nil
		}
	}
	answer := func(text string, act func(context.Context, *nawasync.Engine, int64, nawasync.OperatorOptions) (*tracker.Job, error)) func(context.Context) (flash,
		error) {
		return follows(text, func(ctx context.Context) (*tracker.Job, error) {
			return act(ctx, engine, job.ID, operator)
		})
	}
	return map[string]func(context.Context) (flash, error){
		"retry": follows(p.T("It runs again as job %d."), func(ctx context.Context) (*tracker.Job, error) {
			switch {
			case job.Service == bulkKind.Service: // it would act for whoever began it
				return nil, &refusedError{text: p.T("A bulk run is not retried: begin another with a preview.")}
			case !job.Status.Terminal():
				return nil, &refusedError{text: p.T("Only an ended job is retried.")}
			}
			return engine.Retry(ctx, job.ID, nawasync.RetryOptions{
				By: operator.By, Reason: operator.Reason, Address: operator.Address,
				Force: p.r.PostFormValue("force") == "yes",
			})
		}),
		"resync":    answer(p.T("Job %d takes over what the remote has."), mirror.KeepTheirs),
		"rebase":    answer(p.T("Job %d changes it from what the remote had."), mirror.ApplyMine),
		"overwrite": answer(p.T("Job %d overwrites what the remote has."), mirror.Overwrite),
		"cancel": func(ctx context.Context) (flash, error) {
			now, err := engine.Cancel(ctx, job.ID, operator)
			if err != nil {
				return flash{}, err
			}
			if now.Status == tracker.StatusRunning {
				return flash{Text: p.Tf("The end of job %d is requested. It runs until its handler has stopped.", job.ID)}, nil
			}
			return flash{Text: p.Tf("Job %d is cancelled.", job.ID)}, nil
		},
		"delete": func(ctx context.Context) (flash, error) {
			if !job.DeletedAt.IsZero() {
				return flash{}, &refusedError{text: p.Tf("Job %d is deleted already.", job.ID)}
			}
			err := engine.Delete(ctx, job.ID, operator)
			if errors.Is(err, nawasync.ErrNotEnded) {
				err = &refusedError{p.Tf("Job %d has not ended. Cancel it first.", job.ID), true}
			}
			return flash{Text: p.Tf("Job %d is off the lists. “Deleted” shows it until it is pruned.", job.ID)}, err
		},
		"restore": func(ctx context.Context) (flash, error) {
			if job.DeletedAt.IsZero() {
				return flash{}, &refusedError{text: p.Tf("Job %d is not deleted.", job.ID)}
			}
			return flash{Text: p.Tf("Job %d is on the lists again.", job.ID)}, engine.Restore(ctx, job.ID, operator)
		},
	}
}

// unretryable says why a retry is not offered; "" is that it is.
func (v *jobView) unretryable() string {
	switch {
	case !v.job.Status.Terminal():
		return v.T("Only an ended job is retried.")
	case v.job.Service == bulkKind.Service:
		return v.T("A bulk run is not retried: begin another with a preview.")
	case v.job.ArgumentsDropped() || len(v.job.Payload) == 0:
		return v.T("Its arguments are no longer kept.")
	}
	return ""
}
