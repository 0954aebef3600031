package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// snapshotRow names a row and the pending state that the dispatch of its job sets; "" leaves the
// row's state unchanged.
func (r *repo) snapshotRow(id int64, state nawasync.SyncState) host.SnapshotRow {
	return host.SnapshotRow{Table: r.model.table, ID: id, State: state}
}

// forUpdate makes reads lock the rows that they find until the transaction ends.
func (r *repo) forUpdate(tx *gorm.DB) *gorm.DB {
	return tx.Clauses(clause.Locking{Strength: "UPDATE"})
}

func (r *repo) updateRow(ctx context.Context, seen, want reflect.Value, o nawasync.Options) (job *tracker.Job, err error) {
	m := r.model
	m.respell(seen) // the row may have an older spelling
	m.normalise(want)
	action := o.Action
	if action == "" {
		action = r.actions.Update[0]
	}
	if !slices.Contains(r.actions.Update, action) {
		return nil, fmt.Errorf("%w: Options.Action is %q; use one of Actions.Update: %s", nawasync.ErrInvalid, action, strings.Join(r.actions.Update, ", "))
	}
	if err := r.supports(action); err != nil {
		return nil, err
	}
	for _, f := range append(m.keyFields(), m.observed...) {
		if !f.equal(seen, want) {
			return nil, fmt.Errorf("%w: field %s has the role %s; only content and secret fields can be changed", nawasync.ErrInvalid, f.Name, f.role)
		}
	}
	if err := r.readStatus(ctx, seen); err != nil {
		return nil, err
	}
	args, err := r.newMutation(action, seen)
	if err != nil {
		return nil, err
	}
	args.Changes, args.WriteOnly = map[string]*requestedChange{}, r.secretsOf(want)
	for _, f := range m.content {
		if f.equal(seen, want) {
			continue
		}
		if asSeen, err := r.isAsSeen(ctx, seen, want, f); err != nil {
			return nil, err
		} else if asSeen {
			continue
		}
		if err := r.checkSeen(seen, f); err != nil {
			return nil, err
		}
		change, fromErr := r.seenValue(ctx, seen, f)
		to, toErr := json.Marshal(f.value(want).Interface())
		if err := errors.Join(fromErr, toErr); err != nil {
			return nil, fmt.Errorf("%w: marshal field %s: %w", nawasync.ErrInvalid, f.Name, err)
		}
		change.To = to
		args.Changes[f.column] = change
	}
	if len(args.Changes) == 0 && len(args.WriteOnly) == 0 {
		return nil, nawasync.ErrUnchanged
	}
	if args.Seen, err = r.seenInGroups(ctx, seen, args.Changes); err != nil {
		return nil, err
	}
	err = r.changeFields(ctx, m.idOf(seen), args, func(tx *gorm.DB) error {
		job, err = r.engine.DispatchOnRow(ctx, tx, args, o, r.snapshotRow(m.idOf(seen), nawasync.StatePendingUpdate))
		return err
	})
	return job, err
}

// seenValue returns what the user saw of a field. Arguments must not contain NUL, so a document with one is
// compared by its digest.
func (r *repo) seenValue(ctx context.Context, seen reflect.Value, f *field) (*requestedChange, error) {
	if token := r.engine.SeenOf(r.status(seen)); token != nil && token.Digests[f.column] != "" {
		return &requestedChange{Seen: token.Digests[f.column]}, nil
	}
	text, err := json.Marshal(f.value(seen).Interface())
	if err != nil {
		return nil, fmt.Errorf("%w: marshal field %s: %w", nawasync.ErrInvalid, f.Name, err)
	}
	if !bytes.Contains(text, []byte(`\u0000`)) {
		return &requestedChange{From: text}, nil
	}
	key, err := r.engine.DigestKey(ctx)
	if err != nil {
		return nil, err
	}
	return &requestedChange{Digest: f.keyedDigest(key, seen)}, nil
}

// seenInGroups returns what the user saw of the fields that are in a group with a changed field.
func (r *repo) seenInGroups(ctx context.Context, seen reflect.Value, changes map[string]*requestedChange) (list map[string]*requestedChange, err error) {
	groups := map[string]bool{}
	for column := range changes {
		groups[r.model.byColumn[column].group] = true
	}
	for _, f := range r.model.content {
		if f.group == "" || !groups[f.group] || changes[f.column] != nil || r.checkSeen(seen, f) != nil {
			continue
		}
		c, err := r.seenValue(ctx, seen, f)
		if err != nil {
			return nil, err
		}
		if list == nil {
			list = map[string]*requestedChange{}
		}
		list[f.column] = c
	}
	return list, nil
}

func (r *repo) deleteRow(ctx context.Context, seen reflect.Value, o nawasync.Options) (job *tracker.Job, err error) {
	m := r.model
	if err := r.readStatus(ctx, seen); err != nil {
		return nil, err
	}
	if err := r.supports(r.actions.Delete); err != nil && (!r.can.create || !rowOnly(r.status(seen))) {
		return nil, err
	}
	m.respell(seen)
	args, err := r.newMutation(r.actions.Delete, seen)
	if err != nil {
		return nil, err
	}
	args.Seen = map[string]*requestedChange{}
	for _, f := range m.content {
		if r.checkSeen(seen, f) != nil {
			continue // nobody can have seen the value
		}
		if args.Seen[f.column], err = r.seenValue(ctx, seen, f); err != nil {
			return nil, err
		}
	}
	err = r.changeFields(ctx, m.idOf(seen), args, func(tx *gorm.DB) error {
		job, err = r.engine.DispatchOnRow(ctx, tx, args, o, r.snapshotRow(m.idOf(seen), nawasync.StatePendingDelete))
		return err
	})
	return job, err
}

func (r *repo) refreshRow(ctx context.Context, id int64, o nawasync.Options) (job *tracker.Job, err error) {
	if err := r.supports(tracker.RefreshAction); err != nil {
		return nil, err
	}
	row := r.model.newRow()
	if err := r.findRow(ctx, row.Addr(), "id = ?", id); err != nil {
		return nil, err
	}
	r.model.respell(row)
	err = r.inTx(ctx, func(tx *gorm.DB) error {
		job, err = r.engine.DispatchOnRow(ctx, tx, r.refreshOf(row), o, r.snapshotRow(id, ""))
		return err
	})
	return job, err
}

// refreshOf returns the arguments of a job that refreshes a row.
func (r *repo) refreshOf(row reflect.Value) refreshArgs {
	return refreshArgs{
		kind: r.kind(tracker.RefreshAction), target: nawasync.Target{Instance: r.model.instance(row), ID: r.model.target(row)}, queue: r.queue,
		max: r.change.max, Row: r.model.idOf(row),
	}
}

// secretsOf returns the secrets of a row that are set, by column.
func (r *repo) secretsOf(row reflect.Value) map[string]nawasync.Secret {
	out := map[string]nawasync.Secret{}
	for _, f := range r.model.secrets {
		if s := f.value(row).Interface().(nawasync.Secret); !s.IsZero() {
			out[f.column] = s
		}
	}
	return out
}

func (r *repo) newMutation(action string, row reflect.Value) (*mutation, error) {
	if err := r.model.checkScope(row); err != nil {
		return nil, err
	}
	key, err := encodeFields(row, append(append(r.model.keyFields(), r.model.natural...), r.model.incarnation...))
	target := nawasync.Target{Instance: r.model.instance(row), ID: r.model.target(row)}
	return &mutation{kind: r.kind(action), target: target, queue: r.queue, max: r.change.max, MaskKeys: r.maskKeys, Key: key}, err
}
