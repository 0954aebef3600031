package jobstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// SeeSchedule writes what a process registers, and keeps the last tick there is;
// a schedule that is new begins at first.
func (s *Store) SeeSchedule(ctx context.Context, row tracker.Schedule, first time.Time) error {
	now := s.Now().UnixMicro()
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		if err := tx.Exec(s.insertIgnore()+" nawasync_schedules (name, service, type, action, instance, target_id, spec, timezone, last_tick, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+s.onConflict(),
			row.Name, row.Service, row.Type, row.Action, row.Instance, row.TargetID, row.Spec, row.Timezone, first.UnixMicro(), now).Error; err != nil {
			return err
		}
		return tx.Exec("UPDATE nawasync_schedules SET service = ?, type = ?, action = ?, instance = ?, target_id = ?, spec = ?, timezone = ?, seen_at = ? WHERE name = ?",
			row.Service, row.Type, row.Action, row.Instance, row.TargetID, row.Spec, row.Timezone, now, row.Name).Error
	})
	if err != nil {
		return fmt.Errorf("write schedule %s: %w", row.Name, err)
	}
	return nil
}

// WinTick takes a tick for the transaction tx, which dispatches its job; false
// says that the last tick is no longer the one that the caller has read: another
// process has had this one.
func (s *Store) WinTick(ctx context.Context, tx *gorm.DB, name string, before, tick time.Time) (bool, error) {
	done := sqlkit.Session(ctx, tx).Exec("UPDATE nawasync_schedules SET last_tick = ? WHERE name = ? AND last_tick = ? AND last_tick < ?",
		tick.UnixMicro(), name, before.UnixMicro(), tick.UnixMicro())
	return done.RowsAffected > 0, done.Error
}

// TickJob notes the job of the last tick.
func (s *Store) TickJob(ctx context.Context, tx *gorm.DB, name string, job int64) error {
	return sqlkit.Session(ctx, tx).Exec("UPDATE nawasync_schedules SET last_job = ? WHERE name = ?", job, name).Error
}
