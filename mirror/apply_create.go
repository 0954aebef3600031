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
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// creation is one attempt of a job that creates an object.
type creation struct {
	*remoteWrite

	want reflect.Value
}

// createResult is the result of a creation. One of Created and Adopted has the object's target.
type createResult struct {
	Created string `json:"created,omitempty"`
	Adopted string `json:"adopted,omitempty"`
}

// TargetKeys implements host.ResultWithTargets: with a part of the target redacted, a later change would not
// find the object.
func (createResult) TargetKeys() []string { return []string{"created", "adopted"} }

// createReport is a createResult with what else is to be said about the creation.
type createReport map[string]any

// TargetKeys implements host.ResultWithTargets.
func (createReport) TargetKeys() []string { return createResult{}.TargetKeys() }

func (r *repo) runCreate(ctx context.Context, a host.Attempt, m *mutation) error {
	want, err := r.keyOf(m)
	if err == nil {
		err = nawasync.Permanent(r.model.decode(want, m.Want))
		r.model.respell(want)
	}
	if err != nil {
		return err
	}
	w, err := r.resume(ctx, a, m)
	if err != nil {
		return err
	}
	w.key = want
	c := &creation{remoteWrite: w, want: want}
	return c.run(ctx)
}

// run reads the remote before it creates the object. An object that exists already may belong to
// another client, or an earlier attempt whose response was lost may have created it. run adopts such an
// object only if that is safe.
func (c *creation) run(ctx context.Context) error {
	taken, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	if taken { // an earlier attempt has stored the created object
		return c.verify(ctx, createResult{Created: c.repo.model.target(c.row)})
	}
	if err := c.poll(ctx); err != nil {
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
			if err := c.settled(ctx, existing); err != nil {
				return err
			}
			return c.adopt(ctx, existing)
		}
	case fault.ClassOf(err) != fault.ClassGone:
		return err
	}
	if err := c.afterRetry(ctx); err != nil {
		return err
	}
	if pending := !c.state.BegunAt.IsZero() && c.repo.now().Before(c.until()); pending {
		return c.again(c.state.BegunAt, c.until(), "an earlier attempt may have created the object, and the remote may not show it yet")
	}
	if c.state.Answered {
		return c.notShown()
	}
	return c.create(ctx)
}

// settled returns an error that ends the attempt if a job has written the found object just before: the
// remote may still show an object that was deleted.
func (c *creation) settled(ctx context.Context, existing erasedObject) error {
	w := *c.remoteWrite
	w.key = existing.value
	return w.unlessSettling(ctx, false, nil)
}

// afterRetry makes a creation that an operator has retried look for the object as long as one whose
// answer was lost.
func (c *creation) afterRetry(ctx context.Context) error {
	if c.Job().RetryOf == 0 || !c.state.BegunAt.IsZero() {
		return nil
	}
	old, err := c.repo.engine.Store().Load(ctx, c.Job().RetryOf)
	if errors.Is(err, nawasync.ErrNotFound) {
		return nil // it ended long ago
	}
	if err == nil && old.Wrote {
		c.state.BegunAt = old.FinishedAt
	}
	return err
}

// notShown returns the error for a creation that the remote has confirmed, although it does not show the
// object.
func (c *creation) notShown() error {
	return nawasync.Permanent(
		errors.New(
			"accepted, not applied: the remote confirmed the creation and does not show the object; look for the object on the remote before you create it again",
		),
	)
}

func (c *creation) create(ctx context.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	sent := deepCopy(c.want)
	for _, f := range c.repo.model.secrets {
		f.value(sent).Set(reflect.ValueOf(c.args.WriteOnly[f.column]))
	}
	created, err := c.repo.remote.create(ctx, sent)
	if handle, accepted := acceptedHandle(err); accepted {
		return c.accept(ctx, handle)
	}
	if fault.ClassOf(err) == fault.ClassAlreadyExists {
		c.RetractWrite(ctx)
		c.state = writeState{} // nothing was written that the remote could show later
		if err := c.SetState(nil); err != nil {
			return err
		}
		// The object was created after the first read: by another client, or by a duplicate
		// of this request. Or the remote knows the object by another spelling of its key.
		if existing, getErr := c.repo.findRemote(ctx, c.want); getErr == nil {
			return c.adopt(ctx, existing)
		}
	}
	if err != nil {
		if nothingWritten(fault.ClassOf(err)) {
			c.RetractWrite(ctx)
			return errors.Join(err, c.SetState(nil))
		}
		return err
	}
	c.state.Answered = true // also if the object cannot be stored: it is not created again
	if err := errors.Join(c.SetState(c.state), c.repo.checkObject(created, c.want)); err != nil {
		return err
	}
	result := createResult{Created: c.repo.model.target(created.value)}
	if err := c.take(ctx, created); err != nil {
		return err
	}
	c.row = created.value
	if created.version != "" {
		return c.finish(ctx, created, result)
	}
	return c.verify(ctx, result)
}

// nothingWritten reports whether an error of the class proves that the remote wrote nothing.
func nothingWritten(class fault.Class) bool {
	switch class {
	case fault.ClassConfig,
		fault.ClassPermanent,
		fault.ClassForbidden,
		fault.ClassCredentials,
		fault.ClassUnavailable,
		fault.ClassRateLimited,
		fault.ClassAlreadyExists,
		fault.ClassConflict,
		fault.ClassGone:
		return true
	default:
		return false
	}
}

// prepare reserves the name of the object for the row, which a retried creation has given up. It reports
// whether an earlier attempt has stored the created object in the row.
func (c *creation) prepare(ctx context.Context) (taken bool, err error) {
	row := c.repo.model.newRow()
	err = c.repo.findRow(ctx, row.Addr(), "id = ?", c.Job().SnapshotRow)
	if errors.Is(err, nawasync.ErrNotFound) {
		return false, c.repo.checkDeleted(ctx, c.Job().SnapshotRow) // else take inserts a row
	}
	if err != nil {
		return false, err
	}
	c.row = row
	if status := c.repo.status(row); !status.LastSyncedAt.IsZero() {
		return true, nil
	} else if identity := c.repo.model.wantedIdentity(c.want); status.Identity != identity {
		return false, c.writeIdentity(ctx, rowTake{row: c.Job().SnapshotRow, identity: identity}, erasedObject{value: c.want})
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

// take stores a created or adopted object in the row at once, so that the death of this process cannot
// lose the key that the remote has assigned.
func (c *creation) take(ctx context.Context, object erasedObject) error {
	identity := c.repo.model.keyIdentity(object.value)
	return c.writeIdentity(ctx, rowTake{row: c.Job().SnapshotRow, identity: identity, object: &object}, object)
}

// writeIdentity gives the row an identity. If another row has it, the job ends with a conflict.
func (c *creation) writeIdentity(ctx context.Context, t rowTake, object erasedObject) error {
	other, err := c.repo.takeIdentity(ctx, c.Attempt, t)
	if err == nil && other != 0 {
		err = c.taken(ctx, object, other)
	}
	return err
}
