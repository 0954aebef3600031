package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// HoldStatus says whether a hold still waits for a decision, and how it was closed.
type HoldStatus string

// The statuses of a hold.
const (
	HoldOpen      HoldStatus = "open"      // waits for an operator; until then no row of the hold is deleted
	HoldReleased  HoldStatus = "released"  // the release job may delete the rows that are still missing
	HoldRejected  HoldStatus = "rejected"  // the rows are kept until the objects are in a listing again
	HoldWithdrawn HoldStatus = "withdrawn" // the objects are in the listing again, or a newer hold replaced this one
)

// Hold describes a sync that would have deleted more rows than its limit allows. The rows are
// kept until an operator decides.
type Hold struct {
	ID         int64      `json:"id"`
	Service    string     `json:"service"`
	Type       string     `json:"type"`
	Instance   string     `json:"instance"`
	Status     HoldStatus `json:"status"`
	JobID      int64      `json:"job_id"`                // the sync that was held
	ReleaseJob int64      `json:"release_job,omitempty"` // the sync that may delete the rows after a release
	Table      string     `json:"table"`
	Rows       int64      `json:"rows"`    // rows of the scope whose objects the remote once had
	Missing    int64      `json:"missing"` // those of Rows that are missing from the listing
	Limit      int64      `json:"limit"`   // the largest number of missing rows that does not cause a hold
	CreatedAt  time.Time  `json:"created_at"`
	DecidedAt  time.Time  `json:"decided_at,omitzero"`
	DecidedBy  string     `json:"decided_by,omitempty"`
	Arguments  []byte     `json:"-"` // the stored arguments of the sync
}

// HeldRow is one row that a hold keeps.
type HeldRow struct {
	Row      int64  `json:"row"`
	TargetID string `json:"target_id"`
}

const holdColumns = "id, service, type, instance, status, job_id, release_job, snap_table, rows_known, rows_absent, rows_limit, created_at, decided_at, decided_by, arguments"

func (r *Reader) holds(ctx context.Context, where string, args ...any) ([]Hold, error) {
	var list []Hold
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var h Hold
		var release, decided sql.NullInt64
		var by sql.NullString
		var created int64
		err := rows.Scan(&h.ID, &h.Service, &h.Type, &h.Instance, &h.Status, &h.JobID, &release, &h.Table, &h.Rows, &h.Missing, &h.Limit, &created, &decided, &by,
			&h.Arguments)
		h.ReleaseJob, h.CreatedAt, h.DecidedAt, h.DecidedBy = release.Int64, sqlkit.FromMicros(created), sqlkit.FromMicros(decided.Int64), by.String
		if r.limit.shows(h.Service, h.Instance) {
			list = append(list, h)
		}
		return err
	}, "SELECT "+holdColumns+" FROM nawasync_held "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list held syncs: %w", err)
	}
	return list, nil
}

// Holds lists up to limit holds of a service and type, newest first. An empty service or type
// matches all. If open is set, only open holds are listed.
func (r *Reader) Holds(ctx context.Context, service, typ string, open bool, limit int) ([]Hold, error) {
	visible, args := r.limitCondition("nawasync_held")
	where := "WHERE " + visible
	if service != "" {
		where, args = where+" AND service = ?", append(args, service)
	}
	if typ != "" {
		where, args = where+" AND type = ?", append(args, typ)
	}
	if open {
		where += " AND status = 'open'"
	}
	return r.holds(ctx, where+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
}

// Hold returns the hold with the given id, or ErrNotFound.
func (r *Reader) Hold(ctx context.Context, id int64) (Hold, error) {
	list, err := r.holds(ctx, "WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("held sync %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Hold{}, err
	}
	return list[0], nil
}

// HeldRows lists up to limit rows of a hold in ascending order of their row ids, starting
// after the row id after. A limited Reader returns ErrNotFound for a hold that it does not show.
func (r *Reader) HeldRows(ctx context.Context, hold, after int64, limit int) ([]HeldRow, error) {
	var list []HeldRow
	if r.limit != nil {
		if _, err := r.Hold(ctx, hold); err != nil {
			return nil, err
		}
	}
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var row HeldRow
		err := rows.Scan(&row.Row, &row.TargetID)
		list = append(list, row)
		return err
	}, "SELECT snap_row, target_id FROM nawasync_held_rows WHERE held_id = ? AND snap_row > ? ORDER BY snap_row LIMIT ?", hold, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list rows of held sync %d: %w", hold, err)
	}
	return list, nil
}

// OpenHold returns the open hold of a scope, or nil.
func (r *Reader) OpenHold(ctx context.Context, service, typ, instance string) (*Hold, error) {
	list, err := r.holds(ctx, "WHERE open_key = ?", jobrow.HoldKey(service, typ, instance))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}
