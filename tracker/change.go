package tracker

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Change records one change of an object that a sync found on the remote and wrote to the
// snapshot row. Of the changes that the object's own jobs made, only those are recorded that nobody
// asked for.
type Change struct {
	ID     int64           `json:"id"`
	At     time.Time       `json:"at"`
	Target Target          `json:"-"`
	JobID  int64           `json:"job_id"` // the id of the sync, or of the job whose write it was
	Kind   ChangeKind      `json:"what"`
	Fields json.RawMessage `json:"fields,omitempty"` // the changed columns: {"column": {"from": …, "to": …}}, masked
}

// ChangeKind says what happened to an object.
type ChangeKind string

// The kinds of a Change.
const (
	ChangeAppeared   ChangeKind = "appeared"    // the listing has the object for the first time
	ChangeDrifted    ChangeKind = "drifted"     // the object was changed outside nawasync
	ChangeVanished   ChangeKind = "vanished"    // a complete listing did not have the object; its row is marked missing
	ChangeReturned   ChangeKind = "returned"    // the object was missing, or its row deleted, and is in the listing again
	ChangeSideEffect ChangeKind = "side_effect" // a job's write changed fields that the job did not set
	ChangeDeleted    ChangeKind = "deleted"     // the object stayed missing, or was made again, and its row was deleted
	ChangeMoved      ChangeKind = "moved"       // the object was in another scope before; Fields has the scopes
)

// Changes lists up to limit (1 to 500) changes of a target, newest first, from since
// (inclusive) to until (exclusive). The zero time is no bound.
func (r *Reader) Changes(ctx context.Context, target Target, since, until time.Time, limit int) ([]Change, error) {
	if !r.limit.shows(target.Service, target.Instance) {
		return nil, nil
	}
	where, args := "target_key = ?", []any{target.key()}
	if !since.IsZero() {
		where, args = where+" AND at >= ?", append(args, since.UnixMicro())
	}
	if !until.IsZero() {
		where, args = where+" AND at < ?", append(args, until.UnixMicro())
	}
	var list []Change
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		c := Change{Target: target}
		var at int64
		var fields sql.NullString
		err := rows.Scan(&c.ID, &at, &c.JobID, &c.Kind, &fields)
		c.At = sqlkit.FromMicros(at)
		if fields.Valid {
			c.Fields = json.RawMessage(fields.String)
		}
		list = append(list, c)
		return err
	}, "SELECT id, at, job_id, what, fields FROM nawasync_changes WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, min(max(limit, 1), 500))...)
	if err != nil {
		return nil, fmt.Errorf("list changes of %s: %w", target.ID, err)
	}
	return list, nil
}
