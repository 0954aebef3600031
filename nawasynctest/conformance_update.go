package nawasynctest

import (
	"fmt"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/secret"
)

// checkUpdate makes each of the suite's changes, and all of them at once.
func checkUpdate[T any](w *remoteWorld[T]) {
	w.updater()
	for i := range w.suite.Changes {
		current := w.get(w.created())
		want, diff := w.changed(current.Value, i)
		w.checkUpdated(fmt.Sprintf("Changes[%d]", i), current, want, diff)
	}
	current := w.get(w.created())
	want := current.Value
	for i := range w.suite.Changes {
		if next, diff := w.changed(want, i); len(diff) > 0 {
			want = next
		}
	}
	w.checkUpdated("all Changes at once", current, want, w.diff(current.Value, want))
}

// checkUpdated updates an object and tests the answer and what Get shows afterwards.
func (w *remoteWorld[T]) checkUpdated(what string, current mirror.Object[T], want T, diff mirror.FieldDiff) {
	w.t.Helper()
	touched := columnsOf(diff)
	o, err := w.update(current, want, diff)
	if err != nil {
		w.failf("write the touched fields, and change no others; for a field that the API cannot change, return fault.ClassPermanent and leave it out of RemoteSuite.Changes",
			"Update of %s (%s) returned an error of the class %q: %v", strings.Join(touched, ", "), what, fault.ClassOf(err), err)
		return
	}
	w.eventually(spellFix, func() string {
		if lines := w.differences(w.get(current.Value).Value, want, touched, false); len(lines) > 0 {
			return fmt.Sprintf("Get after Update of %s (%s): %s", strings.Join(touched, ", "), what, strings.Join(lines, "; "))
		}
		return ""
	})
	after := w.get(current.Value)
	if lines := w.differences(after.Value, current.Value, w.except(touched), false); len(lines) > 0 {
		w.failf("write the touched fields only, and send what the API needs besides as current has it",
			"Update of %s (%s) changed fields that it was not asked to: %s",
			strings.Join(touched, ", "), what, strings.Join(lines, "; "))
	}
	if o.Version == "" && !w.hasKey(o.Value) {
		return // the answer had no object
	}
	if w.keyText(o.Value) != w.keyText(current.Value) {
		w.failf("return the object of the answer with its key, the zero Object, or want",
			"Update of %s returned the object %s", w.name(current.Value), w.name(o.Value))
	}
	if lines := w.differences(o.Value, after.Value, touched, false); len(lines) > 0 {
		w.failf("return the object as the server answered it",
			"Update of %s (%s) returned another object than Get: %s", strings.Join(touched, ", "), what, strings.Join(lines, "; "))
	}
	if o.Version != "" && o.Version != after.Version {
		w.failf("return the version of the answer in the form in which Get returns it", "Update returned the version %q, and Get %q", o.Version, after.Version)
	}
}

// checkUpdateSecret updates the secrets alone.
func checkUpdateSecret[T any](w *remoteWorld[T]) {
	w.updater()
	if len(w.Secrets) == 0 {
		w.t.Skip("the snapshot has no fields with the tag secret")
	}
	current, fresh := w.get(w.created()), w.object()
	want := w.spelled(current.Value)
	var diff mirror.FieldDiff
	for _, f := range w.Secrets {
		f.In(valueOf(&want)).Set(f.In(valueOf(&fresh)))
		diff = append(diff, mirror.FieldChange{Field: f.Column, From: secret.Masked, To: f.In(valueOf(&want)).Interface()})
	}
	if _, err := w.update(current, want, diff); err != nil {
		w.stopf("write the secrets that are touched, from want",
			"Update of %s returned an error of the class %q: %v", strings.Join(columnsOf(diff), ", "), fault.ClassOf(err), err)
	}
	if lines := w.differences(w.get(current.Value).Value, current.Value, nil, false); len(lines) > 0 {
		w.failf("write the touched fields only", "Update of %s changed other fields: %s", strings.Join(columnsOf(diff), ", "), strings.Join(lines, "; "))
	}
}

// checkUpdateTouchedOnly changes another field behind the adapter's back between its read and its write.
func checkUpdateTouchedOnly[T any](w *remoteWorld[T]) {
	w.updater()
	if len(w.suite.Changes) < 2 {
		w.t.Skip("RemoteSuite.Changes has only one change")
	}
	current := w.get(w.created())
	want, diff := w.changed(current.Value, 0)
	theirs, theirDiff := w.changed(current.Value, 1)
	for _, column := range columnsOf(theirDiff) {
		if diff.Has(column) {
			w.t.Fatalf("the first two of RemoteSuite.Changes both change %s; they must be independent of each other", column)
		}
	}
	w.change(theirs)
	_, err := w.update(current, want, diff)
	if current.Version != "" && fault.ClassOf(err) == fault.ClassConflict {
		return // UpdateVersion tests this
	}
	if err != nil {
		w.stopf("write the touched fields as they are in want",
			"Update of %s returned an error of the class %q: %v", strings.Join(columnsOf(diff), ", "), fault.ClassOf(err), err)
	}
	w.eventually("send the touched fields only (PATCH); if the API takes whole documents only, read the document again in Update and merge the touched fields into it", func() string {
		after := w.get(current.Value).Value
		if lines := w.differences(after, theirs, columnsOf(theirDiff), false); len(lines) > 0 {
			return fmt.Sprintf("another client changed %s, and Update of %s has undone that: %s", strings.Join(columnsOf(theirDiff), ", "), strings.Join(columnsOf(diff), ", "), strings.Join(lines, "; "))
		}
		if lines := w.differences(after, want, columnsOf(diff), false); len(lines) > 0 {
			return fmt.Sprintf("Get after Update of %s: %s", strings.Join(columnsOf(diff), ", "), strings.Join(lines, "; "))
		}
		return ""
	})
}

// checkUpdateVersion updates a version that is no longer the newest.
func checkUpdateVersion[T any](w *remoteWorld[T]) {
	w.updater()
	current := w.get(w.created())
	if current.Version == "" {
		w.t.Skip("Get returns no Version")
	}
	theirs, _ := w.changed(current.Value, min(1, len(w.suite.Changes)-1))
	w.change(theirs)
	want, diff := w.changed(current.Value, 0)
	const fix = "send current.Version with the write, for example as If-Match, and return an error of fault.ClassConflict if the server has a newer version; " +
		"leave Object.Version empty if the API cannot check it"
	_, err := w.update(current, want, diff)
	if class := fault.ClassOf(err); class != fault.ClassConflict {
		w.failf(fix, "Update of a version that another client has replaced returned an error of the class %q, want %q: %v", class, fault.ClassConflict, err)
	}
	after := w.get(current.Value)
	if lines := w.differences(after.Value, theirs, nil, false); len(lines) > 0 {
		w.failf(fix, "Update of a version that another client has replaced changed the object: %s", strings.Join(lines, "; "))
	}
	want, diff = w.changed(after.Value, 0)
	if _, err := w.update(after, want, diff); err != nil {
		w.failf(fix, "Update of the newest version returned an error of the class %q: %v", fault.ClassOf(err), err)
	}
}

// checkUpdateGone updates an object that no longer exists.
func checkUpdateGone[T any](w *remoteWorld[T]) {
	w.updater()
	current := w.get(w.created())
	want, diff := w.changed(current.Value, 0)
	w.remove(current.Value)
	_, err := w.update(current, want, diff)
	if class := fault.ClassOf(err); class != fault.ClassGone {
		w.failf("return an error of fault.ClassGone if the object does not exist",
			"Update of %s, which was deleted, returned an error of the class %q, want %q: %v",
			w.name(current.Value), class, fault.ClassGone, err)
	}
	w.isGone(w.reader(), current.Value, "was deleted before an update", "use a call that changes existing objects only, or check that the object exists: an update must not bring a deleted object back")
}
