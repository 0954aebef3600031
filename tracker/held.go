package tracker

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// HoldStatus is where a held sync stands.
type HoldStatus string

// The statuses of a hold.
const (
	HoldOpen      HoldStatus = "open"      // waits for a person; nothing is deleted meanwhile
	HoldReleased  HoldStatus = "released"  // a new listing may delete what is still absent
	HoldRejected  HoldStatus = "rejected"  // the rows are kept until they come back
	HoldWithdrawn HoldStatus = "withdrawn" // the rows came back, or a newer hold took its place
)

// Hold is a sync that would have deleted too much.
type Hold struct {
	ID         int64      `json:"id"`
	Service    string     `json:"service"`
	Type       string     `json:"type"`
	Instance   string     `json:"instance"`
	Status     HoldStatus `json:"status"`
	JobID      int64      `json:"job_id"`                // the sync that was held
	ReleaseJob int64      `json:"release_job,omitempty"` // the sync that may delete
	Table      string     `json:"table"`
	Known      int64      `json:"known"`  // rows that were known
	Absent     int64      `json:"absent"` // of them not in the listing
	Limit      int64      `json:"limit"`  // how many would have been believed
	CreatedAt  time.Time  `json:"created_at"`
	DecidedAt  time.Time  `json:"decided_at,omitzero"`
	DecidedBy  string     `json:"decided_by,omitempty"`
	Arguments  []byte     `json:"-"` // of the sync
}

// HeldRow is one row that a hold keeps.
type HeldRow struct {
	Row      int64  `json:"row"`
	TargetID string `json:"target_id"`
}

const holdColumns = "id, service, type, instance, status, job_id, release_job, snap_table, rows_known, rows_absent, rows_limit, created_at, decided_at, decided_by, arguments"

func (s *Store) holds(tx *gorm.DB, where string, args ...any) ([]Hold, error) {
	var list []Hold
	err := each(tx, func(rows *sql.Rows) error {
		var h Hold
		var release, decided sql.NullInt64
		var by sql.NullString
		var created int64
		err := rows.Scan(&h.ID, &h.Service, &h.Type, &h.Instance, &h.Status, &h.JobID, &release, &h.Table, &h.Known, &h.Absent, &h.Limit, &created, &decided, &by, &h.Arguments)
		h.ReleaseJob, h.CreatedAt, h.DecidedAt, h.DecidedBy = release.Int64, fromMicros(created), fromMicros(decided.Int64), by.String
		list = append(list, h)
		return err
	}, "SELECT "+holdColumns+" FROM nawasync_held "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read held syncs: %w", err)
	}
	return list, nil
}

// Holds lists the newest holds of a service and type, "" being all; only open ones
// when open is set.
func (s *Store) Holds(ctx context.Context, service, typ string, open bool, limit int) ([]Hold, error) {
	where, args := "WHERE 1 = 1", []any{}
	if service != "" {
		where, args = where+" AND service = ?", append(args, service)
	}
	if typ != "" {
		where, args = where+" AND type = ?", append(args, typ)
	}
	if open {
		where += " AND status = 'open'"
	}
	return s.holds(s.DB(ctx), where+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
}

// Hold returns one, or ErrNotFound.
func (s *Store) Hold(ctx context.Context, id int64) (Hold, error) {
	list, err := s.holds(s.DB(ctx), "WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("held sync %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Hold{}, err
	}
	return list[0], nil
}

// HeldRows lists rows of a hold, after the given one, in order of their ids.
func (s *Store) HeldRows(ctx context.Context, hold, after int64, limit int) ([]HeldRow, error) {
	var list []HeldRow
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var r HeldRow
		err := rows.Scan(&r.Row, &r.TargetID)
		list = append(list, r)
		return err
	}, "SELECT snap_row, target_id FROM nawasync_held_rows WHERE held_id = ? AND snap_row > ? ORDER BY snap_row LIMIT ?", hold, after, limit)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read the rows of held sync %d: %w", hold, err)
	}
	return list, nil
}

// OpenHold returns the open hold of a scope, or nil.
func (s *Store) OpenHold(ctx context.Context, service, typ, instance string) (*Hold, error) {
	list, err := s.holds(s.DB(ctx), "WHERE open_key = ?", holdKey(service, typ, instance))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// holdKey is unique among open holds: of a scope there is one.
func holdKey(service, typ, instance string) string {
	sum := sha256.Sum256([]byte(service + "\x00" + typ + "\x00" + instance))
	return hex.EncodeToString(sum[:16])
}

// AddHold adds an open hold in tx; its rows are added with AddHeldRows.
func (s *Store) AddHold(ctx context.Context, tx *gorm.DB, h *Hold) error {
	tx = session(ctx, tx)
	h.Status, h.CreatedAt = HoldOpen, s.Now()
	key := holdKey(h.Service, h.Type, h.Instance)
	err := tx.Exec("INSERT INTO nawasync_held (service, type, instance, open_key, status, job_id, snap_table, rows_known, rows_absent, rows_limit, created_at, arguments) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		h.Service, h.Type, h.Instance, key, h.Status, h.JobID, h.Table, h.Known, h.Absent, h.Limit, h.CreatedAt.UnixMicro(), string(h.Arguments)).Error
	if err != nil {
		return fmt.Errorf("nawasync: hold the sync: %w", err)
	}
	return tx.Raw("SELECT id FROM nawasync_held WHERE open_key = ?", key).Row().Scan(&h.ID)
}

// AddHeldRows adds rows to a hold.
func (s *Store) AddHeldRows(ctx context.Context, tx *gorm.DB, hold int64, list []HeldRow) error {
	tx = session(ctx, tx)
	for len(list) > 0 {
		n := min(len(list), 500)
		query, args := "INSERT INTO nawasync_held_rows (held_id, snap_row, target_id) VALUES (?, ?, ?)", []any{hold, list[0].Row, list[0].TargetID}
		for _, r := range list[1:n] {
			query, args = query+", (?, ?, ?)", append(args, hold, r.Row, r.TargetID)
		}
		if err := tx.Exec(query, args...).Error; err != nil {
			return fmt.Errorf("nawasync: hold the sync: %w", err)
		}
		list = list[n:]
	}
	return nil
}

// ErrDecided says that a hold is open no more.
var ErrDecided = errors.New("nawasync: the held sync has been decided, or withdrawn")

// CloseHold ends an open hold, or returns ErrDecided.
func (s *Store) CloseHold(ctx context.Context, tx *gorm.DB, id int64, to HoldStatus, by string) error {
	done := session(ctx, tx).Exec("UPDATE nawasync_held SET status = ?, open_key = NULL, decided_at = ?, decided_by = ? WHERE id = ? AND status = 'open'", to, s.Now().UnixMicro(), by, id)
	if done.Error != nil {
		return fmt.Errorf("nawasync: decide held sync %d: %w", id, done.Error)
	}
	if done.RowsAffected == 0 {
		return fmt.Errorf("held sync %d: %w", id, ErrDecided)
	}
	return nil
}

// SetReleaseJob notes the sync that may delete what a hold kept.
func (s *Store) SetReleaseJob(ctx context.Context, tx *gorm.DB, id, job int64) error {
	return session(ctx, tx).Exec("UPDATE nawasync_held SET release_job = ? WHERE id = ?", job, id).Error
}

// EachHeldRow calls fn for the rows that holds of a scope with a status keep, or
// one hold alone when id is not 0.
func (s *Store) EachHeldRow(ctx context.Context, service, typ, instance string, status HoldStatus, id int64, fn func(row int64)) error {
	where, args := "h.service = ? AND h.type = ? AND h.instance = ? AND h.status = ?", []any{service, typ, instance, status}
	if id != 0 {
		where, args = where+" AND h.id = ?", append(args, id)
	}
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var row int64
		if err := rows.Scan(&row); err != nil {
			return err
		}
		fn(row)
		return nil
	}, "SELECT r.snap_row FROM nawasync_held h JOIN nawasync_held_rows r ON r.held_id = h.id WHERE "+where, args...)
	if err != nil {
		return fmt.Errorf("nawasync: read the rows of held syncs: %w", err)
	}
	return nil
}

// DropHeldRows forgets rows that came back, of the rejected holds of a scope.
func (s *Store) DropHeldRows(ctx context.Context, tx *gorm.DB, service, typ, instance string, list []int64) error {
	rejected, err := s.holds(session(ctx, tx), "WHERE service = ? AND type = ? AND instance = ? AND status = 'rejected'", service, typ, instance)
	if err != nil || len(rejected) == 0 || len(list) == 0 {
		return err
	}
	ids := make([]int64, len(rejected))
	for i, h := range rejected {
		ids[i] = h.ID
	}
	return session(ctx, tx).Exec("DELETE FROM nawasync_held_rows WHERE held_id IN ? AND snap_row IN ?", ids, list).Error
}

// Endings tells of jobs when they ended: the zero time for one that is open; one
// that has been pruned is not in it.
func (s *Store) Endings(ctx context.Context, tx *gorm.DB, ids []int64) (map[int64]time.Time, error) {
	found := map[int64]time.Time{}
	if len(ids) == 0 {
		return found, nil
	}
	err := each(session(ctx, tx), func(rows *sql.Rows) error {
		var id int64
		var finished sql.NullInt64
		err := rows.Scan(&id, &finished)
		found[id] = fromMicros(finished.Int64)
		return err
	}, "SELECT id, finished_at FROM nawasync_jobs WHERE id IN ?", ids)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read jobs: %w", err)
	}
	return found, nil
}

// AnyEndedSince reports whether any job of a service and type that changes a snapshot
// row ended at or after a time.
func (s *Store) AnyEndedSince(ctx context.Context, tx *gorm.DB, service, typ string, since time.Time) (found bool, err error) {
	err = each(session(ctx, tx), func(*sql.Rows) error {
		found = true
		return nil
	}, "SELECT id FROM nawasync_jobs WHERE status IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND service = ? AND type = ? AND snap_state IS NOT NULL LIMIT 1",
		[]Status{Success, Failed, Conflict, Skipped, Cancelled}, since.UnixMicro(), service, typ)
	if err != nil {
		return false, fmt.Errorf("nawasync: read jobs: %w", err)
	}
	return found, nil
}

// EndedSince returns those of the targets of which a job that changes a snapshot row
// ended at or after a time.
func (s *Store) EndedSince(ctx context.Context, tx *gorm.DB, targets []int64, since time.Time) (map[int64]bool, error) {
	found := map[int64]bool{}
	if len(targets) == 0 {
		return found, nil
	}
	err := each(session(ctx, tx), func(rows *sql.Rows) error {
		var key int64
		err := rows.Scan(&key)
		found[key] = true
		return err
	}, "SELECT DISTINCT target_key FROM nawasync_jobs WHERE target_key IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND snap_state IS NOT NULL", targets, since.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("nawasync: read jobs: %w", err)
	}
	return found, nil
}

// Fence locks the row of a running job in tx, and reports whether its attempt is
// still the one: what the transaction then writes is written by nobody late.
func (s *Store) Fence(ctx context.Context, tx *gorm.DB, job int64, epoch int) (held bool, err error) {
	lock := map[string]string{"postgres": " FOR SHARE", "mysql": " LOCK IN SHARE MODE"}[s.dialect.name] // several batches may be written at once
	err = each(session(ctx, tx), func(*sql.Rows) error {
		held = true
		return nil
	}, "SELECT id FROM nawasync_jobs WHERE id = ? AND epoch = ? AND status = 'running'"+lock, job, epoch)
	return held, err
}
