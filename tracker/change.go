package tracker

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Change is what a sync found at the remote of one object, and did to its row: the part
// of an object's history that no job of its own has.
type Change struct {
	ID        int64           `json:"id"`
	At        time.Time       `json:"at"`
	TargetKey int64           `json:"-"`
	JobID     int64           `json:"job_id"` // the sync
	What      ChangeKind      `json:"what"`
	Fields    json.RawMessage `json:"fields,omitempty"` // of a Drifted object: {"column": {"from": …, "to": …}}, masked
}

// ChangeKind is what has happened to an object.
type ChangeKind string

// The kinds of a Change.
const (
	Appeared ChangeKind = "appeared" // it was new in the listing
	Drifted  ChangeKind = "drifted"  // somebody else had changed it
	Vanished ChangeKind = "vanished" // the listing did not have it; its row is marked missing
	Returned ChangeKind = "returned" // it was missing, and is there again
	Deleted  ChangeKind = "deleted"  // it was believed to be gone, and its row deleted
)

// AddChanges notes changes in the transaction that writes the rows.
func (s *Store) AddChanges(ctx context.Context, tx *gorm.DB, list []Change) error {
	tx, at := session(ctx, tx), s.Now().UnixMicro()
	for len(list) > 0 {
		n := min(len(list), 500)
		var args []any
		for _, c := range list[:n] {
			fields := any(nil)
			if len(c.Fields) > 0 {
				fields = string(c.Fields)
			}
			args = append(args, at, c.TargetKey, c.JobID, string(c.What), fields)
		}
		err := tx.Exec("INSERT INTO nawasync_changes (at, target_key, job_id, what, fields) VALUES "+strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?), ", n), ", "), args...).Error
		if err != nil {
			return fmt.Errorf("nawasync: note what a sync changed: %w", err)
		}
		list = list[n:]
	}
	return nil
}

// Changes lists up to limit (1 to 500) changes of a target, newest first, from since
// (inclusive) until the given time (exclusive); the zero time is no bound.
func (s *Store) Changes(ctx context.Context, targetKey int64, since, until time.Time, limit int) ([]Change, error) {
	where, args := "target_key = ?", []any{targetKey}
	if !since.IsZero() {
		where, args = where+" AND at >= ?", append(args, since.UnixMicro())
	}
	if !until.IsZero() {
		where, args = where+" AND at < ?", append(args, until.UnixMicro())
	}
	var list []Change
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		c := Change{TargetKey: targetKey}
		var at int64
		var fields sql.NullString
		err := rows.Scan(&c.ID, &at, &c.JobID, &c.What, &fields)
		c.At = fromMicros(at)
		if fields.Valid {
			c.Fields = json.RawMessage(fields.String)
		}
		list = append(list, c)
		return err
	}, "SELECT id, at, job_id, what, fields FROM nawasync_changes WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, min(max(limit, 1), 500))...)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read what syncs changed: %w", err)
	}
	return list, nil
}

// PruneChanges deletes up to limit changes from before the given time, and returns how
// many. Their ids are in the order of time, so that it looks at the oldest only.
func (s *Store) PruneChanges(ctx context.Context, before time.Time, limit int) (int, error) {
	var ids []int64
	err := s.DB(ctx).Raw("SELECT id FROM (SELECT id, at FROM nawasync_changes ORDER BY id LIMIT ?) oldest WHERE at < ?", limit, before.UnixMicro()).Scan(&ids).Error
	if err == nil && len(ids) > 0 {
		err = s.one(ctx, func(tx *gorm.DB) error { return tx.Exec("DELETE FROM nawasync_changes WHERE id IN ?", ids).Error })
	}
	if err != nil {
		return 0, fmt.Errorf("nawasync: prune what syncs changed: %w", err)
	}
	return len(ids), nil
}
