package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
)

// parentWait has a job wait for syncs of the parent, without an attempt and without a place among the running jobs.
type parentWait struct {
	*repo

	attempt host.Attempt
	jobs    []int64 // the syncs of the parent
}

// parentState is what an attempt that waits leaves to the next one.
type parentState struct {
	Parents []int64   `json:"parents,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// maxParents is how many syncs of the parent are waited for. The others run too, and have the scopes followed again when
// they end.
const maxParents = 200

// wait dispatches the syncs of the given scopes of the parent, and returns an error that ends the attempt until all
// of them have ended, whatever their outcome, or maxParentWait has passed.
func (w *parentWait) wait(ctx context.Context, scopes func() ([]reflect.Value, error)) error {
	var state parentState
	if _, err := w.attempt.State(ctx, &state); err != nil {
		return err
	}
	if state.Since.IsZero() {
		state.Since = w.engine.Store().Now()
		list, err := scopes()
		if err != nil {
			return err
		}
		for _, scope := range list {
			job, err := w.scopes.parent.syncNow(ctx, scope, "", nawasync.Options{By: w.attempt.Job().TriggeredBy, Source: nawasync.SourceEvent})
			if errors.Is(err, ErrScopeGone) {
				continue
			}
			if err != nil {
				return fmt.Errorf("sync %s/%s first: %w", w.scopes.parent.service, w.scopes.parent.typ, err)
			}
			if len(state.Parents) < maxParents {
				state.Parents = append(state.Parents, job.ID)
			}
		}
	}
	w.jobs = state.Parents
	finished, err := w.engine.Store().FinishTimes(ctx, w.engine.DB(), w.jobs)
	if err != nil {
		return err
	}
	open := 0
	for _, at := range finished {
		if at.IsZero() {
			open++
		}
	}
	if open == 0 || w.engine.Store().Now().Sub(state.Since) > maxParentWait {
		return w.attempt.SetState(parentState{Parents: state.Parents, Since: state.Since})
	}
	if err := w.attempt.SetState(state); err != nil {
		return err
	}
	return nawasync.RetryAfter(parentPoll, fmt.Errorf("%d syncs of %s/%s run first", open, w.scopes.parent.service, w.scopes.parent.typ))
}
