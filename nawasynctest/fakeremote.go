package nawasynctest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// Call names a method of a remote.
type Call string

// The calls.
const (
	CallList   Call = "list"
	CallGet    Call = "get"
	CallCreate Call = "create"
	CallUpdate Call = "update"
	CallDelete Call = "delete"
)

// The errors of a FakeRemote, with the classes that a client gives them.
var (
	ErrGone   = fault.WithClass(fault.ClassGone, errors.New("the fake remote has no such object"))
	ErrExists = fault.WithClass(fault.ClassAlreadyExists, errors.New("the fake remote has an object of that key"))
)

// FakeRemote is a mirror.Remote in memory: a whole, truthful list, which can be made to
// misbehave. Set its fields before use, or in Configure. Key, InScope, Store and Detail are
// called under its lock, and must not call it. A call whose context has ended does nothing
// and returns the cause. It is safe for concurrent use.
type FakeRemote[T any] struct {
	// Key is an object's scope and key as one text. Required.
	Key func(object T) string
	// InScope reports whether an object is in a scope, of which only the scope fields are
	// set. Nil: every object is in every scope.
	InScope func(object, scope T) bool
	// PageSize is how many objects one page of a listing has. 0 is 100.
	PageSize int
	// Store makes of what was written what the server keeps; created tells a creation. Nil
	// keeps it as it is.
	Store func(object T, created bool) T
	// Detail is what a listing of a detail has of an object, and the columns that it has
	// fetched; nil columns are all. Nil: every listing has everything.
	Detail func(detail string, object T) (T, []string)
	// Before is called before each call but List, outside of the lock. Its error is the
	// call's, and nothing is done. Nil is fine.
	Before func(call Call, object T) error
	// After is called when a call has been done. Its error is the call's: the answer is
	// lost. Nil is fine.
	After func(call Call, object T) error
	// Pages changes the pages of a listing before they are yielded. Nil is fine.
	Pages func(pages []mirror.Page[T]) []mirror.Page[T]
	// OnPage is called before each page of a listing, from 0. Nil is fine.
	OnPage func(n int)
	// ListErr ends a listing, after its pages.
	ListErr error

	mu      sync.Mutex
	objects map[string]T
	calls   map[Call]int
	writes  int
}

var _ mirror.Remote[struct{}] = (*FakeRemote[struct{}])(nil)

// Configure calls set while no call is under way, for changes of the fields during a test.
func (f *FakeRemote[T]) Configure(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
}

// Put adds or replaces objects behind the back of the engine.
func (f *FakeRemote[T]) Put(objects ...T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objects == nil {
		f.objects = map[string]T{}
	}
	for _, object := range objects {
		f.objects[f.key(object)] = object
	}
}

// Drop removes objects behind the back of the engine, by their keys' fields.
func (f *FakeRemote[T]) Drop(objects ...T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, object := range objects {
		delete(f.objects, f.key(object))
	}
}

// Object is the object with the key of the one given.
func (f *FakeRemote[T]) Object(key T) (object T, found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	object, found = f.objects[f.key(key)]
	return object, found
}

// Objects are all objects, in the order of their keys.
func (f *FakeRemote[T]) Objects() []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]T, 0, len(f.objects))
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		list = append(list, f.objects[key])
	}
	return list
}

// Calls is how often a method was called.
func (f *FakeRemote[T]) Calls(call Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

// Writes is how many creations, updates and deletions were done.
func (f *FakeRemote[T]) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// call does one call: do runs under the lock.
func (f *FakeRemote[T]) call(ctx context.Context, call Call, object T, do func(key string, there T, found bool) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	before, after := f.count(call)
	if before != nil {
		if err := before(call, object); err != nil {
			return err
		}
	}
	if err := f.locked(object, do); err != nil || after == nil {
		return err
	}
	return after(call, object)
}

func (f *FakeRemote[T]) locked(object T, do func(key string, there T, found bool) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objects == nil {
		f.objects = map[string]T{}
	}
	key := f.key(object)
	there, found := f.objects[key]
	return do(key, there, found)
}

func (f *FakeRemote[T]) key(object T) string {
	if f.Key == nil {
		panic("nawasynctest: set FakeRemote.Key, which makes one text of an object's scope and key")
	}
	return f.Key(object)
}

func (f *FakeRemote[T]) count(call Call) (before, after func(Call, T) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[Call]int{}
	}
	f.calls[call]++
	return f.Before, f.After
}

func (f *FakeRemote[T]) stored(object T, created bool) T {
	if f.Store == nil {
		return object
	}
	return f.Store(object, created)
}

// Get returns the object, or ErrGone.
func (f *FakeRemote[T]) Get(ctx context.Context, key T) (o mirror.Object[T], err error) {
	err = f.call(ctx, CallGet, key, func(_ string, there T, found bool) error {
		if !found {
			return ErrGone
		}
		o.Value = there
		return nil
	})
	return o, err
}

// Create adds the object, or returns ErrExists.
func (f *FakeRemote[T]) Create(ctx context.Context, want T) (o mirror.Object[T], err error) {
	err = f.call(ctx, CallCreate, want, func(key string, _ T, found bool) error {
		if found {
			return ErrExists
		}
		o.Value = f.stored(want, true)
		f.objects[key] = o.Value
		f.writes++
		return nil
	})
	return o, err
}

// Update replaces the object as a whole, or returns ErrGone.
func (f *FakeRemote[T]) Update(ctx context.Context, _ mirror.Object[T], want T, _ mirror.Diff) (o mirror.Object[T], err error) {
	err = f.call(ctx, CallUpdate, want, func(key string, _ T, found bool) error {
		if !found {
			return ErrGone
		}
		o.Value = f.stored(want, false)
		f.objects[key] = o.Value
		f.writes++
		return nil
	})
	return o, err
}

// Delete removes the object, or returns ErrGone.
func (f *FakeRemote[T]) Delete(ctx context.Context, key T) error {
	return f.call(ctx, CallDelete, key, func(key string, _ T, found bool) error {
		if !found {
			return ErrGone
		}
		delete(f.objects, key)
		f.writes++
		return nil
	})
}

// List reads the whole list when it begins, as the slowest of remotes would, and yields it
// in pages with a total.
func (f *FakeRemote[T]) List(ctx context.Context, scope T, detail string) iter.Seq2[mirror.Page[T], error] {
	return func(yield func(mirror.Page[T], error) bool) {
		f.count(CallList)
		pages, change, onPage, listErr := f.listing(scope, detail)
		if change != nil {
			pages = change(pages)
		}
		for i, page := range pages {
			if ctx.Err() != nil {
				yield(mirror.Page[T]{}, context.Cause(ctx))
				return
			}
			if onPage != nil {
				onPage(i)
			}
			if !yield(page, nil) {
				return
			}
		}
		if listErr != nil {
			yield(mirror.Page[T]{}, listErr)
		}
	}
}

// listing are the pages of a scope, one without objects for an empty scope, and what is
// to be done with them.
func (f *FakeRemote[T]) listing(scope T, detail string) (
	pages []mirror.Page[T], change func([]mirror.Page[T]) []mirror.Page[T], onPage func(int), listErr error,
) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []T
	var columns []string
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		object := f.objects[key]
		if f.InScope != nil && !f.InScope(object, scope) {
			continue
		}
		if f.Detail != nil {
			object, columns = f.Detail(detail, object)
		}
		all = append(all, object)
	}
	size := f.PageSize
	if size <= 0 {
		size = 100
	}
	proof := mirror.Proof{Level: mirror.ProofComplete, Total: int64(len(all))}
	for chunk := range slices.Chunk(all, size) {
		pages = append(pages, mirror.Page[T]{Items: chunk, Fields: columns, Proof: proof})
	}
	if len(pages) == 0 {
		pages = append(pages, mirror.Page[T]{Proof: mirror.Proof{Level: mirror.ProofComplete}})
	}
	return pages, f.Pages, f.OnPage, f.ListErr
}
