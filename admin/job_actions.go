package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// actionFunc performs an action and returns the flash that reports its result.
type actionFunc = func(ctx context.Context) (flash, error)

// jobAction performs the action of a button on a job's page.
func (p *request) jobAction() error {
	id, _, err := p.jobID()
	if err != nil {
		return err
	}
	job, err := p.visibleJob(id)
	if err != nil {
		return err
	}
	name := p.r.PathValue("action")
	do, ok := p.jobActions(job)[name]
	if !ok {
		return p.unknownAction()
	}
	if name == "edit" && p.viewer.allowed(PermissionManage, job.Service, job.Instance) {
		if done, err := p.refuseNewEdit(job); done || err != nil {
			return err
		}
		p.r.PostForm.Set("back", p.jobURL(job.ID)) // the page of the form has nothing to do any more
	}
	return p.runAction(PermissionManage, tracker.AuditEntry{
		Action: name, Service: job.Service, Type: job.Type, Instance: job.Instance, TargetID: job.TargetID, JobID: job.ID,
	}, do)
}

// jobActions returns the actions on a job, by their names in the URL.
func (p *request) jobActions(job *tracker.Job) map[string]actionFunc {
	// resolve returns an action that resolves the job's conflict with a new job.
	resolve := func(text string, do func(context.Context, *nawasync.Engine, int64, nawasync.OperatorOptions) (*tracker.Job, error)) actionFunc {
		return func(ctx context.Context) (flash, error) {
			if seen, _ := strconv.ParseInt(p.r.PostFormValue("answered"), 10, 64); seen != job.RetriedAs {
				return flash{}, &refusedError{text: p.T("Somebody has answered this conflict in the meantime. Look at the answer, then decide again if it is wrong.")}
			}
			next, err := do(ctx, p.h.engine, job.ID, p.operatorOptions())
			return newJobFlash(text, next, err)
		}
	}
	return map[string]actionFunc{
		"retry":       func(ctx context.Context) (flash, error) { return p.retryJob(ctx, job) },
		"edit":        func(ctx context.Context) (flash, error) { return p.retryEdited(ctx, job) },
		"keep_theirs": resolve(p.T("Job %d copies the remote's values into the snapshot."), mirror.KeepTheirs),
		"accept":      p.confirmed(resolve(p.T("Job %d accepts the remote's values."), mirror.Accept)),
		"apply_mine":  p.confirmed(resolve(p.T("Job %d applies the requested change on top of the remote's values."), mirror.ApplyMine)),
		"overwrite":   p.confirmed(resolve(p.T("Job %d overwrites the remote's values."), mirror.Overwrite)),
		"cancel":      func(ctx context.Context) (flash, error) { return p.cancelJob(ctx, job) },
		"delete":      func(ctx context.Context) (flash, error) { return p.deleteJob(ctx, job) },
		"restore_row": func(ctx context.Context) (flash, error) { return p.restoreRow(ctx, job) },
		"restore":     func(ctx context.Context) (flash, error) { return p.restoreJob(ctx, job) },
	}
}

// confirmed runs an action that writes to the remote or deletes rows only if the operator has ticked the box of
// confirmBox.
func (p *request) confirmed(do actionFunc) actionFunc {
	return func(ctx context.Context) (flash, error) {
		if p.r.PostFormValue("confirm") != "yes" {
			return flash{}, &refusedError{text: p.T("Tick the box beside the button to confirm.")}
		}
		return do(ctx)
	}
}

// newJobFlash returns the flash that reports a new job, or err if it is not nil. The text has one
// formatting verb, for the ID of the job.
func newJobFlash(text string, job *tracker.Job, err error) (flash, error) {
	if err != nil {
		return flash{}, err
	}
	return flash{Text: fmt.Sprintf(text, job.ID), Job: job.ID}, nil
}

func (p *request) cancelJob(ctx context.Context, job *tracker.Job) (flash, error) {
	now, err := p.h.engine.Cancel(ctx, job.ID, p.operatorOptions())
	if err != nil {
		return flash{}, err
	}
	if now.Status == tracker.StatusRunning {
		return flash{Text: p.Tf("Cancelling job %d… The job ends when its handler returns.", job.ID)}, nil
	}
	return flash{Text: p.Tf("Job %d was cancelled.", job.ID)}, nil
}

func (p *request) deleteJob(ctx context.Context, job *tracker.Job) (flash, error) {
	if !job.DeletedAt.IsZero() {
		return flash{}, &refusedError{text: p.Tf("Job %d was already deleted.", job.ID)}
	}
	err := p.h.engine.Delete(ctx, job.ID, p.operatorOptions())
	if errors.Is(err, nawasync.ErrNotEnded) {
		err = &refusedError{p.Tf("Job %d has not ended. Cancel the job first.", job.ID), true}
	}
	return flash{Text: p.Tf("Job %d was deleted. To restore the job, open the “Deleted” view.", job.ID)}, err
}

func (p *request) restoreJob(ctx context.Context, job *tracker.Job) (flash, error) {
	if job.DeletedAt.IsZero() {
		return flash{}, &refusedError{text: p.Tf("Job %d is not deleted.", job.ID)}
	}
	return flash{Text: p.Tf("Job %d was restored.", job.ID)}, p.h.engine.Restore(ctx, job.ID, p.operatorOptions())
}

// hasDeletedRow reports whether the job has deleted an object, whose row is kept for some time.
func hasDeletedRow(job *tracker.Job) bool {
	return job.SnapshotState == nawasync.StatePendingDelete && job.Status == tracker.StatusSuccess
}

func (p *request) restoreRow(ctx context.Context, job *tracker.Job) (flash, error) {
	if !hasDeletedRow(job) {
		return flash{}, &refusedError{text: p.Tf("Job %d has not deleted an object.", job.ID)}
	}
	row := mirror.DeletedRow{Service: job.Service, Type: job.Type, ID: job.SnapshotRow}
	next, err := mirror.Restore(ctx, p.h.engine, row, p.operatorOptions())
	switch {
	case errors.Is(err, nawasync.ErrExists):
		err = &refusedError{text: p.T("The row was not restored, because another row has the object's name by now."), alreadyRecorded: true}
	case errors.Is(err, mirror.ErrScopeGone):
		err = &refusedError{text: p.T("The scope no longer exists on the remote. If it should, sync the repository that lists the scopes first."), alreadyRecorded: true}
	case errors.Is(err, nawasync.ErrNotFound):
		err = &refusedError{text: p.T("The row is not deleted: it was restored, or removed 30 days after the deletion."), alreadyRecorded: true}
	}
	return newJobFlash(p.T("The row was restored. Job %d reads its object."), next, err)
}

// retryBlockedReason returns why the job cannot be retried, or "" if it can.
func (v *jobView) retryBlockedReason() string {
	switch {
	case !v.job.Status.Terminal():
		return v.T("Only an ended job can be retried.")
	case v.job.Service == bulkKind.Service:
		return v.T("A bulk run cannot be retried. Start a new one from the job list.")
	case v.job.ArgumentsDropped() || len(v.job.Payload) == 0:
		return v.T("The job's arguments are no longer stored.")
	case !v.supports(v.job.Service, v.job.Type, v.job.Action):
		return v.T("The server cannot do that.")
	}
	return ""
}
