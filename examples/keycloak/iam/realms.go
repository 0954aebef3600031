package iam

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/mirror"
)

// realms is what the adapters share. A realm is a scope.
type realms[T any] struct {
	api  *kcapi.Client
	wire *mirror.Wire[T]

	kind  string // of the objects in admin events
	realm func(scope T) string
	key   func(id string) T
}

// Changes implements mirror.ChangesRemote with the admin events of the realm.
func (r *realms[T]) Changes(ctx context.Context, scope T, cursor string) iter.Seq2[mirror.Change[T], error] {
	return func(yield func(mirror.Change[T], error) bool) {
		ids, next, err := r.api.Changed(ctx, r.realm(scope), r.kind, cursor)
		if errors.Is(err, kcapi.ErrEventsGone) {
			err = fmt.Errorf("%w: %w", mirror.ErrCursorExpired, err)
		}
		if err != nil {
			yield(mirror.Change[T]{}, err)
			return
		}
		for _, id := range ids {
			if !yield(mirror.Change[T]{Key: r.key(id)}, nil) {
				return
			}
		}
		yield(mirror.Change[T]{Cursor: next}, nil)
	}
}

// ScopeExists implements mirror.ScopeRemote.
func (r *realms[T]) ScopeExists(ctx context.Context, scope T) (bool, error) {
	return r.api.RealmExists(ctx, r.realm(scope))
}

// CheckCredentials implements mirror.CredentialRemote. It tells a service account that has lost its roles, which gets 403
// for everything, from one that may not see one user.
func (r *realms[T]) CheckCredentials(ctx context.Context, scope T) error {
	_, err := r.api.CountUsers(ctx, r.realm(scope))
	return err
}
