package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// AddHold adds an open hold in tx and fills in its ID, Status and CreatedAt. Add the hold's
// rows with AddHeldRows.
func (s *Store) AddHold(ctx context.Context, tx *gorm.DB, h *tracker.Hold) error {
	conn := sqlkit.Connect(ctx, tx)
	h.Status, h.CreatedAt = tracker.HoldOpen, s.Now()
	key := jobrow.HoldKey(h.Service, h.Type, h.Instance)
	err := conn.Exec("INSERT INTO nawasync_held (service, type, instance, open_key, status, job_id, snap_table, rows_known, rows_absent, rows_limit, created_at, arguments) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		h.Service, h.Type, h.Instance, key, h.Status, h.JobID, h.Table, h.Rows, h.Missing, h.Limit, h.CreatedAt.UnixMicro(), string(h.Arguments)).Error
	if err != nil {
		return fmt.Errorf("hold the sync of %s/%s %q: %w", h.Service, h.Type, h.Instance, err)
	}
	return conn.Row("SELECT id FROM nawasync_held WHERE open_key = ?", key).Scan(&h.ID)
}

// AddHeldRows adds rows to a hold.
func (s *Store) AddHeldRows(ctx context.Context, tx *gorm.DB, hold int64, list []tracker.HeldRow) error {
	conn := sqlkit.Connect(ctx, tx)
	for len(list) > 0 {
		n := min(len(list), 500)
		query, args := "INSERT INTO nawasync_held_rows (held_id, snap_row, target_id) VALUES (?, ?, ?)", []any{hold, list[0].Row, list[0].TargetID}
		for _, r := range list[1:n] {
			query, args = query+", (?, ?, ?)", append(args, hold, r.Row, r.TargetID)
		}
		if err := conn.Exec(query, args...).Error; err != nil {
			return fmt.Errorf("add rows to held sync %d: %w", hold, err)
		}
		list = list[n:]
	}
	return nil
}

// ErrDecided means that a hold is no longer open.
var ErrDecided = errors.New("the held sync was already decided or withdrawn")

// CloseHold sets the status of an open hold and records by as the operator who decided. It
// returns ErrDecided if the hold is no longer open.
func (s *Store) CloseHold(ctx context.Context, tx *gorm.DB, id int64, to tracker.HoldStatus, by string) error {
	done := sqlkit.Connect(ctx, tx).Exec("UPDATE nawasync_held SET status = ?, open_key = NULL, decided_at = ?, decided_by = ? WHERE id = ? AND status = 'open'",
		to, s.Now().UnixMicro(), by, id)
	if done.Error != nil {
		return fmt.Errorf("decide held sync %d: %w", id, done.Error)
	}
	if done.RowsAffected == 0 {
		return fmt.Errorf("held sync %d: %w", id, ErrDecided)
	}
	return nil
}

// SetReleaseJob records the sync job that may delete the rows of a released hold.
func (s *Store) SetReleaseJob(ctx context.Context, tx *gorm.DB, id, job int64) error {
	return sqlkit.Connect(ctx, tx).Exec("UPDATE nawasync_held SET release_job = ? WHERE id = ?", job, id).Error
}

// HoldScope is what one sync covers: a type of a service in one instance.
type HoldScope struct{ Service, Type, Instance string }

// HeldRows selects rows of holds.
type HeldRows struct {
	Scope  HoldScope
	Status tracker.HoldStatus
	Hold   int64 // id of one hold; 0 means every hold of Scope with Status
}

// EachHeldRow calls fn with the id of every snapshot row that the selected holds keep.
func (s *Store) EachHeldRow(ctx context.Context, held HeldRows, fn func(row int64)) error {
	scope := held.Scope
	where, args := "h.service = ? AND h.type = ? AND h.instance = ? AND h.status = ?", []any{scope.Service, scope.Type, scope.Instance, held.Status}
	if held.Hold != 0 {
		where, args = where+" AND h.id = ?", append(args, held.Hold)
	}
	err := sqlkit.Each(s.DB(ctx), func(rows *sql.Rows) error {
		var row int64
		if err := rows.Scan(&row); err != nil {
			return err
		}
		fn(row)
		return nil
	}, "SELECT r.snap_row FROM nawasync_held h JOIN nawasync_held_rows r ON r.held_id = h.id WHERE "+where, args...)
	if err != nil {
		return fmt.Errorf("read the rows of held syncs: %w", err)
	}
	return nil
}

// DropHeldRows removes snapshot rows from the rejected holds of a scope, because a listing
// contains them again. It does nothing without rows.
func (s *Store) DropHeldRows(ctx context.Context, tx *gorm.DB, scope HoldScope, rows []int64) error {
	if len(rows) == 0 {
		return nil
	}
	err := sqlkit.Connect(ctx, tx).Exec("DELETE FROM nawasync_held_rows WHERE snap_row IN ? AND held_id IN (SELECT id FROM nawasync_held WHERE service = ? AND type = ? AND instance = ? AND status = 'rejected')",
		rows, scope.Service, scope.Type, scope.Instance).Error
	if err != nil {
		return fmt.Errorf("remove returned rows from rejected holds: %w", err)
	}
	return nil
}
