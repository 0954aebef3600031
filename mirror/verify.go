package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// verification compares what the remote shows after a write with what was written.
type verification struct {
	stale      []string       // columns with their value from before the write
	unexpected []string       // columns with a value that is neither the written one nor the one from before
	adjusted   map[string]any // values that the remote stores in another form than they were written
}

// compare compares an object with the written fields. certain says that values which nobody asked for
// are the remote's form of the written ones.
func (w *remoteWrite) compare(object, want reflect.Value, certain bool) verification {
	v := verification{adjusted: map[string]any{}}
	for _, column := range w.state.Touched {
		f := w.repo.model.byColumn[column]
		if f == nil || f.role == roleSecret || f.equal(object, want) {
			continue
		}
		switch digest := f.digest(object); {
		case digest == w.state.Before[column]:
			v.stale = append(v.stale, column)
		case !f.exact && (certain || digest == w.state.Answer[column]):
			v.adjusted[column] = abbreviate(f.value(object).Interface())
		default:
			v.unexpected = append(v.unexpected, column)
		}
	}
	return v
}

// keepStale accepts the values from before the write, except those of exact fields.
func (w *remoteWrite) keepStale(v *verification, object reflect.Value) {
	v.stale = slices.DeleteFunc(v.stale, func(column string) bool {
		f := w.repo.model.byColumn[column]
		if !f.exact {
			v.adjusted[column] = abbreviate(f.value(object).Interface())
		}
		return !f.exact
	})
}

// clean reports whether the write was carried out.
func (v verification) clean() bool { return len(v.stale) == 0 && len(v.unexpected) == 0 }

// written remembers what is written, for compare.
func (w *remoteWrite) written(before reflect.Value, touched FieldDiff) {
	w.state.Before, w.state.Answer = map[string]string{}, map[string]string{}
	for _, f := range w.repo.model.content {
		w.state.Before[f.column] = f.digest(before)
	}
	w.state.Touched = nil
	for _, c := range touched {
		w.state.Touched = append(w.state.Touched, c.Field)
	}
}

// answered remembers the values of the remote's answer that differ from the written ones.
func (w *remoteWrite) answered(answer, want reflect.Value) {
	w.state.Answered = true
	for _, column := range w.state.Touched {
		if f := w.repo.model.byColumn[column]; f.role != roleSecret && !f.equal(answer, want) {
			if digest := f.digest(answer); digest != w.state.Before[column] {
				w.state.Answer[column] = digest
			}
		}
	}
}

// succeed ends the job: the row gets the remote's values, and the result says what was written, which
// values the remote stores in another form, and what changed although nobody asked for it.
func (w *remoteWrite) succeed(ctx context.Context, updated erasedObject, adjusted map[string]any) error {
	result := map[string]any{"written": w.state.Touched}
	for _, column := range w.state.Kept {
		if f := w.repo.model.byColumn[column]; f != nil {
			adjusted[column] = abbreviate(f.value(updated.value).Interface())
		}
	}
	w.noteAdjusted(result, adjusted)
	also := w.alsoChanged(updated.value)
	if err := w.noteDigests(ctx, result, updated.value, slices.Concat(sortedKeys(adjusted), sortedKeys(also))); err != nil {
		return err
	}
	if len(also) > 0 {
		result["also_changed"] = also
		w.Logf("the write has also changed %s, which nobody asked for", strings.Join(sortedKeys(also), " and "))
		w.OnSuccess(func(tx *gorm.DB) error { return w.recordAlso(tx, also) })
	}
	return w.repo.writeOnSuccess(w.Attempt, updated, result)
}

// noteDigests adds the digests of values that the result may only have masked or shortened, for the jobs
// behind this one.
func (w *remoteWrite) noteDigests(ctx context.Context, result map[string]any, updated reflect.Value, columns []string) error {
	var list []tracker.ValueDigest
	for _, column := range columns {
		f := w.repo.model.byColumn[column]
		text, err := json.Marshal(map[string]any{column: f.value(updated).Interface()})
		if err != nil || len(text) <= maxFieldBytes && !bytes.Contains(w.Redact(text), []byte(secret.Masked)) {
			continue
		}
		key, err := w.repo.engine.DigestKey(ctx)
		if err != nil {
			return err
		}
		list = append(list, tracker.ValueDigest{Column: column, Digest: f.keyedDigest(key, updated)})
	}
	if len(list) > 0 {
		result["digests"] = list
	}
	return nil
}

// noteAdjusted adds accepted values to the job's result and log.
func (w *remoteWrite) noteAdjusted(result, adjusted map[string]any) {
	if len(adjusted) == 0 {
		return
	}
	result["adjusted"] = adjusted
	for _, column := range sortedKeys(adjusted) {
		text, _ := json.Marshal(map[string]any{column: adjusted[column]})
		w.Logf("adjusted: stored as %s", w.Redact(text)) // the key is the column's name
	}
}

// alsoChanged returns the content that changed with the write, although it was not to be written.
func (w *remoteWrite) alsoChanged(updated reflect.Value) map[string]any {
	list := map[string]any{}
	status := w.repo.status(w.row)
	for _, f := range w.repo.model.content {
		before, known := w.state.Before[f.column]
		if !known || slices.Contains(w.state.Touched, f.column) || f.digest(updated) == before || !w.repo.model.fetched(status, f) || f.equal(updated, w.row) {
			continue
		}
		list[f.column] = valueChange{abbreviate(f.value(w.row).Interface()), abbreviate(f.value(updated).Interface())}
	}
	return list
}

// recordAlso adds the fields to the history of the object.
func (w *remoteWrite) recordAlso(tx *gorm.DB, fields map[string]any) error {
	text, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("marshal the changed fields: %w", err)
	}
	job := w.Job()
	change := tracker.Change{
		Target: tracker.Target{Service: job.Service, Type: job.Type, Instance: job.Instance, ID: w.repo.model.target(w.key)},
		JobID:  job.ID, Kind: tracker.ChangeSideEffect, Fields: w.Redact(text),
	}
	return w.repo.engine.Store().AddChanges(tx.Statement.Context, tx, []tracker.Change{change})
}

func sortedKeys[T any](values map[string]T) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
