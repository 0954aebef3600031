package jobstore

import (
	"cmp"
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
// has a later one, another process has already claimed the tick. A tick during a pause is not claimed.
func (s *Store) ClaimTick(ctx context.Context, tx *gorm.DB, name string, before, tick time.Time) (bool, error) {
	if err := s.LimitIdle(ctx, tx); err != nil {
		return false, err
	}
	done := sqlkit.Connect(ctx, tx).Exec("UPDATE nawasync_schedules SET last_tick = ? WHERE name = ? AND last_tick = ? AND last_tick < ? AND paused_until < ?",
		tick.UnixMicro(), name, before.UnixMicro(), tick.UnixMicro(), tick.UnixMicro())
	return done.RowsAffected > 0, done.Error
}

// SkipTick moves the last tick of a schedule past a tick during a pause, which dispatches no job.
func (s *Store) SkipTick(ctx context.Context, name string, before, tick time.Time) error {
	return s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("UPDATE nawasync_schedules SET last_tick = ? WHERE name = ? AND last_tick = ? AND last_tick < ? AND paused_until >= ?",
			tick.UnixMicro(), name, before.UnixMicro(), tick.UnixMicro(), tick.UnixMicro()).Error
	})
}

// ResetTick moves the last tick of a schedule back to now, if it is still before.
func (s *Store) ResetTick(ctx context.Context, name string, before, now time.Time) error {
	return s.db.WithContext(ctx).Exec("UPDATE nawasync_schedules SET last_tick = ? WHERE name = ? AND last_tick = ?",
		now.UnixMicro(), name, before.UnixMicro()).Error
}

// SetTickJob records the job that a tick, or a run that an operator asked for, has dispatched.
func (s *Store) SetTickJob(ctx context.Context, tx *gorm.DB, name string, job int64) error {
	return sqlkit.Connect(ctx, tx).Exec("UPDATE nawasync_schedules SET last_job = ?, last_run = ? WHERE name = ?", job, s.Now().UnixMicro(), name).Error
}

// Schedule returns a schedule, or ErrNotFound.
func (s *Store) Schedule(ctx context.Context, name string) (tracker.Schedule, error) {
	list, err := s.Schedules(ctx)
	for _, row := range list {
		if row.Name == name {
			return row, nil
		}
	}
	return tracker.Schedule{}, cmp.Or(err, fmt.Errorf("schedule %s: %w", name, tracker.ErrNotFound))
}

// PauseSchedule pauses a schedule or replaces its pause.
func (s *Store) PauseSchedule(ctx context.Context, name string, until time.Time, by, reason string) error {
	return s.changeSchedule(ctx, name, "paused_until = ?, paused_at = ?, paused_by = ?, paused_reason = ?",
		until.UnixMicro(), s.Now().UnixMicro(), sqlkit.CleanText(by, 255), sqlkit.CleanText(reason, maxScheduleReason))
}

// maxScheduleReason is how many bytes of the reason of a schedule's pause are kept with the schedule. The audit log
// has all of it.
const maxScheduleReason = 1000

// ResumeSchedule ends the pause of a schedule now, so that the ticks until now dispatch no job. It reports whether
// the schedule was paused.
func (s *Store) ResumeSchedule(ctx context.Context, name string) (found bool, err error) {
	now := s.Now().UnixMicro()
	err = s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("UPDATE nawasync_schedules SET paused_until = ? WHERE name = ? AND paused_until > ?", now, name, now)
		found = done.RowsAffected > 0
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("resume schedule %s: %w", name, err)
	}
	return found, nil
}

// AskScheduleRun asks the processes that register a schedule for a run of it now. It reports whether there was no
// such request yet: two requests before the next look of a process are one run. A request that has expired is replaced.
func (s *Store) AskScheduleRun(ctx context.Context, row tracker.Schedule, by string) (asked bool, err error) {
	name := row.Name
	if err := s.ExpireScheduleRun(ctx, row); err != nil {
		return false, err
	}
	err = s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("UPDATE nawasync_schedules SET run_asked_at = ?, run_asked_by = ? WHERE name = ? AND run_asked_at = 0",
			s.Now().UnixMicro(), sqlkit.CleanText(by, 255), name)
		asked = done.RowsAffected > 0
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("ask for a run of schedule %s: %w", name, err)
	}
	return asked, nil
}

// ExpireScheduleRun clears the request for a run of a schedule if it has expired, and records that in the audit log.
func (s *Store) ExpireScheduleRun(ctx context.Context, row tracker.Schedule) error {
	if !row.RunExpired(s.Now()) {
		return nil
	}
	err := s.transaction(ctx, func(conn *sqlkit.Conn) error {
		by, won, err := claimScheduleRun(conn, row.Name, row.RunAskedAt)
		if err != nil || !won {
			return err
		}
		return s.appendAudit(ctx, conn, tracker.AuditEntry{
			Subject: by, Action: "run_schedule", Outcome: tracker.AuditFailed, Service: row.Service, Type: row.Type, Instance: row.Instance,
			Detail: fmt.Sprintf("schedule %s: no process took the request within %s", row.Name, tracker.RunRequestLimit),
		})
	})
	if err != nil {
		return fmt.Errorf("clear the expired request for a run of schedule %s: %w", row.Name, err)
	}
	return nil
}

// ClaimScheduleRun claims the request for a run for tx, the transaction that dispatches its job. It returns who has
// asked, and reports whether it won.
func (s *Store) ClaimScheduleRun(ctx context.Context, tx *gorm.DB, name string, asked time.Time) (by string, won bool, err error) {
	if err := s.LimitIdle(ctx, tx); err != nil {
		return "", false, err
	}
	return claimScheduleRun(sqlkit.Connect(ctx, tx), name, asked)
}

func claimScheduleRun(conn *sqlkit.Conn, name string, asked time.Time) (by string, won bool, err error) {
	done := conn.Exec("UPDATE nawasync_schedules SET run_asked_at = 0 WHERE name = ? AND run_asked_at = ?", name, asked.UnixMicro())
	if done.Error != nil || done.RowsAffected == 0 {
		return "", false, done.Error
	}
	err = conn.Row("SELECT run_asked_by FROM nawasync_schedules WHERE name = ?", name).Scan(&by)
	return by, err == nil, err
}

// changeSchedule updates the row of a schedule, if there is one.
func (s *Store) changeSchedule(ctx context.Context, name, set string, args ...any) error {
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("UPDATE nawasync_schedules SET "+set+" WHERE name = ?", append(args, name)...).Error
	})
	if err != nil {
		return fmt.Errorf("change schedule %s: %w", name, err)
	}
	return nil
}
