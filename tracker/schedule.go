package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Schedule is the row of one schedule.
type Schedule struct {
	Name     string    `json:"name"`
	Service  string    `json:"service"`
	Type     string    `json:"type"`
	Action   string    `json:"action"`
	Instance string    `json:"instance"`
	TargetID string    `json:"target_id"`
	Spec     string    `json:"spec"`
	Timezone string    `json:"timezone"`
	LastTick time.Time `json:"last_tick"` // the time a tick was for, not when it ran
	LastJob  int64     `json:"last_job,omitempty"`
	SeenAt   time.Time `json:"seen_at"` // when a process last said that it registers it
}

// Orphaned reports whether no process has registered the schedule for a while.
func (s Schedule) Orphaned(now time.Time) bool { return now.Sub(s.SeenAt) > OrphanedAfter }

// OrphanedAfter is after how long without a process that registers it a schedule
// counts as orphaned.
const OrphanedAfter = 5 * time.Minute

// SeeSchedule writes what a process registers, and keeps the last tick there is;
// a schedule that is new begins at first.
func (s *Store) SeeSchedule(ctx context.Context, row Schedule, first time.Time) error {
	now := s.Now().UnixMicro()
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = session(ctx, tx)
		if err := tx.Exec(s.insertIgnore()+" nawasync_schedules (name, service, type, action, instance, target_id, spec, timezone, last_tick, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+s.onConflict(),
			row.Name, row.Service, row.Type, row.Action, row.Instance, row.TargetID, row.Spec, row.Timezone, first.UnixMicro(), now).Error; err != nil {
			return err
		}
		return tx.Exec("UPDATE nawasync_schedules SET service = ?, type = ?, action = ?, instance = ?, target_id = ?, spec = ?, timezone = ?, seen_at = ? WHERE name = ?",
			row.Service, row.Type, row.Action, row.Instance, row.TargetID, row.Spec, row.Timezone, now, row.Name).Error
	})
	if err != nil {
		return fmt.Errorf("nawasync: write schedule %s: %w", row.Name, err)
	}
	return nil
}

// Schedules lists every schedule, orphaned ones too, by name.
func (s *Store) Schedules(ctx context.Context) ([]Schedule, error) {
	var list []Schedule
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var row Schedule
		var tick, seen int64
		var job sql.NullInt64
		err := rows.Scan(&row.Name, &row.Service, &row.Type, &row.Action, &row.Instance, &row.TargetID, &row.Spec, &row.Timezone, &tick, &job, &seen)
		row.LastTick, row.LastJob, row.SeenAt = fromMicros(tick), job.Int64, fromMicros(seen)
		list = append(list, row)
		return err
	}, "SELECT name, service, type, action, instance, target_id, spec, timezone, last_tick, last_job, seen_at FROM nawasync_schedules ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("nawasync: read the schedules: %w", err)
	}
	return list, nil
}

// WinTick takes a tick for the transaction tx, which dispatches its job; false
// says that the last tick is no longer the one that the caller has read: another
// process has had this one.
func (s *Store) WinTick(ctx context.Context, tx *gorm.DB, name string, before, tick time.Time) (bool, error) {
	done := session(ctx, tx).Exec("UPDATE nawasync_schedules SET last_tick = ? WHERE name = ? AND last_tick = ? AND last_tick < ?",
		tick.UnixMicro(), name, before.UnixMicro(), tick.UnixMicro())
	return done.RowsAffected > 0, done.Error
}

// TickJob notes the job of the last tick.
func (s *Store) TickJob(ctx context.Context, tx *gorm.DB, name string, job int64) error {
	return session(ctx, tx).Exec("UPDATE nawasync_schedules SET last_job = ? WHERE name = ?", job, name).Error
}
