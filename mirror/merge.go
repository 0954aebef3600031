package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// merged is the result of a three-way merge.
type merged struct {
	want     reflect.Value
	touched  FieldDiff      // the fields that are still to be written
	adjusted map[string]any // values of the remote that are accepted instead of the wanted ones, by column
}

// merge returns the current object with the changes of the job, and the fields that are still to be
// written. It returns a conflict if the remote value of a field is neither one that the user knew
// nor the one that the user wants, and likewise for the other fields of its group.
func (w *remoteWrite) merge(ctx context.Context, current erasedObject) (out merged, err error) {
	out = merged{want: deepCopy(current.value), adjusted: map[string]any{}}
	if err := w.repo.applyChanges(out.want, w.args); err != nil {
		return out, err
	}
	shown := maps.Clone(w.args.Changes)
	var unknown, groups []string
	for _, column := range slices.Sorted(maps.Keys(w.args.Changes)) {
		f, c := w.repo.model.byColumn[column], w.args.Changes[column]
		if f.equal(current.value, out.want) {
			continue
		}
		accepted, err := w.accepts(ctx, current, f, c)
		if err != nil {
			return out, err
		}
		if accepted {
			f.value(out.want).Set(f.value(current.value))
			out.adjusted[column] = abbreviate(f.value(current.value).Interface())
			continue
		}
		known, err := w.knew(ctx, current.value, f, c)
		if err != nil {
			return out, err
		}
		if !known && !w.args.Force {
			unknown = append(unknown, column)
		}
		out.touched = append(out.touched, FieldChange{column, f.value(current.value).Interface(), f.value(out.want).Interface()})
		groups = append(groups, f.group)
	}
	others, err := w.unknownInGroups(ctx, current.value, groups, shown)
	if err != nil {
		return out, err
	}
	if unknown = append(unknown, others...); len(unknown) > 0 {
		return out, w.repo.conflict(ctx, conflicting{
			reason:  strings.Join(unknown, " and ") + w.changedText(),
			current: current, changes: shown, columns: unknown, accept: len(others) == 0,
		})
	}
	out.completeGroups(w.repo.model, current.value, w.args.Changes)
	for _, f := range w.repo.model.secrets {
		if value, ok := w.args.WriteOnly[f.column]; ok {
			f.value(out.want).Set(reflect.ValueOf(value))
			out.touched = append(out.touched, FieldChange{f.column, secret.Masked, value})
		}
	}
	return out, nil
}

// completeGroups adds the wanted fields of a group that the remote has already, if another field of the
// group is to be written: the write is verified for all of them.
func (o *merged) completeGroups(m *model, current reflect.Value, changes map[string]*requestedChange) {
	groups := map[string]bool{}
	for _, c := range o.touched {
		groups[m.byColumn[c.Field].group] = true
	}
	for _, column := range slices.Sorted(maps.Keys(changes)) {
		f := m.byColumn[column]
		if _, accepted := o.adjusted[column]; f.group == "" || !groups[f.group] || accepted || o.touched.Has(column) {
			continue
		}
		o.touched = append(o.touched, FieldChange{column, f.value(current).Interface(), f.value(o.want).Interface()})
	}
}

// changedText says why a value is in conflict.
func (w *remoteWrite) changedText() string {
	if w.EarlierWrite() {
		return " has neither the seen nor the wanted value after an attempt whose outcome is unknown: another client changed it, or the remote stores it in another form"
	}
	return " changed on the remote after the user read the object; nothing was written"
}

// accepts reports whether a value that nobody asked for is accepted: a person has chosen to accept exactly
// this value, or the remote says that an earlier attempt of this job wrote it.
func (w *remoteWrite) accepts(ctx context.Context, current erasedObject, f *field, c *requestedChange) (bool, error) {
	if f.exact || w.args.Force {
		return false, nil
	}
	if w.args.Accept && c.Digest != "" {
		key, err := w.repo.engine.DigestKey(ctx)
		if err != nil {
			return false, err
		}
		if c.Digest == f.keyedDigest(key, current.value) {
			return true, nil
		}
	}
	if !w.EarlierWrite() || !w.repo.wroteLast(current) {
		return false, nil
	}
	known, err := w.knew(ctx, current.value, f, c)
	return !known, err
}

// wroteLast reports whether the remote says that this repository changed the object last.
func (r *repo) wroteLast(o erasedObject) bool { return r.author != "" && o.author == r.author }

// unknownInGroups returns the columns that nobody knew among the other fields of the groups whose
// fields are to be written. It adds them to shown, the fields that a conflict shows.
func (w *remoteWrite) unknownInGroups(ctx context.Context, current reflect.Value, groups []string, shown map[string]*requestedChange) (
	unknown []string, err error,
) {
	if w.args.Force {
		return nil, nil
	}
	for _, column := range slices.Sorted(maps.Keys(w.args.Seen)) {
		f, c := w.repo.model.byColumn[column], w.args.Seen[column]
		if f == nil || f.group == "" || !slices.Contains(groups, f.group) {
			continue
		}
		known, err := w.knew(ctx, current, f, c)
		if err != nil {
			return nil, err
		}
		if !known {
			unknown = append(unknown, column)
			shown[column] = c
		}
	}
	return unknown, nil
}

// knew reports whether the user knew the remote's value of a field, or could not: an earlier job of the
// row, behind which this one was dispatched, has changed it.
func (w *remoteWrite) knew(ctx context.Context, current reflect.Value, f *field, c *requestedChange) (bool, error) {
	known, err := w.repo.userKnew(ctx, current, f, c)
	if known || err != nil {
		return known, err
	}
	value := w.repo.model.newRow()
	for _, id := range w.args.Behind {
		job, err := w.repo.engine.Store().Load(ctx, id)
		if errors.Is(err, nawasync.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		var effects writeResult
		if json.Unmarshal(job.Result, &effects) != nil {
			continue
		}
		if known, err := w.repo.hasDigest(ctx, current, f, effects.Digests); known || err != nil {
			return known, err
		}
		for _, text := range []json.RawMessage{effects.Adjusted[f.column], effects.Also[f.column].To} {
			if len(text) > 0 && decodeField(value, f, text) == nil && f.equal(current, value) {
				return true, nil
			}
		}
	}
	return false, nil
}

// writeResult is the part of a job's result that says what else the write has changed.
type writeResult struct {
	// Adjusted has the written values that the remote stores in another form, by column.
	Adjusted map[string]json.RawMessage `json:"adjusted,omitempty"`
	// Also has the values that changed with the write although nobody asked for it.
	Also map[string]changedAlso `json:"also_changed,omitempty"`
	// Digests are those of values that Adjusted or Also has only masked or shortened.
	Digests []tracker.ValueDigest `json:"digests,omitempty"`
}

type changedAlso struct {
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}
