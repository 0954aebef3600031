package tracker

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Change is what a sync found at the remote of one object, and did to its row: the part
// of an object's history that no job of its own has.
type Change struct {
	ID     int64           `json:"id"`
	At     time.Time       `json:"at"`
	Target Target          `json:"-"`
	JobID  int64           `json:"job_id"` // the sync
	Kind   ChangeKind      `json:"what"`
	Fields json.RawMessage `json:"fields,omitempty"` // of a ChangeDrifted object: {"column": {"from": …, "to": …}}, masked
}

// ChangeKind is what has happened to an object.
type ChangeKind string

// The kinds of a Change.
const (
	ChangeAppeared ChangeKind = "appeared" // it was new in the listing
	ChangeDrifted  ChangeKind = "drifted"  // somebody else had changed it
	ChangeVanished ChangeKind = "vanished" // the listing did not have it; its row is marked missing
	ChangeReturned ChangeKind = "returned" // it was missing, and is there again
	ChangeDeleted  ChangeKind = "deleted"  // it was believed to be gone, and its row deleted
)

// Changes lists up to limit (1 to 500) changes of a target, newest first, from since
// (inclusive) until the given time (exclusive); the zero time is no bound.
func (r *Reader) Changes(ctx context.Context, target Target, since, until time.Time, limit int) ([]Change, error) {
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
		return nil, fmt.Errorf("read what syncs changed: %w", err)
	}
	return list, nil
}
