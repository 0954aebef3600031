package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// register makes the engine serve the repository's kinds: all of them or, with an
// error, none.
func (r *repo) register() error {
	handlers := []host.Handler{
		newHandler(r, r.actions.Create, r.queue, r.timeout, r.runCreate),
		newHandler(r, r.actions.Delete, r.queue, r.timeout, r.runDelete),
		newHandler(r, tracker.RefreshAction, r.queue, r.timeout, r.runRefresh),
		newHandler(r, r.actions.Sync, r.syncQueue, r.syncTimeout, r.runSync),
	}
	for _, action := range r.actions.Update {
		handlers = append(handlers, newHandler(r, action, r.queue, r.timeout, r.runUpdate))
	}
	if err := r.engine.Register(handlers); err != nil {
		return fmt.Errorf("repository %s/%s: %w", r.service, r.typ, err)
	}
	return nil
}

// newHandler runs the jobs of one action, whose arguments are A.
func newHandler[A any](r *repo, action, queue string, timeout time.Duration, run func(context.Context, host.Attempt, *A) error) host.Handler {
	kind := r.kind(action)
	return host.Handler{
		Service: kind.Service, Type: kind.Type, Action: kind.Action, Queue: queue, Timeout: timeout,
		ContainsSecret: len(r.model.secrets) > 0 && reflect.TypeFor[A]() == reflect.TypeFor[mutation](),
		Decode: func(plain []byte) ([]string, func(context.Context, host.Attempt) error, error) {
			args := new(A)
			if err := json.Unmarshal(plain, args); err != nil {
				return nil, nil, fmt.Errorf("the arguments of %s do not decode: %w", kind, err)
			}
			_, secrets, err := r.revealer.Reveal(*args)
			return secrets, func(ctx context.Context, a host.Attempt) error {
				return run(context.WithValue(ctx, beginWriteKey{}, a.BeginWrite), a, args)
			}, err
		},
	}
}
