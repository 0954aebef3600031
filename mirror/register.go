package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// register registers the handlers of all the repository's jobs or, with an error, none.
func (r *repo) register() error {
	handlers := []host.Handler{
		newHandler(r, r.actions.Create, withOnSuccess(r, r.runCreate)),
		newHandler(r, r.actions.Delete, withOnSuccess(r, r.runDelete)),
		newHandler(r, tracker.RefreshAction, r.runRefresh),
		newHandler(r, tracker.ConfirmAction, r.runConfirm),
		newHandler(r, r.actions.Sync, withOnSuccess(r, r.runSync)),
	}
	for _, action := range r.actions.Update {
		handlers = append(handlers, newHandler(r, action, withOnSuccess(r, r.runUpdate)))
	}
	if err := r.engine.Register(handlers); err != nil {
		return fmt.Errorf("repository %s/%s: %w", r.service, r.typ, err)
	}
	return nil
}

// newHandler returns the handler for jobs of one action. A is the type of their arguments.
func newHandler[A any](r *repo, action string, run func(context.Context, host.Attempt, *A) error) host.Handler {
	kind, queue, timeout, backoff := r.kind(action), r.queue, r.timeout, r.change.backoff
	if action == r.actions.Sync || action == tracker.ConfirmAction {
		queue, timeout, backoff = r.syncQueue, r.syncTimeout, r.sync.backoff
	}
	return host.Handler{
		Service: kind.Service, Type: kind.Type, Action: kind.Action, Queue: queue, Timeout: timeout, Backoff: backoff, MaskKeys: r.maskKeys,
		ContainsSecret: (len(r.model.secrets) > 0 || r.model.hides()) && reflect.TypeFor[A]() == reflect.TypeFor[mutation](),
		Decode: func(plain []byte) ([]string, func(context.Context, host.Attempt) error, error) {
			args := new(A)
			if err := json.Unmarshal(plain, args); err != nil {
				return nil, nil, fmt.Errorf("decode the arguments of %s: %w", kind, err)
			}
			return r.revealer.Values(*args), func(ctx context.Context, a host.Attempt) error {
				return databaseFailure(run(context.WithValue(ctx, beginWriteKey{}, a.BeginWrite), a, args))
			}, nil
		},
	}
}
