package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// keyOf returns a row with the scope, key and natural fields of a mutation.
func (r *repo) keyOf(m *mutation) (reflect.Value, error) {
	key := r.model.newRow()
	err := r.model.decode(key, m.Key)
	r.model.respell(key) // an older release may have dispatched the job
	return key, nawasync.Permanent(err)
}

// getRemote reads the remote object of a key. It returns an otherObjectError if the remote answers with
// an object of another key, as a remote does that redirects the old name of a renamed object, or with
// another incarnation of the object.
func (r *repo) getRemote(ctx context.Context, key reflect.Value) (erasedObject, error) {
	key = r.model.respelled(key)
	o, err := r.findRemote(ctx, key)
	if err == nil && r.model.hasKey(key) && r.model.keyIdentity(key) != r.model.keyIdentity(o.value) {
		err = &otherObjectError{object: o, err: fmt.Errorf("the remote answers with the object %q; the object was probably renamed, or its name is used again", targetText(o.value, r.model.key))}
	}
	if err == nil && r.model.remade(key, o.value) {
		err = &otherObjectError{object: o, err: fmt.Errorf("the remote answers with another object of the same name, which was made since: %s", r.model.incarnationText(key, o.value)), remade: true}
	}
	return o, err
}

// findRemote reads the remote object of a key. A remote may spell the key in another way, or redirect.
func (r *repo) findRemote(ctx context.Context, key reflect.Value) (erasedObject, error) {
	key = r.model.respelled(key)
	o, err := r.remote.get(ctx, key)
	if err != nil {
		return o, err
	}
	return o, r.checkObject(o, key)
}

// checkObject normalises an object of the remote and refuses one without a key. If the object does not
// say to which scope it belongs, it belongs to that of key.
func (r *repo) checkObject(o erasedObject, key reflect.Value) error {
	for _, f := range r.model.scope {
		if f.value(o.value).IsZero() {
			f.value(o.value).Set(f.value(key))
		}
	}
	r.model.normalise(o.value)
	if !r.model.hasKey(o.value) {
		return fault.WithClass(fault.ClassConfig, fmt.Errorf("the adapter returned an object of type %s without its key; set the key fields in the values that Get, Create and Update return", r.typ))
	}
	return nil
}

// otherObjectError says that the remote answered with an object that was not asked for.
type otherObjectError struct {
	object erasedObject
	err    error
	remade bool // it has the key that was asked for, and another incarnation
}

func (e *otherObjectError) Error() string { return e.err.Error() }
func (e *otherObjectError) Unwrap() error { return e.err }

// gone ends a job whose object no longer exists.
func gone(format string, args ...any) error {
	return fault.WithClass(fault.ClassGone, fmt.Errorf(format, args...))
}

// boundKey returns the key of the object that a change was dispatched on. A change writes to no other
// object: if the row stands for another one by now, boundKey returns an error that ends the job. It also
// returns the row.
func (r *repo) boundKey(ctx context.Context, a host.Attempt, m *mutation) (key, row reflect.Value, err error) {
	return r.boundRow(ctx, a.Job().SnapshotRow, m)
}

// boundRow is boundKey for the row with an id.
func (r *repo) boundRow(ctx context.Context, id int64, m *mutation) (key, row reflect.Value, err error) {
	row = r.model.newRow()
	err = r.findRow(ctx, row.Addr(), "id = ?", id)
	if errors.Is(err, nawasync.ErrNotFound) {
		return row, row, gone("row %d of %s no longer exists; nothing was written", id, r.model.table)
	}
	if err != nil {
		return row, row, err
	}
	if r.status(row).LastSyncedAt.IsZero() {
		return row, row, errNeverCreated
	}
	if err := r.checkSameObject(ctx, row); err != nil {
		return row, row, err
	}
	r.model.respell(row)
	if m.Creation != 0 {
		return row, row, r.checkCreation(ctx, m.Creation, row)
	}
	key, err = r.keyOf(m)
	switch {
	case err != nil:
	case !r.model.sameKey(key, row):
		err = gone("row %d of %s now stands for the object %q, and the change was made on %q; nothing was written", id, r.model.table,
			r.model.target(row), r.model.target(key))
	case r.model.remade(key, row):
		err = gone("row %d of %s now stands for another object of the same name, which was made since: %s; nothing was written", id, r.model.table,
			r.model.incarnationText(key, row))
	}
	return key, row, err
}

// errNeverCreated ends the changes that wait for a creation which failed. An object with that name, if
// there is one, belongs to another client.
var errNeverCreated = nawasync.Skip("the object was never created: its creation failed, or found an object of another client; nothing was written")

// checkCreation checks that a row still stands for the object that a creation has made.
func (r *repo) checkCreation(ctx context.Context, id int64, row reflect.Value) error {
	job, err := r.lastCreation(ctx, id)
	if err != nil {
		return err
	}
	if !hasCreated(job) {
		return errNeverCreated
	}
	var result createResult
	if err := json.Unmarshal(job.Result, &result); err != nil {
		return fmt.Errorf("decode the result of job %d: %w", job.ID, err)
	}
	if made := result.Created + result.Adopted; made != r.model.target(row) {
		return gone("row %d of %s now stands for the object %q, and the change was made on %q; nothing was written", r.model.idOf(row), r.model.table,
			r.model.target(row), made)
	}
	return nil
}

// maxCreations is how many retries of a creation lastCreation follows.
const maxCreations = 100

// lastCreation returns the retry of a creation that has created the object or, if none has, the last one.
func (r *repo) lastCreation(ctx context.Context, id int64) (last *jobstore.Job, err error) {
	for range maxCreations {
		job, err := r.engine.Store().Load(ctx, id)
		if errors.Is(err, nawasync.ErrNotFound) {
			return nil, gone("the job %d that created the object has been pruned, so the object cannot be identified; nothing was written", id)
		}
		if err != nil {
			return nil, err
		}
		if job.SnapshotState != nawasync.StatePendingCreate {
			return last, nil // an answer to the creation's conflict
		}
		if last = job; hasCreated(job) || job.RetriedAs == 0 {
			return job, nil
		}
		id = job.RetriedAs
	}
	return last, nil
}

// hasCreated reports whether a creation has created or adopted an object.
func hasCreated(job *jobstore.Job) bool {
	return job.Status == tracker.StatusSuccess || job.Status == tracker.StatusConflict && len(job.Result) > 0
}

// writeOnSuccess stores the current remote object in the transaction that marks the job a
// success.
func (r *repo) writeOnSuccess(a host.Attempt, current erasedObject, result any) error {
	id := a.Job().SnapshotRow
	a.SetResult(result)
	a.OnSuccess(func(tx *gorm.DB) error {
		return r.writeRow(tx.Statement.Context, tx, rowWrite{id: id, value: current.value, fields: r.model.mirrored(), fromRemote: true})
	})
	return nil
}

// rowWrite is a write of some fields of a row.
type rowWrite struct {
	id       int64
	value    reflect.Value // holds the values of fields
	fields   []*field
	identity *tracker.Identity // the row's new identity; nil leaves it unchanged
	// fromRemote says that value was read from the remote: the write then also updates the
	// content hash and the time of the last sync.
	fromRemote bool
}

// writeRow writes fields of a row. It leaves sync_status to the job's outcome.
func (r *repo) writeRow(ctx context.Context, tx *gorm.DB, w rowWrite) error {
	set := map[string]any{}
	for _, f := range w.fields {
		set[f.column] = f.param(w.value)
	}
	if w.identity != nil {
		set["identity"] = *w.identity
	}
	now := nawasync.Timestamp{Time: r.engine.Store().Now()}
	for _, f := range r.model.updated {
		set[f.DBName] = gormTime(f.FieldType, now)
	}
	if w.fromRemote {
		hash := func() string { return r.model.contentHash(w.value) }
		for i, v := range r.model.appendRemoteStatus(nil, now, r.model.allFetched, hash) {
			set[remoteStatusColumns[i]] = v
		}
		if w.identity == nil && r.model.spell != nil { // a row whose key has an older spelling is left to the next sync
			set["hash_version"] = gorm.Expr("CASE WHEN hash_version < ? THEN hash_version ELSE ? END", r.model.normaliseFloor(), r.model.version)
		}
	}
	if err := sqlkit.Session(ctx, tx).Table(r.model.table).Where("id = ?", w.id).Updates(set).Error; err != nil {
		return fmt.Errorf("write row %d of %s: %w", w.id, r.model.table, err)
	}
	return nil
}
