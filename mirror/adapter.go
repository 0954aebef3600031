package mirror

import (
	"context"
	"encoding/json"
	"iter"
	"reflect"
	"time"
)

// erasedRemote is a Remote without its type parameter. Its values are structs that can
// be addressed.
type erasedRemote interface {
	list(ctx context.Context, scope reflect.Value, detail string) iter.Seq2[erasedPage, error]
	get(ctx context.Context, key reflect.Value) (erasedObject, error)
	create(ctx context.Context, want reflect.Value) (erasedObject, error)
	update(ctx context.Context, now erasedObject, want reflect.Value, touched Diff) (erasedObject, error)
	remove(ctx context.Context, key reflect.Value) error
}

type erasedObject struct {
	value   reflect.Value
	raw     json.RawMessage
	version string
}

type erasedPage struct {
	items  reflect.Value // a slice
	fields []string
	proof  Proof
	asked  time.Time
	// skipped is nil where the listing covers all.
	skipped func(reflect.Value) bool
}

type remoteAdapter[T any] struct{ Remote[T] }

func (e remoteAdapter[T]) list(ctx context.Context, scope reflect.Value, detail string) iter.Seq2[erasedPage, error] {
	return func(yield func(erasedPage, error) bool) {
		for p, err := range e.List(ctx, asType[T](scope), detail) {
			out := erasedPage{items: reflect.ValueOf(p.Items), fields: p.Fields, proof: p.Proof, asked: p.Asked}
			if skipped := p.Skipped; skipped != nil { // not p: that would keep its items
				out.skipped = func(v reflect.Value) bool { return skipped(asType[T](v)) }
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func (e remoteAdapter[T]) get(ctx context.Context, key reflect.Value) (erasedObject, error) {
	o, err := e.Get(ctx, asType[T](key))
	return eraseRemote(o), err
}

func (e remoteAdapter[T]) create(ctx context.Context, want reflect.Value) (erasedObject, error) {
	o, err := e.Create(ctx, asType[T](want))
	return eraseRemote(o), err
}

func (e remoteAdapter[T]) update(ctx context.Context, now erasedObject, want reflect.Value, touched Diff) (erasedObject, error) {
	o, err := e.Update(ctx, Object[T]{asType[T](now.value), now.raw, now.version}, asType[T](want), touched)
	return eraseRemote(o), err
}

func (e remoteAdapter[T]) remove(ctx context.Context, key reflect.Value) error {
	return e.Delete(ctx, asType[T](key))
}

func eraseRemote[T any](o Object[T]) erasedObject {
	return erasedObject{reflect.ValueOf(&o.Value).Elem(), o.Raw, o.Version}
}

func asType[T any](v reflect.Value) T { return v.Interface().(T) }
