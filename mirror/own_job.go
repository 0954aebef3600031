package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// ownObject says on which object a host's own job was dispatched, as a mutation does for a change.
type ownObject struct {
	// Key has the scope, key and incarnation fields, apart from hidden ones, whose digests are in Hidden.
	Key    map[string]json.RawMessage `json:"key,omitempty"`
	Hidden []tracker.ValueDigest      `json:"hidden,omitempty"`
	// Creation is the job that creates the object, if the row had none. Key then counts for nothing.
	Creation int64 `json:"creation,omitempty"`
}

// dispatchOwn adds a host's own job on the row that the user saw.
func (r *repo) dispatchOwn(ctx context.Context, seen reflect.Value, args nawasync.Args, o nawasync.Options) (job *tracker.Job, err error) {
	m := r.model
	id := m.idOf(seen)
	if id <= 0 {
		return nil, fmt.Errorf("%w: the row has no id; pass a row that List or Find returned", nawasync.ErrInvalid)
	}
	if args == nil {
		return nil, fmt.Errorf("%w: the arguments are nil", nawasync.ErrInvalid)
	}
	if kind := args.Kind(); kind.Service == r.service && kind.Type == r.typ && slices.Contains(r.ownActions(), kind.Action) {
		return nil, fmt.Errorf("%w: %s is a job of the repository itself; call its method instead", nawasync.ErrInvalid, kind)
	}
	m.respell(seen)
	own := host.SnapshotRow{Table: m.table, ID: id}
	if o.MarkRow {
		own.State = nawasync.StatePendingUpdate
	}
	err = r.inTx(ctx, func(tx *gorm.DB) error {
		row, err := r.lockSeen(ctx, tx, seen)
		if err != nil {
			return err
		}
		object, err := r.describeObject(ctx, tx, row)
		if err != nil {
			return err
		}
		own.Own = &host.OwnRow{Service: r.service, Type: r.typ, Instance: m.instance(row), TargetID: m.target(row), Object: object}
		job, err = r.engine.DispatchOnRow(ctx, tx, args, o, own)
		return err
	})
	return job, err
}

// lockSeen locks the row that a user saw, and returns it as it is now.
func (r *repo) lockSeen(ctx context.Context, tx *gorm.DB, seen reflect.Value) (row reflect.Value, err error) {
	m := r.model
	id := m.idOf(seen)
	row = m.newRow()
	err = r.findIn(r.forUpdate(sqlkit.Session(ctx, tx)), row.Addr(), "id = ?", id)
	if errors.Is(err, nawasync.ErrNotFound) {
		return row, fmt.Errorf("row %d of %s: %w", id, m.table, nawasync.ErrNotFound)
	}
	if err != nil {
		return row, err
	}
	m.respell(row)
	switch {
	case r.status(row).State == nawasync.StatePendingDelete:
		return row, fmt.Errorf("row %d of %s: %w", id, m.table, nawasync.ErrDeleting)
	case m.hasKey(seen) && (!m.sameKey(seen, row) || m.remade(seen, row)):
		return row, fmt.Errorf("row %d of %s now stands for the object %q, and the user saw %q: %w", id, m.table, m.target(row), m.target(seen), nawasync.ErrNotFound)
	}
	return row, nil
}

// describeObject returns the object that a row stands for, as an ownObject in JSON.
func (r *repo) describeObject(ctx context.Context, tx *gorm.DB, row reflect.Value) (object []byte, err error) {
	m := r.model
	var o ownObject
	if r.status(row).LastSyncedAt.IsZero() {
		key := jobrow.TargetKey(r.service, r.typ, m.instance(row), m.target(row))
		if o.Creation, err = r.engine.Store().CreationOf(ctx, tx, key, m.table, m.idOf(row)); err != nil {
			return nil, err
		}
	}
	fields := m.keyFields()
	for _, f := range m.incarnation {
		if !f.hidden {
			fields = append(fields, f)
			continue
		}
		if f.value(row).IsZero() {
			continue // it was never fetched, and tells nothing
		}
		key, err := r.engine.DigestKey(ctx)
		if err != nil {
			return nil, err
		}
		o.Hidden = append(o.Hidden, tracker.ValueDigest{Column: f.column, Digest: f.keyedDigest(key, row)})
	}
	if o.Key, err = encodeFields(row, fields); err != nil {
		return nil, err
	}
	return json.Marshal(o)
}

// ownRow is the row on which a host's own job runs.
type ownRow struct {
	repo   *repo
	id     int64
	object ownObject
}

type ownRowKey struct{}

// BindRow implements host.RowBinder.
func (r attached) BindRow(ctx context.Context, id int64, object json.RawMessage) (context.Context, error) {
	own := &ownRow{repo: r.repo, id: id}
	if err := json.Unmarshal(object, &own.object); err != nil {
		return ctx, nawasync.Permanent(fmt.Errorf("decode the object of row %d of %s: %w", id, r.model.table, err))
	}
	if _, err := own.read(ctx); err != nil {
		return ctx, databaseFailure(err)
	}
	return context.WithValue(ctx, ownRowKey{}, own), nil
}

var _ host.RowBinder = attached{}

// read returns the row, or an error that ends the job if the row does not stand for the job's object.
func (o *ownRow) read(ctx context.Context) (reflect.Value, error) {
	r := o.repo
	_, row, err := r.boundRow(ctx, o.id, &mutation{Key: o.object.Key, Creation: o.object.Creation})
	if errors.Is(err, errNeverCreated) {
		err = o.notCreated(ctx)
	}
	for _, d := range o.object.Hidden {
		f := r.model.byColumn[d.Column]
		if err != nil || f == nil || f.value(row).IsZero() {
			continue
		}
		same, digestErr := r.hasDigest(ctx, row, f, o.object.Hidden)
		if err = digestErr; err == nil && !same {
			err = gone("row %d of %s now stands for another object of the same name, which was made since; nothing was written", o.id, r.model.table)
		}
	}
	return row, err
}

// notCreated returns the error of a job whose object does not exist so far.
func (o *ownRow) notCreated(ctx context.Context) error {
	if o.object.Creation == 0 {
		return errNeverCreated
	}
	creation, err := o.repo.lastCreation(ctx, o.object.Creation)
	if err != nil {
		return err
	}
	if !creation.Status.Terminal() { // it was dispatched with a delay
		wait := max(creation.NotBefore.Sub(o.repo.now()), time.Second)
		return nawasync.RetryAfter(wait, fmt.Errorf("the object is not created yet: job %d creates it", creation.ID))
	}
	return nawasync.Skip(fmt.Sprintf("the object was not created, so the job did not run: its creation, job %d, ended as %s (%s); retry the creation, then this job", creation.ID,
		creation.Status, creation.Error))
}

// Row returns the row of the host's own job that runs with ctx, as it is now: with the key that the remote has
// assigned to an object that was created since the dispatch. T must be the repository's type. Call it in Execute of
// a job that nawasync.RepositoryWriter.Dispatch has added, and return its error from there: it ends the job if the row
// no longer stands for the object on which the job was dispatched. For any other context, Row returns
// nawasync.ErrInvalid. It may be called several times, and reads the row each time.
func Row[T any](ctx context.Context) (row T, err error) {
	own, ok := ctx.Value(ownRowKey{}).(*ownRow)
	if !ok {
		return row, nawasync.Permanent(fmt.Errorf("mirror.Row: %w: the context is not that of a job which the Dispatch of a repository has added", nawasync.ErrInvalid))
	}
	found, err := own.read(ctx)
	if err != nil {
		return row, databaseFailure(err)
	}
	row, ok = reflect.TypeAssert[T](found)
	if !ok {
		return row, nawasync.Permanent(fmt.Errorf("mirror.Row: %w: the job runs on a row of %s, which is a %s and not a %T", nawasync.ErrInvalid, own.repo.model.table, found.Type(), row))
	}
	return row, nil
}
