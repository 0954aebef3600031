package nawasynctest

import (
	"fmt"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

const spellFix = "store the value that was asked for; if the server spells it in another way, spell it the same way in mirror.Config.Normalise"

// checkCreate tests a creation, its answer, and what Get and List show afterwards.
func checkCreate[T any](w *remoteWorld[T]) {
	want := w.spelled(w.object())
	o, err := w.creator().Create(w.t.Context(), want)
	if err != nil {
		w.stopf("Create must create a valid object", "Create of %s returned an error of the class %q: %v", w.name(want), fault.ClassOf(err), err)
	}
	w.forget(o.Value)
	if !w.hasKey(o.Value) {
		w.stopf("return the object of the answer with its key fields, or read the object by its name",
			"Create of %s returned an object without a key", w.name(want))
	}
	if lines := w.differences(o.Value, want, nil, true); len(lines) > 0 {
		w.failf(spellFix, "Create of %s returned another object than it was asked for: %s", w.name(want), strings.Join(lines, "; "))
	}
	w.eventually(spellFix, func() string {
		if lines := w.differences(w.get(o.Value).Value, want, nil, true); len(lines) > 0 {
			return fmt.Sprintf("Get of %s after its creation: %s", w.name(o.Value), strings.Join(lines, "; "))
		}
		return ""
	})
	w.eventually("List must yield an object with the key that Create has returned", func() string {
		if _, _, found := w.find(w.listed(""), o.Value); !found {
			return fmt.Sprintf("List does not yield %s, which Create has created", w.name(o.Value))
		}
		return ""
	})
	if read := w.get(o.Value); o.Version != "" && read.Version != o.Version {
		w.failf("return the version of the answer in the form in which Get returns it", "Create returned the version %q, and Get %q", o.Version, read.Version)
	}
}

// checkCreateExisting tests the creation of an object that another client has created, which is then adopted.
func checkCreateExisting[T any](w *remoteWorld[T]) {
	creator, reader, want := w.creator(), w.reader(), w.object()
	existing := w.create(want)
	o, err := creator.Create(w.t.Context(), w.spelled(want))
	switch class := fault.ClassOf(err); {
	case err == nil && w.keyText(o.Value) != w.keyText(existing):
		w.forget(o.Value)
		w.failf("if the server accepts two objects of one name, mark the fields that tell them apart as natural, and look for an object with the same values before the creation",
			"Create of %s, which exists as %s, created another object, %s", w.name(want), w.name(existing), w.name(o.Value))
	case err == nil:
		w.failf("return an error of fault.ClassAlreadyExists: without it, a creation overwrites the object of another client",
			"Create of %s, which exists, returned no error", w.name(want))
	case class != fault.ClassAlreadyExists:
		w.failf("return an error of fault.ClassAlreadyExists: the repository then adopts an object that has the wanted values",
			"Create of %s, which exists, returned an error of the class %q, want %q: %v", w.name(want), class, fault.ClassAlreadyExists, err)
	}
	found, err := reader.Get(w.t.Context(), w.keyOf(want))
	switch {
	case err != nil:
		w.failf("find an object by its natural fields if the key is empty: a creation whose answer was lost is looked up by this call",
			"Get of %s by its name returned an error of the class %q: %v", w.name(want), fault.ClassOf(err), err)
	case w.keyText(found.Value) != w.keyText(existing):
		w.failf("compare all natural fields of the answer with those that were asked for",
			"Get of %s by its name returned %s, want %s", w.name(want), w.name(found.Value), w.name(existing))
	}
}

// checkDelete tests a deletion, and that it deletes nothing else.
func checkDelete[T any](w *remoteWorld[T]) {
	deleter, reader := w.deleter(), w.reader()
	object, other := w.created(), w.created()
	if err := deleter.Delete(w.t.Context(), w.keyOf(object)); err != nil {
		w.stopf("Delete must delete an object that exists", "Delete of %s returned an error of the class %q: %v", w.name(object), fault.ClassOf(err), err)
	}
	w.isGone(reader, object, "Delete has deleted", "delete the object before Delete returns nil, or return mirror.Accepted if the server deletes it later")
	w.eventually("read the server in each call of List, and cache nothing", func() string {
		if _, _, found := w.find(w.listed(""), object); found {
			return fmt.Sprintf("List yields %s, which Delete has deleted", w.name(object))
		}
		return ""
	})
	if _, err := reader.Get(w.t.Context(), w.keyOf(other)); err != nil {
		w.failf("delete the object with all key and scope fields of the argument, and no other",
			"after Delete of %s, Get of %s returned an error of the class %q: %v",
			w.name(object), w.name(other), fault.ClassOf(err), err)
	}
}

// checkDeleteGone tests the deletion of an object that no longer exists.
func checkDeleteGone[T any](w *remoteWorld[T]) {
	deleter, object := w.deleter(), w.created()
	w.remove(object)
	err := deleter.Delete(w.t.Context(), w.keyOf(object))
	if class := fault.ClassOf(err); class != fault.ClassGone {
		w.failf("return an error of fault.ClassGone, which counts as deleted: a deletion whose answer was lost is repeated",
			"Delete of %s, which was deleted, returned an error of the class %q, want %q: %v", w.name(object), class, fault.ClassGone, err)
	}
}

// update changes an object through the adapter.
func (w *remoteWorld[T]) update(current mirror.Object[T], want T, diff mirror.FieldDiff) (mirror.Object[T], error) {
	w.t.Helper()
	return w.updater().Update(w.t.Context(), current, want, diff)
}
