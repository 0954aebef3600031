package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Scopes says which scopes a repository has: those that the rows of another repository, its parent, stand
// for. Create it with ScopesOf. The zero Scopes says nothing: the host decides what is synced.
type Scopes[T any] struct{ source *scopeSource }

// scopeSource is a Scopes without its type parameter.
type scopeSource struct {
	parent *repo // nil if it was not created by New
	scope  func(parent reflect.Value) reflect.Value
}

// ScopesOf returns the scopes that the rows of parent stand for, for Config.Scopes: for example the zones of
// an account are the scopes of DNS records. scope returns a value with the scope fields of a row of parent; it
// must depend on the row alone, and be safe for concurrent use. A row for which it returns no scope field is
// no scope.
//
// A scope is listed from the moment that its row was first read from the remote until the row is deleted, which
// takes all that a deletion takes in parent: a complete listing, Config.MissingRuns, Config.Limit, and a
// confirmation. So a listing of parent that fails, ends early or is empty changes no scope. Rows of parent that
// SQL of the host removes change none either.
//
// parent must be a repository of the same engine. Create both in every process.
func ScopesOf[P, T any](parent nawasync.SyncedRepository[P], scope func(row P) T) Scopes[T] {
	source := &scopeSource{scope: func(row reflect.Value) reflect.Value {
		out := reflect.New(reflect.TypeFor[T]()).Elem()
		out.Set(reflect.ValueOf(scope(row.Interface().(P))))
		return out
	}}
	if r, ok := parent.(*repository[P]); ok {
		source.parent = r.repo
	}
	return Scopes[T]{source}
}

// followers are the repositories whose scopes are the rows of a repository.
type followers struct {
	mu   sync.Mutex
	list []*repo
}

func (f *followers) add(r *repo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, r)
}

func (f *followers) all() []*repo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.list)
}

// checkScopes checks Config.Scopes and Config.Spread.
func (r *repo) checkScopes() error {
	switch {
	case r.spread < 0:
		return r.configErrorf("Spread must not be negative")
	case r.scopes == nil:
		return nil
	case r.scopes.parent == nil:
		return r.configErrorf("the parent of Scopes is no repository of New")
	case r.scopes.parent.engine != r.engine:
		return r.configErrorf("the parent of Scopes, %s/%s, belongs to another engine", r.scopes.parent.service, r.scopes.parent.typ)
	case r.scopes.parent.tx != nil:
		return r.configErrorf("the parent of Scopes must not be one of WithTx")
	case len(r.model.scope) == 0:
		return r.configErrorf(`Scopes is set, and the struct has no field with sync:"scope"`)
	}
	return nil
}

// scopeOfParent returns the scope that a row of the parent stands for, and its instance, which is "" if it stands for
// none. It returns an error for a scope that no job can have.
func (r *repo) scopeOfParent(parent reflect.Value) (scope reflect.Value, instance string, err error) {
	scope = r.scopes.scope(parent)
	if r.model.withoutScope(scope) {
		return scope, "", nil
	}
	r.model.respell(scope)
	if err := r.model.checkScope(scope); err != nil {
		return scope, "", err
	}
	instance = r.model.instance(scope)
	return scope, instance, r.engine.CheckTarget(nawasync.Target{Instance: instance, ID: "all"})
}

// withoutScope reports whether no scope field of the row is set.
func (m *model) withoutScope(row reflect.Value) bool {
	return !slices.ContainsFunc(m.scope, func(f *field) bool { return keyPart(f.value(row)) != "" })
}

// listedKey names a scope in the table of listed scopes.
func (r *repo) listedKey(instance string) jobstore.HoldScope {
	return jobstore.HoldScope{Service: r.service, Type: r.typ, Instance: instance}
}

// ErrScopeGone is returned by Create and SyncNow for a scope that is gone: the row of Config.Scopes that stands
// for it was deleted. It wraps nawasync.ErrNotFound.
var ErrScopeGone = fmt.Errorf("the scope is gone: %w", nawasync.ErrNotFound)

// goneText says why nothing happens in a scope.
func (r *repo) goneText(l *jobstore.ListedScope) string {
	return fmt.Sprintf("row %d of %s, which stands for it, was deleted, as was found at %s", l.Parent, r.scopes.parent.model.table,
		l.GoneAt.Format("2006-01-02 15:04:05 MST"))
}

// refuseGone returns ErrScopeGone if the row belongs to a scope that is gone.
func (r *repo) refuseGone(ctx context.Context, row reflect.Value) error {
	if r.scopes == nil {
		return nil
	}
	instance := r.model.instance(row)
	l, err := r.engine.Store().FindListed(ctx, r.listedKey(instance))
	if err != nil || l == nil || !l.Gone() {
		return err
	}
	return fmt.Errorf("%w: %q: %s", ErrScopeGone, instance, r.goneText(l))
}

// skipGone ends a job of a scope that is gone.
func (r *repo) skipGone(ctx context.Context, a host.Attempt) error {
	job := a.Job()
	if r.scopes == nil || job.Instance == "" || job.Action == tracker.RetireAction {
		return nil
	}
	l, err := r.engine.Store().FindListed(ctx, r.listedKey(job.Instance))
	if err != nil || l == nil || !l.Gone() {
		return err
	}
	return nawasync.Skip(fmt.Sprintf("the scope %q is gone, and nothing was done: %s", job.Instance, r.goneText(l)))
}

// skipUnlisted ends a refresh by key in a scope that is not listed. A feed or a webhook may name scopes that
// Config.Scopes leaves out; the first sync of a scope that is listed later reads all of its objects.
func (r *repo) skipUnlisted(ctx context.Context, instance string) error {
	if r.scopes == nil {
		return nil
	}
	l, err := r.engine.Store().FindListed(ctx, r.listedKey(instance))
	if err != nil || l != nil {
		return err
	}
	return nawasync.Skip(fmt.Sprintf("the scope %q is not listed, and nothing was read: no row of %s stands for it", instance, r.scopes.parent.model.table))
}

// changesRows reports whether jobs of an action add, delete or bring back a row in the transaction of their
// outcome.
func (r *repo) changesRows(action string) bool {
	return action == r.actions.Create || action == r.actions.Delete || action == tracker.RefreshAction
}

// notifyFollowers has the followers look at the rows of the repository, in tx.
func (r *repo) notifyFollowers(ctx context.Context, tx *gorm.DB) error {
	for _, child := range r.followers.all() {
		_, err := r.engine.DispatchTx(ctx, tx, child.followArgs(), nawasync.Options{By: "nawasync", Source: nawasync.SourceEvent})
		if err != nil && !errors.Is(err, nawasync.ErrBacklogFull) { // the next sync of the parent finds what this one would have
			return fmt.Errorf("have %s/%s follow its scopes: %w", child.service, child.typ, err)
		}
	}
	return nil
}

// notifyWith has the followers look at the rows after an attempt that has changed some in transactions of its own: in
// the transaction of its success, so that none is forgotten, or at once if it has failed.
func (r *repo) notifyWith(ctx context.Context, a host.Attempt, err error) {
	if len(r.followers.all()) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	notify := func(tx *gorm.DB) error { return r.notifyFollowers(ctx, tx) }
	if err == nil {
		a.OnSuccess(notify)
	} else if failed := r.engine.InTx(ctx, notify); failed != nil {
		a.Logf("the scopes are followed later: %s", failed) // by the next attempt
	}
}
