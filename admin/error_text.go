package admin

import (
	"context"
	"errors"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

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
		{nawasync.ErrRowGone, p.T("The row of this job no longer exists: its creation was cancelled, or the row was deleted. Create the object again instead.")},
		{nawasync.ErrNotTracked, p.T("Nothing was enqueued: this process cannot enqueue tasks of this kind in asynq. Call Engine.Track with a Client in the process of these pages.")},
		{nawasync.ErrSuperseded, p.T("A later job for the same object succeeded, and a retry would undo its change. To retry anyway, select “Retry although a later job succeeded”.")},
		{mirror.ErrDecided, p.T("This held sync was already decided, or the remote lists the rows again.")},
		{mirror.ErrNoConflict, p.T("The job has no conflict that this action can resolve. Reload the page to see the current status.")},
		{nawasync.ErrNoRepository, p.T("The sync was not queued because this process has no repository for that table. Create the repository with mirror.New.")},
		{nawasync.ErrNoSealer, p.T("The text looks like a secret, and this application has no Config.Sealer to store one. Leave the secret out.")},
		{nawasync.ErrBacklogFull, p.T("The service's queue is full. Wait until some jobs have finished, or raise Config.MaxQueued.")},
		{mirror.ErrScopeGone, p.T("The scope no longer exists on the remote. If it should, sync the repository that lists the scopes first.")},
		{nawasync.ErrDeleting, p.T("Another job deletes this object. Wait until that job has ended.")},
		{nawasync.ErrExists, p.T("Another row has the object's name by now.")},
		{nawasync.ErrNotEnded, p.T("The job has not ended. Cancel it first, or wait.")},
		{nawasync.ErrStillOpen, p.T("Some jobs of the object have not ended. Cancel them first, or wait.")},
		{errors.ErrUnsupported, p.T("The server cannot do that.")},
		{nawasync.ErrUnchanged, p.T("The change sets no field to a new value, so there is nothing to do.")},
		{nawasync.ErrBusy, p.T("Another transaction of the application creates the same object. Repeat the action.")},
		{nawasync.ErrKeyBusy, p.T("Another transaction of the application dispatches the same job. Repeat the action.")},
		{mirror.ErrUnseen, p.T("A field of the change was never fetched from the remote. Refresh the row in the application first.")},
		{secret.ErrUnseal, p.T("The job's arguments cannot be decrypted: this process lacks the key that sealed them. Add that key to Config.Sealer.")},
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
