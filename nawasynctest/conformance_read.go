package nawasynctest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

const goneFix = "return an error of fault.ClassGone if the object does not exist, and only then: missing rows are deleted when Get reports this class"

// checkGetGone tests Get of an object that nobody created, and of one that was deleted.
func checkGetGone[T any](w *remoteWorld[T]) {
	reader := w.reader()
	if want := w.object(); w.hasKey(want) || len(w.Natural) > 0 {
		w.checkNever(reader, w.keyOf(want))
	}
	object := w.created()
	w.remove(object)
	w.isGone(reader, object, "was deleted", goneFix)
}

// checkNever tests Get of an object that nobody created.
func (w *remoteWorld[T]) checkNever(reader mirror.Reader[T], gone T) {
	w.t.Helper()
	o, err := reader.Get(w.t.Context(), gone)
	switch class := fault.ClassOf(err); {
	case err == nil:
		w.failf("compare the answer with the name that was asked for, because some APIs answer with similar names, and "+goneFix,
			"Get of %s, which nobody created, returned the object %s", w.name(gone), w.name(o.Value))
	case class != fault.ClassGone:
		w.failf(goneFix, "Get of %s, which nobody created, returned an error of the class %q, want %q: %v", w.name(gone), class, fault.ClassGone, err)
	}
}

// isGone tests that Get reports an object as gone.
func (w *remoteWorld[T]) isGone(reader mirror.Reader[T], object T, why, fix string) {
	w.t.Helper()
	w.eventually(fix, func() string {
		_, err := reader.Get(w.t.Context(), w.keyOf(object))
		if class := fault.ClassOf(err); class != fault.ClassGone {
			return fmt.Sprintf("Get of %s, which %s, returned an error of the class %q, want %q: %v", w.name(object), why, class, fault.ClassGone, err)
		}
		return ""
	})
}

// get returns an object that exists.
func (w *remoteWorld[T]) get(key T) mirror.Object[T] {
	w.t.Helper()
	var o mirror.Object[T]
	if !w.eventually("Get must find every object that exists, by the key that List and Create return", func() string {
		var err error
		if o, err = w.reader().Get(w.t.Context(), w.keyOf(key)); err != nil {
			return fmt.Sprintf("Get of %s, which exists, returned an error of the class %q: %v", w.name(key), fault.ClassOf(err), err)
		}
		return ""
	}) {
		w.t.FailNow()
	}
	return o
}

// remoteListing is what a listing yielded.
type remoteListing[T any] struct {
	pages []mirror.Page[T]
	items []T
	err   error // the last one
}

func (w *remoteWorld[T]) list(scope T, detail string) (l remoteListing[T]) {
	for page, err := range w.remote.List(w.t.Context(), scope, detail) {
		if l.err = err; err != nil {
			continue // an error ends the listing; ListStops tests that
		}
		l.pages = append(l.pages, page)
		l.items = append(l.items, page.Items...)
	}
	return l
}

// listed returns a listing of the suite's scope that must succeed.
func (w *remoteWorld[T]) listed(detail string) remoteListing[T] {
	w.t.Helper()
	l := w.list(w.suite.Scope, detail)
	if l.err != nil {
		w.stopf("List must list a scope that exists without an error",
			"List with the detail %q returned an error of the class %q: %v", detail, fault.ClassOf(l.err), l.err)
	}
	return l
}

// find returns the listed object with the key of another one, and its page.
func (w *remoteWorld[T]) find(l remoteListing[T], object T) (item T, page mirror.Page[T], found bool) {
	for _, page := range l.pages {
		for _, item := range page.Items {
			if w.keyText(item) == w.keyText(object) {
				return item, page, true
			}
		}
	}
	return item, page, false
}

// checkGetListed tests that Get finds what was just listed.
func checkGetListed[T any](w *remoteWorld[T]) {
	reader := w.reader()
	objects := []T{w.created(), w.created(), w.created()}
	l := w.listed("")
	for _, object := range objects {
		item, _, found := w.find(l, object)
		if !found {
			w.failf("List must yield every object of the scope", "List does not yield %s, which another client has created", w.name(object))
			continue
		}
		o, err := reader.Get(w.t.Context(), w.keyOf(item))
		switch {
		case err != nil:
			w.failf("find the object by the key fields that List has set: a sync deletes rows that Get reports as gone",
				"Get of %s, which was just listed, returned an error of the class %q: %v", w.name(item), fault.ClassOf(err), err)
		case w.keyText(o.Value) != w.keyText(item):
			w.failf("set the same key fields in Get as in List: the repository compares them", "Get of %s returned the object %s", w.name(item), w.name(o.Value))
		}
	}
}

// checkGetFresh tests that Get reads the server.
func checkGetFresh[T any](w *remoteWorld[T]) {
	w.reader()
	if len(w.suite.Changes) == 0 {
		w.t.Skip("RemoteSuite.Changes is empty")
	}
	object := w.created()
	before := w.get(object)
	want, diff := w.changed(before.Value, 0)
	w.change(want)
	w.eventually("read the server in each call of Get, and cache nothing: conflicts are found by this read", func() string {
		after := w.get(object)
		if lines := w.differences(after.Value, want, columnsOf(diff), false); len(lines) > 0 {
			return fmt.Sprintf("Get of %s after another client has changed it: %s", w.name(object), strings.Join(lines, "; "))
		}
		if before.Version != "" && after.Version == before.Version {
			return fmt.Sprintf("Get of %s returned the version %q before and after another client has changed it", w.name(object), after.Version)
		}
		return ""
	})
}

// checkListEqualsGet compares listed objects with what Get returns, for each detail.
func checkListEqualsGet[T any](w *remoteWorld[T]) {
	w.reader()
	objects := []T{w.created(), w.created()}
	for _, detail := range append([]string{""}, w.config.Details...) {
		l := w.listed(detail)
		for _, object := range objects {
			item, page, found := w.find(l, object)
			if !found {
				w.failf("List must yield every object of the scope with every detail", "List with the detail %q does not yield %s", detail, w.name(object))
				continue
			}
			for _, column := range page.Fields {
				if !w.hasColumn(column) {
					w.stopf("name columns of content and observed fields, as the table has them",
						"Page.Fields of the listing with the detail %q names %q, which is no column that a listing fetches", detail, column)
				}
			}
			if lines := w.differences(item, w.get(item).Value, page.Fields, false); len(lines) > 0 {
				w.failf("decode both answers in the same way; if a listing leaves a field out, name the fetched columns in Page.Fields",
					"List with the detail %q and Get differ in %s: %s", detail, w.name(object), strings.Join(lines, "; "))
			}
		}
	}
}

func (w *remoteWorld[T]) hasColumn(column string) bool {
	for _, f := range slices.Concat(w.Content, w.Observed) {
		if f.Column == column {
			return true
		}
	}
	return false
}

// checkListScope tests that a listing has only objects of its scope, each with a key and once.
func checkListScope[T any](w *remoteWorld[T]) {
	object := w.created()
	seen := map[string]bool{}
	for _, item := range w.listed("").items {
		if !w.hasKey(item) {
			w.stopf("set the key fields of every object", "List yields an object without a key")
		}
		for _, f := range w.Scope {
			if value := f.In(valueOf(&item)); !value.IsZero() && f.Text(valueOf(&item)) != f.Text(valueOf(&w.suite.Scope)) {
				w.failf("list the objects of the given scope only, and set their scope fields from it",
					"List yields %s with the %s %q; the scope has %q", w.name(item), f.Column, f.Text(valueOf(&item)), f.Text(valueOf(&w.suite.Scope)))
			}
		}
		if seen[w.keyText(item)] {
			w.failf("yield each object once; if the API repeats objects between pages, that listing proves less", "List yields %s twice", w.name(item))
		}
		seen[w.keyText(item)] = true
	}
	if valueOf(&w.suite.OtherScope).IsZero() {
		return
	}
	other := w.list(w.suite.OtherScope, "")
	if other.err != nil {
		w.failf("List must list a scope that exists without an error",
			"List of RemoteSuite.OtherScope returned an error of the class %q: %v", fault.ClassOf(other.err), other.err)
	}
	for _, item := range other.items {
		if w.keyText(item) == w.keyText(object) {
			w.failf("list the objects of the given scope only: the sync of one scope would move the rows of another",
				"List of another scope yields %s", w.name(object))
		}
	}
}
