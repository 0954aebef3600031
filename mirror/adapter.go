package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
)

// erasedRemote is a remote without its type parameter. Each reflect.Value is an addressable
// snapshot struct.
type erasedRemote interface {
	// list begins at a cursor, or at the beginning if from is "". A cursor needs a resumable Remote.
	list(ctx context.Context, scope reflect.Value, detail, from string) iter.Seq2[erasedPage, error]
	resumable() bool
	get(ctx context.Context, key reflect.Value) (erasedObject, error)
	create(ctx context.Context, want reflect.Value) (erasedObject, error)
	update(ctx context.Context, current erasedObject, want reflect.Value, touched FieldDiff) (erasedObject, error)
	remove(ctx context.Context, key reflect.Value) error
	// scopeExists returns known = false if the Remote cannot tell.
	scopeExists(ctx context.Context, scope reflect.Value) (exists, known bool, err error)
	changes(ctx context.Context, scope reflect.Value, cursor string) iter.Seq2[erasedChange, error]
	// poll returns known = false if the Remote cannot be asked for the outcome of an accepted write.
	poll(ctx context.Context, key reflect.Value, handle string) (known bool, err error)
}

type erasedObject struct {
	value   reflect.Value
	raw     json.RawMessage
	version string
	author  string
}

type erasedChange struct {
	key    reflect.Value
	cursor string
}

type erasedPage struct {
	items  reflect.Value // a slice
	fields []string
	proof  Proof
	cursor string
	// requestedAt is Page.RequestedAt.
	requestedAt time.Time
	// skipped is nil if the listing covers every row.
	skipped func(reflect.Value) bool
}

// remoteAdapter makes an erasedRemote of a remote. A method that the remote lacks returns an error that wraps
// errors.ErrUnsupported.
type remoteAdapter[T any] struct{ Lister[T] }

func lacks(method string) error {
	return nawasync.Permanent(fmt.Errorf("the Remote has no method %s: %w", method, errors.ErrUnsupported))
}

func (a remoteAdapter[T]) list(ctx context.Context, scope reflect.Value, detail, from string) iter.Seq2[erasedPage, error] {
	return func(yield func(erasedPage, error) bool) {
		var pages iter.Seq2[Page[T], error]
		if remote, ok := a.Lister.(ResumableRemote[T]); ok && from != "" {
			pages = remote.ListFrom(ctx, asType[T](scope), detail, from)
		} else {
			pages = a.List(ctx, asType[T](scope), detail)
		}
		for p, err := range pages {
			out := erasedPage{items: reflect.ValueOf(p.Items), fields: p.Fields, proof: p.Proof, cursor: p.Cursor, requestedAt: p.RequestedAt}
			if skipped := p.Skipped; skipped != nil { // a closure over p would keep the page's items in memory
				out.skipped = func(v reflect.Value) bool { return skipped(asType[T](v)) }
			}
			if !yield(out, markRemote(err)) {
				return
			}
		}
	}
}

func (a remoteAdapter[T]) resumable() bool {
	_, ok := a.Lister.(ResumableRemote[T])
	return ok
}

func (a remoteAdapter[T]) get(ctx context.Context, key reflect.Value) (erasedObject, error) {
	remote, ok := a.Lister.(Reader[T])
	if !ok {
		return erasedObject{}, lacks("Get")
	}
	o, err := remote.Get(ctx, asType[T](key))
	return eraseObject(o), markRemote(err)
}

func (a remoteAdapter[T]) create(ctx context.Context, want reflect.Value) (erasedObject, error) {
	remote, ok := a.Lister.(Creator[T])
	if !ok {
		return erasedObject{}, lacks("Create")
	}
	o, err := remote.Create(ctx, asType[T](want))
	return eraseObject(o), markRemote(err)
}

func (a remoteAdapter[T]) update(ctx context.Context, current erasedObject, want reflect.Value, touched FieldDiff) (erasedObject, error) {
	remote, ok := a.Lister.(Updater[T])
	if !ok {
		return erasedObject{}, lacks("Update")
	}
	o, err := remote.Update(ctx, Object[T]{asType[T](current.value), current.raw, current.version, current.author}, asType[T](want), touched)
	return eraseObject(o), markRemote(err)
}

func (a remoteAdapter[T]) remove(ctx context.Context, key reflect.Value) error {
	remote, ok := a.Lister.(Deleter[T])
	if !ok {
		return lacks("Delete")
	}
	return markRemote(remote.Delete(ctx, asType[T](key)))
}

func (a remoteAdapter[T]) scopeExists(ctx context.Context, scope reflect.Value) (exists, known bool, err error) {
	remote, ok := a.Lister.(ScopeRemote[T])
	if !ok {
		return false, false, nil
	}
	exists, err = remote.ScopeExists(ctx, asType[T](scope))
	return exists, err == nil, markRemote(err)
}

func (a remoteAdapter[T]) changes(ctx context.Context, scope reflect.Value, cursor string) iter.Seq2[erasedChange, error] {
	return func(yield func(erasedChange, error) bool) {
		remote, ok := a.Lister.(ChangesRemote[T])
		if !ok {
			yield(erasedChange{}, lacks("Changes"))
			return
		}
		for c, err := range remote.Changes(ctx, asType[T](scope), cursor) {
			if !yield(erasedChange{reflect.ValueOf(&c.Key).Elem(), c.Cursor}, markRemote(err)) {
				return
			}
		}
	}
}

func (a remoteAdapter[T]) poll(ctx context.Context, key reflect.Value, handle string) (known bool, err error) {
	remote, ok := a.Lister.(PollingRemote[T])
	if !ok {
		return false, nil
	}
	return true, markRemote(remote.Poll(ctx, asType[T](key), handle))
}

func eraseObject[T any](o Object[T]) erasedObject {
	return erasedObject{reflect.ValueOf(&o.Value).Elem(), o.Raw, o.Version, o.Author}
}

// remoteError marks an error of a call to the remote, so that it is not taken for one of the
// database.
type remoteError struct{ err error }

func (e *remoteError) Error() string { return e.err.Error() }
func (e *remoteError) Unwrap() error { return e.err }

func markRemote(err error) error {
	if err == nil {
		return nil
	}
	return &remoteError{err}
}

// databaseFailure returns err as a host.DatabaseError if the database could not be reached.
func databaseFailure(err error) error {
	if remote := (*remoteError)(nil); errors.As(err, &remote) {
		return err
	}
	return host.DatabaseFailure(err)
}

func asType[T any](v reflect.Value) T { return v.Interface().(T) }
