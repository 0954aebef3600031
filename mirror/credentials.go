package mirror

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"time"

	"github.com/nawasara/nawasync/fault"
)

// CredentialRemote is an optional interface of a Remote whose API answers alike, for example with status
// 403, to credentials that are no longer valid and to valid ones that may not see an object.
type CredentialRemote[T any] interface {
	// CheckCredentials returns an error if the remote refuses the credentials of a scope altogether. It is
	// called after an error of fault.ClassForbidden, at most once a minute for a limit scope while they are valid. Only
	// the scope fields are set. An error of the class rate_limited, unavailable, transient, timeout or
	// unknown_outcome leaves the question open: the job then ends as after any error of that class. It must be safe for
	// concurrent use.
	CheckCredentials(ctx context.Context, scope T) error
}

// credentialChecker is an erasedRemote that may implement CredentialRemote.
type credentialChecker interface {
	checksCredentials() bool
	checkCredentials(ctx context.Context, scope reflect.Value) error
}

func (a remoteAdapter[T]) checksCredentials() bool {
	_, ok := a.Lister.(CredentialRemote[T])
	return ok
}

func (a remoteAdapter[T]) checkCredentials(ctx context.Context, scope reflect.Value) error {
	remote, ok := a.Lister.(CredentialRemote[T])
	if !ok {
		return nil
	}
	return remote.CheckCredentials(ctx, asType[T](scope))
}

// credentialCheckInterval is for how long the credentials of a limit scope count as valid after a check.
const credentialCheckInterval = time.Minute

// checkedRemote finds out whether a refused call means that the credentials are no longer valid.
type checkedRemote struct {
	erasedRemote

	repo  *repo
	check func(ctx context.Context, scope reflect.Value) error

	mu    sync.Mutex
	valid map[string]time.Time // when the credentials of a limit scope were valid last
}

// useCredentialCheck makes the repository call CheckCredentials if its Remote has it.
func (r *repo) useCredentialCheck() {
	if checker, ok := r.remote.(credentialChecker); ok && checker.checksCredentials() {
		r.remote = &checkedRemote{erasedRemote: r.remote, repo: r, check: checker.checkCredentials, valid: map[string]time.Time{}}
	}
}

// checked returns the error of a call for a scope or for an object with the scope of row.
func (c *checkedRemote) checked(ctx context.Context, row reflect.Value, err error) error {
	if fault.ClassOf(err) != fault.ClassForbidden || ctx.Err() != nil {
		return err
	}
	scope := c.repo.model.newRow()
	for _, f := range c.repo.model.scope {
		f.value(scope).Set(f.value(row))
	}
	limit, scopeErr := attached{c.repo}.LimitScopeOf(c.repo.model.instance(scope))
	if scopeErr != nil {
		return err
	}
	if now := c.repo.now(); c.validSince(limit, now.Add(-credentialCheckInterval)) {
		return err
	}
	checkErr := c.check(ctx, scope)
	switch class := fault.ClassOf(checkErr); class {
	case "":
		c.mu.Lock()
		c.valid[limit] = c.repo.now()
		c.mu.Unlock()
		return err
	case fault.ClassRateLimited, fault.ClassUnavailable, fault.ClassTransient, fault.ClassTimeout, fault.ClassUnknownOutcome:
		return markRemote(fmt.Errorf("check the credentials after %q: %w", err.Error(), checkErr))
	default:
		refused := fmt.Errorf("%w; the credentials are refused altogether: %w", err, checkErr)
		return markRemote(fault.WithClass(fault.ClassCredentials, refused))
	}
}

func (c *checkedRemote) validSince(limit string, since time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, known := c.valid[limit]
	return known && at.After(since)
}

// The calls of the remote. Those that are not here return no error of it.

func (c *checkedRemote) list(ctx context.Context, scope reflect.Value, detail, from string) iter.Seq2[erasedPage, error] {
	return func(yield func(erasedPage, error) bool) {
		for page, err := range c.erasedRemote.list(ctx, scope, detail, from) {
			if !yield(page, c.checked(ctx, scope, err)) {
				return
			}
		}
	}
}

func (c *checkedRemote) get(ctx context.Context, key reflect.Value) (erasedObject, error) {
	o, err := c.erasedRemote.get(ctx, key)
	return o, c.checked(ctx, key, err)
}

func (c *checkedRemote) create(ctx context.Context, want reflect.Value) (erasedObject, error) {
	o, err := c.erasedRemote.create(ctx, want)
	return o, c.checked(ctx, want, err)
}

func (c *checkedRemote) update(ctx context.Context, current erasedObject, want reflect.Value, touched FieldDiff) (erasedObject, error) {
	o, err := c.erasedRemote.update(ctx, current, want, touched)
	return o, c.checked(ctx, want, err)
}

func (c *checkedRemote) remove(ctx context.Context, key reflect.Value) error {
	return c.checked(ctx, key, c.erasedRemote.remove(ctx, key))
}

func (c *checkedRemote) scopeExists(ctx context.Context, scope reflect.Value) (exists, known bool, err error) {
	exists, known, err = c.erasedRemote.scopeExists(ctx, scope)
	return exists, known, c.checked(ctx, scope, err)
}

func (c *checkedRemote) changes(ctx context.Context, scope reflect.Value, cursor string) iter.Seq2[erasedChange, error] {
	return func(yield func(erasedChange, error) bool) {
		for change, err := range c.erasedRemote.changes(ctx, scope, cursor) {
			if !yield(change, c.checked(ctx, scope, err)) {
				return
			}
		}
	}
}

func (c *checkedRemote) poll(ctx context.Context, key reflect.Value, handle string) (known bool, err error) {
	known, err = c.erasedRemote.poll(ctx, key, handle)
	return known, c.checked(ctx, key, err)
}

// limitFields implements limitScoper.
func (c *checkedRemote) limitFields(m *model, scope reflect.Value) (int, error) {
	if limited, ok := c.erasedRemote.(limitScoper); ok {
		return limited.limitFields(m, scope)
	}
	return m.limits, nil
}
