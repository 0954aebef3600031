package nawasynctest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/mirror"
)

// Call names a method of a mirror.Remote.
type Call string

// The methods of a mirror.Remote.
const (
	CallList   Call = "list"
	CallGet    Call = "get"
	CallCreate Call = "create"
	CallUpdate Call = "update"
	CallDelete Call = "delete"
)

// The errors of a FakeRemote, with the classes that a Remote should use.
var (
	ErrGone   = fault.WithClass(fault.ClassGone, errors.New("the fake remote has no object with that key"))
	ErrExists = fault.WithClass(fault.ClassAlreadyExists, errors.New("the fake remote already has an object with that key"))
)

// FakeRemote is a mirror.Remote in memory. By default its listings are complete and every call
// succeeds; its fields inject failures.
//
// Set the fields before use or in Configure. FakeRemote calls Key, InScope, Store and Detail
// while it holds its lock, so they must not call its methods. A call whose context is done
// changes nothing and returns the context's cause. A FakeRemote is safe for concurrent use.
type FakeRemote[T any] struct {
	// Key returns an object's scope and key as one text. Required.
	Key func(object T) string
	// InScope reports whether an object is in a scope. In the second argument, only the fields
	// tagged `sync:"scope"` are set. If InScope is nil, every scope contains every object.
	InScope func(object, scope T) bool
	// PageSize is the number of objects in one page of a listing. Default 100.
	PageSize int
	// Store returns the object that the server stores when object is written. created is true
	// for a creation and false for an update. Nil stores the object unchanged.
	Store func(object T, created bool) T
	// Detail returns an object as it appears in a listing with the given detail, and the columns
	// that the listing fetches. Nil columns mean all columns. If Detail is nil, every listing has
	// the whole objects.
	Detail func(detail string, object T) (T, []string)
	// Before runs before each call except List, without the lock. If it returns an error, the
	// call returns that error and changes nothing. Optional.
	Before func(call Call, object T) error
	// After runs after each successful call except List, without the lock. If it returns an error,
	// the call returns that error, as if the response had been lost. Optional.
	After func(call Call, object T) error
	// Pages changes the pages of a listing before they are yielded. Optional.
	Pages func(pages []mirror.Page[T]) []mirror.Page[T]
	// OnPage runs before each page of a listing. n counts from 0. Optional.
	OnPage func(n int)
	// ListErr, if not nil, ends each listing after its pages.
	ListErr error

	mu      sync.Mutex
	objects map[string]T
	calls   map[Call]int
	writes  int

	fieldsOnce sync.Once
	fields     []host.SnapshotField // nil if T is no snapshot struct
}

var _ mirror.Remote[struct{}] = (*FakeRemote[struct{}])(nil)

// Configure calls set while it holds the lock, so that set can change the fields during a test.
func (f *FakeRemote[T]) Configure(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
}

// Put adds or replaces objects, as another client of the API would. Writes does not count these
// changes.
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

// Drop removes the objects that have the same keys as the given ones, as another client of the API
// would. Writes does not count these removals.
func (f *FakeRemote[T]) Drop(objects ...T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, object := range objects {
		delete(f.objects, f.key(object))
	}
}

// Object returns the object that has the same key as the argument.
func (f *FakeRemote[T]) Object(key T) (object T, found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	object, found = f.objects[f.key(key)]
	return object, found
}

// Objects returns all objects, sorted by key.
func (f *FakeRemote[T]) Objects() []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]T, 0, len(f.objects))
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		list = append(list, f.objects[key])
	}
	return list
}

// Calls returns how often a method was called.
func (f *FakeRemote[T]) Calls(call Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

// Writes returns the number of successful creations, updates and deletions.
func (f *FakeRemote[T]) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// call counts one call, and runs Before, do and After. do runs under the lock.
func (f *FakeRemote[T]) call(ctx context.Context, call Call, object T, do func(key string, stored T, found bool) error) error {
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

func (f *FakeRemote[T]) locked(object T, do func(key string, stored T, found bool) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objects == nil {
		f.objects = map[string]T{}
	}
	key := f.key(object)
	stored, found := f.objects[key]
	return do(key, stored, found)
}

func (f *FakeRemote[T]) key(object T) string {
	if f.Key == nil {
		panic("nawasynctest: FakeRemote.Key is nil; set it to a function that returns an object's scope and key as one text")
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
	err = f.call(ctx, CallGet, key, func(_ string, stored T, found bool) error {
		if !found {
			return ErrGone
		}
		o.Value = stored
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

// Update changes the touched fields of the object, or returns ErrGone. If touched is empty, or T is no snapshot struct,
// it replaces the whole object.
func (f *FakeRemote[T]) Update(ctx context.Context, _ mirror.Object[T], want T, touched mirror.FieldDiff) (o mirror.Object[T], err error) {
	err = f.call(ctx, CallUpdate, want, func(key string, stored T, found bool) error {
		if !found {
			return ErrGone
		}
		o.Value = f.stored(f.merged(stored, want, touched), false)
		f.objects[key] = o.Value
		f.writes++
		return nil
	})
	return o, err
}

// merged returns an object with the touched fields of want.
func (f *FakeRemote[T]) merged(object, want T, touched mirror.FieldDiff) T {
	f.fieldsOnce.Do(func() {
		if snapshot, err := (mirror.Config[T]{}).Internals(host.NewKey()); err == nil {
			f.fields = slices.Concat(snapshot.Content, snapshot.Secrets)
		}
	})
	if len(touched) == 0 || len(f.fields) == 0 {
		return want
	}
	for _, field := range f.fields {
		if touched.Has(field.Column) {
			field.In(valueOf(&object)).Set(field.In(valueOf(&want)))
		}
	}
	return object
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

// List copies the objects of the scope when the listing begins, and yields them in pages with a
// total. Later changes of the objects do not appear in the listing.
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

// listing returns the pages of a scope, and the fields that List uses without the lock. An empty
// scope has one page without objects.
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
	proof := mirror.Proof{Level: mirror.ProofCounted, Total: int64(len(all))}
	for chunk := range slices.Chunk(all, size) {
		pages = append(pages, mirror.Page[T]{Items: chunk, Fields: columns, Proof: proof})
	}
	if len(pages) == 0 {
		pages = append(pages, mirror.Page[T]{Proof: mirror.Proof{Level: mirror.ProofWhole}})
	}
	return pages, f.Pages, f.OnPage, f.ListErr
}
