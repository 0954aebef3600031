package mirror

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
)

// maxWishes is how many open changes of a row are laid over it.
const maxWishes = 20

// layWishes lays the open changes of rows over them. rows is a slice of snapshot structs. One statement reads the jobs of all
// rows.
func (r *repo) layWishes(ctx context.Context, rows reflect.Value) (map[int64]nawasync.Wish, error) {
	byID := map[int64][]*wishedRow{}
	var ids []int64
	for i := range rows.Len() {
		row := rows.Index(i)
		if !r.status(row).State.Pending() {
			continue // no change of it is open
		}
		id := r.model.idOf(row)
		if byID[id] == nil {
			ids = append(ids, id)
		}
		byID[id] = append(byID[id], &wishedRow{repo: r, row: row, stored: deepCopy(row)})
	}
	wishes := map[int64]nawasync.Wish{}
	if len(ids) == 0 {
		return wishes, nil
	}
	changes, err := r.engine.Store().OpenChanges(ctx, r.db(ctx), jobstore.ChangesOf{
		Service: r.service, Type: r.typ, Table: r.model.table, Rows: ids, Limit: maxWishes + 1,
	})
	if err != nil {
		return nil, err
	}
	own := map[int64][]jobstore.OpenChange{}
	for _, c := range changes {
		own[c.Row] = append(own[c.Row], c)
	}
	for id, list := range own {
		for _, w := range byID[id] {
			w.lay(list)
			if len(w.wish.Jobs) > 0 {
				wishes[id] = w.wish
			}
		}
	}
	return wishes, nil
}

// wishedRow is a row over which its open changes are laid.
type wishedRow struct {
	repo        *repo
	row, stored reflect.Value
	wish        nawasync.Wish
}

func (w *wishedRow) lay(changes []jobstore.OpenChange) {
	if len(changes) > maxWishes {
		oldest := slices.MinFunc(changes, func(a, b jobstore.OpenChange) int { return cmp.Compare(a.ID, b.ID) }).ID
		changes = slices.DeleteFunc(slices.Clone(changes), func(c jobstore.OpenChange) bool { return c.ID == oldest })
		w.wish.More = true
	}
	for _, c := range changes {
		actions := w.repo.actions
		if c.Action != actions.Create && c.Action != actions.Delete && !slices.Contains(actions.Update, c.Action) {
			continue // a job of the application
		}
		w.wish.Jobs = append(w.wish.Jobs, c.ID)
		w.wish.Creates = w.wish.Creates || c.Action == actions.Create
		w.wish.Deletes = w.wish.Deletes || c.Action == actions.Delete
		w.layChange(c)
	}
	slices.Sort(w.wish.Masked)
}

// wishedArgs is what the masked arguments of a change say of the wanted values. What is masked may have any form.
type wishedArgs struct {
	Want      map[string]json.RawMessage `json:"want"`
	Changes   map[string]json.RawMessage `json:"changes"`
	WriteOnly map[string]json.RawMessage `json:"write_only"`
	Accept    bool                       `json:"accept"`
}

// layChange lays one change over the row. It takes the values from the arguments that people may see, so that nothing masked
// comes out, and a process without the Sealer has them too.
func (w *wishedRow) layChange(c jobstore.OpenChange) {
	var args wishedArgs
	if json.Unmarshal(c.Payload, &args) != nil {
		return
	}
	for column, text := range args.Want {
		f := w.repo.model.byColumn[column]
		if f != nil && f.FieldType.Kind() == reflect.Pointer && string(text) == "null" {
			continue // the remote decides
		}
		w.set(c, column, text)
	}
	for column, text := range args.Changes {
		var change requestedChange
		if json.Unmarshal(text, &change) != nil {
			change = requestedChange{} // it is masked as a whole
		}
		if args.Accept && change.Digest != "" {
			continue // the remote's value counts as the wanted one
		}
		w.set(c, column, change.To)
	}
	for column := range args.WriteOnly {
		w.set(c, column, nil)
	}
}

// set sets a field of the row to a wanted value, or to the stored one if the wanted one may not be shown.
func (w *wishedRow) set(c jobstore.OpenChange, column string, text json.RawMessage) {
	f := w.repo.model.byColumn[column]
	if f == nil {
		return // the job was dispatched by another release, which has this field
	}
	if w.wish.Fields == nil {
		w.wish.Fields = map[string]int64{}
	}
	w.wish.Fields[column] = c.ID
	masked := len(text) == 0 || f.hidden || f.role == roleSecret || c.Sealed && bytes.Contains(text, []byte(secret.Masked))
	if !masked && decodeField(w.row, f, text) == nil {
		w.wish.Masked = slices.DeleteFunc(w.wish.Masked, func(other string) bool { return other == column })
		return
	}
	f.value(w.row).Set(f.value(w.stored))
	if !slices.Contains(w.wish.Masked, column) {
		w.wish.Masked = append(w.wish.Masked, column)
	}
}
