package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// register registers the handlers of the jobs that the remote can do or, with an error, none.
func (r *repo) register() error {
	handlers := []host.Handler{
		newHandler(r, tracker.ConfirmAction, r.runConfirm),
		newHandler(r, r.actions.Sync, withOnSuccess(r, r.runSync)),
		newHandler(r, tracker.PlanAction, r.runPlan),
	}
	if r.can.read {
		handlers = append(handlers, newHandler(r, tracker.RefreshAction, r.runRefresh))
	}
	if r.can.changes {
		handlers = append(handlers, newHandler(r, r.actions.Changes, r.runChanges))
	}
	if r.can.create {
		handlers = append(handlers, newHandler(r, r.actions.Create, withOnSuccess(r, r.runCreate)))
	}
	if r.can.remove || r.can.create { // the row of a failed creation can be deleted without a Deleter
		handlers = append(handlers, newHandler(r, r.actions.Delete, withOnSuccess(r, r.runDelete)))
	}
	if r.can.update {
		for _, action := range r.actions.Update {
			handlers = append(handlers, newHandler(r, action, withOnSuccess(r, r.runUpdate)))
		}
	}
	if r.scopes != nil {
		handlers = append(handlers, newHandler(r, tracker.FollowAction, r.runFollow),
			newHandler(r, tracker.RetireAction, r.runRetire))
	}
	if err := r.engine.Register(handlers); err != nil {
		return fmt.Errorf("repository %s/%s: %w", r.service, r.typ, err)
	}
	return nil
}

// syncs reports whether the jobs of an action have the queue, the timeout and the attempts of syncs.
func (r *repo) syncs(action string) bool {
	return slices.Contains(
		[]string{r.actions.Sync, r.actions.Changes, tracker.ConfirmAction, tracker.PlanAction, tracker.FollowAction, tracker.RetireAction},
		action,
	)
}

// newHandler returns the handler for jobs of one action. A is the type of their arguments.
func newHandler[A any](r *repo, action string, run func(context.Context, host.Attempt, *A) error) host.Handler {
	kind, queue, timeout, backoff, calls := r.kind(action), r.queue, r.timeout, r.change.backoff, r.calls
	if r.syncs(action) {
		queue, timeout, backoff, calls = r.syncQueue, r.syncTimeout, r.sync.backoff, 1
	}
	if action == tracker.RefreshAction {
		calls = 1
	}
	return host.Handler{
		Service: kind.Service, Type: kind.Type, Action: kind.Action, Queue: queue, Calls: calls, Syncs: r.syncs(action),
		Timeout: timeout, Backoff: backoff, MaskKeys: r.maskKeys,
		ContainsSecret: (len(r.model.secrets) > 0 || r.model.hides()) && reflect.TypeFor[A]() == reflect.TypeFor[mutation](),
		Decode: func(plain []byte) ([]string, func(context.Context, host.Attempt) error, error) {
			args := new(A)
			if err := json.Unmarshal(plain, args); err != nil {
				return nil, nil, fmt.Errorf("decode the arguments of %s: %w", kind, err)
			}
			return r.revealer.Values(*args), func(ctx context.Context, a host.Attempt) error {
				if err := r.skipGone(ctx, a); err != nil {
					return databaseFailure(err)
				}
				if r.changesRows(action) {
					a.OnSuccess(func(tx *gorm.DB) error { return r.notifyFollowers(context.WithoutCancel(ctx), tx) })
				}
				return databaseFailure(run(context.WithValue(ctx, beginWriteKey{}, a.BeginWrite), a, args))
			}, nil
		},
	}
}
