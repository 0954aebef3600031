package nawasynctest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/secret"
)

// object returns a valid object that does not exist yet.
func (w *remoteWorld[T]) object() T {
	w.t.Helper()
	object := w.suite.Object(int(w.shared.numbers.Add(1)))
	for _, f := range w.Scope {
		if f.Text(valueOf(&object)) != f.Text(valueOf(&w.suite.Scope)) {
			w.t.Fatalf("RemoteSuite.Object returned an object whose %s is %q, and RemoteSuite.Scope has %q; both must be of the same scope",
				f.Column, f.Text(valueOf(&object)), f.Text(valueOf(&w.suite.Scope)))
		}
	}
	return object
}

// created returns an object that exists on the server.
func (w *remoteWorld[T]) created() T {
	w.t.Helper()
	return w.create(w.object())
}

// create stores an object behind the adapter's back.
func (w *remoteWorld[T]) create(object T) T {
	w.t.Helper()
	if w.server.Create == nil {
		w.t.Skip("RemoteServer.Create is nil, and the subtest needs an object that another client has created")
	}
	stored, err := w.server.Create(object)
	if err != nil {
		w.t.Fatalf("RemoteServer.Create of %s: %v", w.name(object), err)
	}
	if !w.hasKey(stored) {
		w.t.Fatalf("RemoteServer.Create of %s returned an object without a key; return the object that the server stored", w.name(object))
	}
	w.forget(stored)
	return stored
}

// forget deletes an object when the test ends.
func (w *remoteWorld[T]) forget(object T) {
	if w.server.Delete != nil {
		w.t.Cleanup(func() { _ = w.server.Delete(object) })
	}
}

// change changes an object behind the adapter's back.
func (w *remoteWorld[T]) change(object T) {
	w.t.Helper()
	if w.server.Change == nil {
		w.t.Skip("RemoteServer.Change is nil, and the subtest needs an object that another client has changed")
	}
	if err := w.server.Change(object); err != nil {
		w.t.Fatalf("RemoteServer.Change of %s: %v", w.name(object), err)
	}
}

// remove deletes an object behind the adapter's back.
func (w *remoteWorld[T]) remove(object T) {
	w.t.Helper()
	if w.server.Delete == nil {
		w.t.Skip("RemoteServer.Delete is nil, and the subtest needs an object that another client has deleted")
	}
	if err := w.server.Delete(object); err != nil {
		w.t.Fatalf("RemoteServer.Delete of %s: %v", w.name(object), err)
	}
}

func valueOf[T any](object *T) reflect.Value { return reflect.ValueOf(object).Elem() }

// keyOf returns an object with only the fields that a key has.
func (w *remoteWorld[T]) keyOf(object T) (key T) {
	for _, f := range slices.Concat(w.Scope, w.Key, w.Natural) {
		f.In(valueOf(&key)).Set(f.In(valueOf(&object)))
	}
	return w.spelled(key)
}

// spelled returns a value as the repository hands it to the Remote: as Config.Normalise spells it.
func (w *remoteWorld[T]) spelled(object T) T { return w.Normalised(valueOf(&object)).Interface().(T) }

func (w *remoteWorld[T]) hasKey(object T) bool {
	return slices.ContainsFunc(w.Key, func(f host.SnapshotField) bool { return !f.In(valueOf(&object)).IsZero() })
}

// keyText returns the key of an object as the repository compares it.
func (w *remoteWorld[T]) keyText(object T) string {
	spelled := w.Normalised(valueOf(&object))
	return texts(w.Key, spelled)
}

// name names an object in messages: its key, or its name while it has no key.
func (w *remoteWorld[T]) name(object T) string {
	fields := w.Key
	if !w.hasKey(object) && len(w.Natural) > 0 {
		fields = w.Natural
	}
	return fmt.Sprintf("%q", texts(fields, valueOf(&object)))
}

func texts(fields []host.SnapshotField, value reflect.Value) string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.Text(value)
	}
	return strings.Join(list, "/")
}

// differences returns the content columns in which two objects differ once both are normalised, with both values.
// only limits them; nil means all. With unset, a nil pointer in want leaves the value to the remote.
func (w *remoteWorld[T]) differences(got, want T, only []string, unset bool) (list []string) {
	a, b := w.Normalised(valueOf(&got)), w.Normalised(valueOf(&want))
	for _, f := range w.Content {
		wanted := f.In(b)
		left := unset && wanted.Kind() == reflect.Pointer && wanted.IsNil()
		if left || (only != nil && !slices.Contains(only, f.Column)) || f.Equal(a, b) {
			continue
		}
		list = append(list, fmt.Sprintf("%s is %s, want %s", f.Column, f.Text(a), f.Text(b)))
	}
	return list
}

// changed returns an object to which a change was made, and the diff.
func (w *remoteWorld[T]) changed(from T, change int) (want T, diff mirror.FieldDiff) {
	w.t.Helper()
	for n := 1; n <= 3; n++ {
		want = w.spelled(from)
		w.suite.Changes[change](&want, n)
		if diff = w.diff(from, want); len(diff) > 0 {
			return want, diff
		}
	}
	w.t.Fatalf("RemoteSuite.Changes[%d] changes no content field of %s for n of 1, 2 and 3; the nth value must differ from the others", change, w.name(from))
	return want, nil
}

func (w *remoteWorld[T]) diff(from, to T) (diff mirror.FieldDiff) {
	a, b := w.Normalised(valueOf(&from)), w.Normalised(valueOf(&to))
	for _, f := range w.Content {
		if !f.Equal(a, b) {
			diff = append(diff, mirror.FieldChange{Field: f.Column, From: f.In(a).Interface(), To: f.In(b).Interface()})
		}
	}
	return diff
}

func columnsOf(diff mirror.FieldDiff) (list []string) {
	for _, c := range diff {
		list = append(list, c.Field)
	}
	return list
}

// except returns the content columns that are not in the list.
func (w *remoteWorld[T]) except(columns []string) []string {
	list := []string{}
	for _, f := range w.Content {
		if !slices.Contains(columns, f.Column) {
			list = append(list, f.Column)
		}
	}
	return list
}

// secretsOf returns the secrets of an object that are long enough to be recognised in a text.
func (w *remoteWorld[T]) secretsOf(object T) (list []string) {
	for _, f := range w.Secrets {
		if s, ok := reflect.TypeAssert[secret.Secret](f.In(valueOf(&object))); ok && len(s.Reveal()) >= minSecret {
			list = append(list, s.Reveal())
		}
	}
	return list
}

// minSecret is the length from which a secret is searched for in texts.
const minSecret = 5
