package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
)

// classify reports whether an existing object may be the one that the job is to create. An object that
// was mirrored before the job was dispatched is another one.
func (c *creation) classify(ctx context.Context, existing erasedObject) (found bool, err error) {
	m := c.repo.model
	row := m.newRow()
	err = c.repo.findRow(ctx, row.Addr(), "identity = ?", m.keyIdentity(existing.value))
	if err != nil && !errors.Is(err, nawasync.ErrNotFound) {
		return false, err
	}
	older := err == nil && m.idOf(row) < c.Job().SnapshotRow
	switch {
	case older && m.hasKey(c.want):
		return false, c.taken(ctx, existing, m.idOf(row))
	case older && c.EarlierWrite():
		return false, c.repo.conflict(ctx, conflicting{
			reason: fmt.Sprintf(
				"an earlier attempt may have created the object, but the remote answers with the object of row %d; look for the new object on the remote before you create it again",
				m.idOf(row),
			),
			current: existing, changes: c.changes(),
		})
	case older:
		return false, nil // several objects can have one name
	case m.hasKey(c.want) && !m.sameKey(c.want, existing.value):
		// The remote redirects, or spells the key in another way. It refuses the creation if it is the latter.
		return c.EarlierWrite(), nil
	}
	return true, nil
}

// taken returns the conflict of a creation whose object has a row already.
func (c *creation) taken(ctx context.Context, existing erasedObject, row int64) error {
	return c.repo.conflict(ctx, conflicting{
		reason: fmt.Sprintf(
			"the object %q is row %d of %s already; this row was not joined with it",
			c.repo.model.target(existing.value),
			row,
			c.repo.model.table,
		),
		current: existing, changes: c.changes(),
	})
}

// changes returns the wanted content as changes from nothing.
func (c *creation) changes() map[string]*requestedChange {
	list := map[string]*requestedChange{}
	for _, f := range c.repo.model.content {
		list[f.column] = &requestedChange{From: json.RawMessage("null"), To: c.args.Want[f.column]}
	}
	return list
}

// adopt ends a create job for an object that exists already. It adopts an object with the wanted
// content. If the snapshot has secrets, which cannot be compared, an earlier attempt must also
// have begun to write. Otherwise the job ends with a conflict.
func (c *creation) adopt(ctx context.Context, existing erasedObject) error {
	differ := c.differences(existing.value)
	if c.EarlierWrite() && c.repo.wroteLast(existing) {
		differ = slices.DeleteFunc(differ, func(f *field) bool { return !f.exact })
	}
	var reason string
	switch {
	case len(differ) > 0:
		reason = "an object with that name already exists with a different " + strings.Join(columnsOf(differ), " and ") + "; the object was not changed"
	case !c.EarlierWrite() && len(c.repo.model.secrets) > 0:
		reason = "an object with that name already exists; its secrets cannot be compared, so the object was not adopted"
	}
	if waiting := !c.state.BegunAt.IsZero() && c.repo.now().Before(c.until()); reason != "" && waiting {
		return c.again(c.state.BegunAt, c.until(), "the remote does not show the wanted "+strings.Join(columnsOf(differ), " and ")+" yet")
	}
	if reason != "" {
		return c.repo.conflict(
			ctx,
			conflicting{reason: reason, current: existing, changes: c.changes(), columns: columnsOf(differ), accept: c.EarlierWrite()},
		)
	}
	if c.EarlierWrite() {
		c.Logf("an earlier attempt created the object; adopted the object")
	}
	if err := c.take(ctx, existing); err != nil {
		return err
	}
	return c.succeed(ctx, existing, createResult{Adopted: c.repo.model.target(existing.value)})
}

// differences returns the content fields in which an object differs from the wanted one. The remote
// chooses the value of a field that is wanted as nil.
func (c *creation) differences(object reflect.Value) (list []*field) {
	for _, f := range c.repo.model.content {
		if wanted := f.value(c.want); wanted.Kind() == reflect.Pointer && wanted.IsNil() {
			continue
		}
		if !f.equal(object, c.want) {
			list = append(list, f)
		}
	}
	return list
}

func columnsOf(fields []*field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.column
	}
	return list
}
