package mirror

import (
	"context"
	"encoding/json"
	"iter"
	"reflect"
	"time"
)

// remote is a Remote without its type parameter. Its values are structs that can
// be addressed.
type remote interface {
	list(ctx context.Context, scope reflect.Value, detail string) iter.Seq2[page, error]
	get(ctx context.Context, key reflect.Value) (object, error)
	create(ctx context.Context, want reflect.Value) (object, error)
	update(ctx context.Context, now object, want reflect.Value, touched Diff) (object, error)
	remove(ctx context.Context, key reflect.Value) error
}

type object struct {
	value   reflect.Value
	raw     json.RawMessage
	version string
}

type page struct {
	items  reflect.Value // a slice
	fields []string
	proof  Proof
	asked  time.Time
	// skipped is nil where the listing covers all.
	skipped func(reflect.Value) bool
}

type remoteAdapter[T any] struct{ Remote[T] }

func (e remoteAdapter[T]) list(ctx context.Context, scope reflect.Value, detail string) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		for p, err := range e.List(ctx, as[T](scope), detail) {
			out := page{items: reflect.ValueOf(p.Items), fields: p.Fields, proof: p.Proof, asked: p.Asked}
			if skipped := p.Skipped; skipped != nil { // not p: that would keep its items
				out.skipped = func(v reflect.Value) bool { return skipped(as[T](v)) }
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func (e remoteAdapter[T]) get(ctx context.Context, key reflect.Value) (object, error) {
	o, err := e.Get(ctx, as[T](key))
	return erase(o), err
}

func (e remoteAdapter[T]) create(ctx context.Context, want reflect.Value) (object, error) {
	o, err := e.Create(ctx, as[T](want))
	return erase(o), err
}

func (e remoteAdapter[T]) update(ctx context.Context, now object, want reflect.Value, touched Diff) (object, error) {
	o, err := e.Update(ctx, Object[T]{as[T](now.value), now.raw, now.version}, as[T](want), touched)
	return erase(o), err
}

func (e remoteAdapter[T]) remove(ctx context.Context, key reflect.Value) error {
	return e.Delete(ctx, as[T](key))
}

func erase[T any](o Object[T]) object {
	return object{reflect.ValueOf(&o.Value).Elem(), o.Raw, o.Version}
}

func as[T any](v reflect.Value) T { return v.Interface().(T) }
