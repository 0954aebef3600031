package jobstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// SeeSchedule stores a schedule that a process has registered and sets its seen_at to now. It
// keeps the last tick of a known schedule. A new schedule starts with first as its last tick.
func (s *Store) SeeSchedule(ctx context.Context, row tracker.Schedule, first time.Time) error {
	now := s.Now().UnixMicro()
	err := s.transaction(ctx, func(conn *sqlkit.Conn) error {
		if err := conn.Exec(s.insertIgnore()+" nawasync_schedules (name, service, type, action, instance, target_id, spec, timezone, last_tick, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+s.onConflict(),
			row.Name, row.Service, row.Type, row.Action, row.Instance, row.TargetID, row.Spec, row.Timezone, first.UnixMicro(), now).Error; err != nil {
			return err
		}
		return conn.Exec("UPDATE nawasync_schedules SET service = ?, type = ?, action = ?, instance = ?, target_id = ?, spec = ?, timezone = ?, seen_at = ? WHERE name = ?",
			row.Service, row.Type, row.Action, row.Instance, row.TargetID, row.Spec, row.Timezone, now, row.Name).Error
	})
	if err != nil {
		return fmt.Errorf("store schedule %s: %w", row.Name, err)
	}
	return nil
}

// ClaimTick claims a tick for conn, the transaction that dispatches the tick's job, and reports
// whether it won. The argument before is the last tick that the caller has read. If the row now
// has a later one, another process has already claimed the tick.
func (s *Store) ClaimTick(ctx context.Context, tx *gorm.DB, name string, before, tick time.Time) (bool, error) {
	done := sqlkit.Connect(ctx, tx).Exec("UPDATE nawasync_schedules SET last_tick = ? WHERE name = ? AND last_tick = ? AND last_tick < ?",
		tick.UnixMicro(), name, before.UnixMicro(), tick.UnixMicro())
	return done.RowsAffected > 0, done.Error
}

// ResetTick moves the last tick of a schedule back to now, if it is still before.
func (s *Store) ResetTick(ctx context.Context, name string, before, now time.Time) error {
	return s.db.WithContext(ctx).Exec("UPDATE nawasync_schedules SET last_tick = ? WHERE name = ? AND last_tick = ?",
		now.UnixMicro(), name, before.UnixMicro()).Error
}

// SetTickJob records the job that the last tick dispatched.
func (s *Store) SetTickJob(ctx context.Context, tx *gorm.DB, name string, job int64) error {
	return sqlkit.Connect(ctx, tx).Exec("UPDATE nawasync_schedules SET last_job = ? WHERE name = ?", job, name).Error
}
