package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// creation is one attempt of a job that creates an object.
type creation struct {
	repo *repo
	host.Attempt
	args *mutation
	want reflect.Value
}

// createResult is the result of a creation. One of the two has the object's target.
type createResult struct {
	Created string `json:"created,omitempty"`
	Adopted string `json:"adopted,omitempty"`
}

func (r *repo) runCreate(ctx context.Context, a host.Attempt, m *mutation) error {
	want, err := r.keyOf(m)
	if err == nil {
		err = nawasync.Permanent(r.model.decode(want, m.Want))
	}
	if err != nil {
		return err
	}
	c := &creation{repo: r, Attempt: a, args: m, want: want}
	return c.run(ctx)
}

// run reads the remote before it creates the object. An object that exists already may belong to
// another client, or an earlier attempt whose response was lost may have created it. run adopts such an
// object only if that is safe.
func (c *creation) run(ctx context.Context) error {
	done, err := c.begin(ctx)
	if done || err != nil {
		return err
	}
	existing, err := c.repo.findRemote(ctx, c.want)
	switch {
	case err == nil:
		found, err := c.classify(ctx, existing)
		if err != nil {
			return err
		}
		if found {
			return c.adopt(ctx, existing)
		}
	case fault.ClassOf(err) != fault.ClassGone:
		return err
	}
	return c.create(ctx)
}

func (c *creation) create(ctx context.Context) error {
	if err := c.BeginWrite(ctx); err != nil {
		return err
	}
	sent := deepCopy(c.want)
	for _, f := range c.repo.model.secrets {
		f.value(sent).Set(reflect.ValueOf(c.args.WriteOnly[f.column]))
	}
	created, err := c.repo.remote.create(ctx, sent)
	if nothingWritten(fault.ClassOf(err)) && err != nil {
		c.RetractWrite(ctx)
	}
	if fault.ClassOf(err) == fault.ClassAlreadyExists {
		// The object was created after the first read: by another client, or by a duplicate
		// of this request. Or the remote knows the object by another spelling of its key.
		if existing, getErr := c.repo.findRemote(ctx, c.want); getErr == nil {
			return c.adopt(ctx, existing)
		}
	}
	if err == nil {
		err = c.repo.checkObject(created, c.want)
	}
	if err != nil {
		return err
	}
	return c.take(ctx, created, createResult{Created: c.repo.model.target(created.value)})
}

// nothingWritten reports whether an error of the class proves that the remote wrote nothing.
func nothingWritten(class fault.Class) bool {
	switch class {
	case fault.ClassConfig, fault.ClassPermanent, fault.ClassCredentials, fault.ClassRateLimited, fault.ClassAlreadyExists, fault.ClassConflict, fault.ClassGone:
		return true
	default:
		return false
	}
}

// begin reserves the name of the object for the row, which a retried creation has given up. If an earlier
// attempt has stored the created object, begin ends the job.
func (c *creation) begin(ctx context.Context) (done bool, err error) {
	row := c.repo.model.newRow()
	err = c.repo.findRow(ctx, row.Addr(), "id = ?", c.Job().SnapshotRow)
	if errors.Is(err, nawasync.ErrNotFound) {
		return false, nil // take inserts a row
	}
	if err != nil {
		return false, err
	}
	if status := c.repo.status(row); !status.LastSyncedAt.IsZero() {
		c.SetResult(createResult{Created: c.repo.model.target(row)})
		return true, nil
	} else if identity := c.repo.model.wantedIdentity(c.want); status.Identity != identity {
		return false, c.writeIdentity(ctx, rowTake{row: c.Job().SnapshotRow, identity: identity}, c.want)
	}
	return false, nil
}

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
		return false, c.taken(existing.value, m.idOf(row))
	case older && c.EarlierWrite():
		return false, c.repo.conflict(fmt.Sprintf("an earlier attempt may have created the object, but the remote answers with the object of row %d; look for the new object on the remote before you create it again",
			m.idOf(row)), existing.value, c.changes())
	case older:
		return false, nil // several objects can have one name
	case m.hasKey(c.want) && !m.sameKey(c.want, existing.value):
		// The remote redirects, or spells the key in another way. It refuses the creation if it is the latter.
		return c.EarlierWrite(), nil
	}
	return true, nil
}

// taken returns the conflict of a creation whose object has a row already.
func (c *creation) taken(existing reflect.Value, row int64) error {
	return c.repo.conflict(fmt.Sprintf("the object %q is row %d of %s already; this row was not joined with it", c.repo.model.target(existing), row, c.repo.model.table),
		existing, c.changes())
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
	var differ []string
	for _, f := range c.repo.model.content {
		wanted := f.value(c.want)
		if wanted.Kind() == reflect.Pointer && wanted.IsNil() {
			continue // the remote chooses the value
		}
		if !f.equal(existing.value, c.want) {
			differ = append(differ, f.column)
		}
	}
	switch {
	case len(differ) > 0:
		return c.repo.conflict("an object with that name already exists with a different "+strings.Join(differ, " and ")+"; the object was not changed",
			existing.value, c.changes())
	case !c.EarlierWrite() && len(c.repo.model.secrets) > 0:
		return c.repo.conflict("an object with that name already exists; its secrets cannot be compared, so the object was not adopted", existing.value, c.changes())
	}
	if c.EarlierWrite() {
		c.Logf("an earlier attempt created the object; adopted the object")
	}
	return c.take(ctx, existing, createResult{Adopted: c.repo.model.target(existing.value)})
}

// take stores a created or adopted object in the row at once, so that the death of this process cannot
// lose the key that the remote has assigned.
func (c *creation) take(ctx context.Context, object erasedObject, result createResult) error {
	identity := c.repo.model.keyIdentity(object.value)
	if err := c.writeIdentity(ctx, rowTake{row: c.Job().SnapshotRow, identity: identity, object: &object}, object.value); err != nil {
		return err
	}
	c.SetResult(result)
	return nil
}

// writeIdentity gives the row an identity. If another row has it, the job ends with a conflict.
func (c *creation) writeIdentity(ctx context.Context, t rowTake, object reflect.Value) error {
	other, err := c.repo.takeIdentity(ctx, c.Attempt, t)
	if err == nil && other != 0 {
		err = c.taken(object, other)
	}
	return err
}
