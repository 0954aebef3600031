package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Schedule is the stored row of one schedule.
type Schedule struct {
	Name     string    `json:"name"`
	Service  string    `json:"service"`
	Type     string    `json:"type"`
	Action   string    `json:"action"`
	Instance string    `json:"instance"`
	TargetID string    `json:"target_id"`
	Spec     string    `json:"spec"`
	Timezone string    `json:"timezone"`
	LastTick time.Time `json:"last_tick"` // the scheduled time of the last tick, not when its job ran
	LastJob  int64     `json:"last_job,omitempty"`
	SeenAt   time.Time `json:"seen_at"` // when a process that registers the schedule last updated this row

	// PausedUntil is when the pause of the schedule ends: Forever until an operator resumes it. A time that has
	// passed, or the zero time, is no pause. Ticks during a pause dispatch no job, also not after it.
	PausedUntil  time.Time `json:"paused_until,omitzero"`
	PausedAt     time.Time `json:"paused_at,omitzero"` // when the pause began
	PausedBy     string    `json:"paused_by,omitempty"`
	PausedReason string    `json:"paused_reason,omitempty"`

	// RunAskedAt is when an operator has asked for a run that no process has dispatched yet. It is zero if there is none.
	// After RunRequestLimit, no process dispatches the run any more.
	RunAskedAt time.Time `json:"run_asked_at,omitzero"`
	LastRun    time.Time `json:"last_run,omitzero"` // when LastJob was dispatched; zero if it was before schema version 12
}

// Paused reports whether the schedule is paused.
func (s Schedule) Paused(now time.Time) bool { return s.PausedUntil.After(now) }

// RunExpired reports whether an operator has asked for a run that no process has dispatched within RunRequestLimit.
func (s Schedule) RunExpired(now time.Time) bool {
	return !s.RunAskedAt.IsZero() && now.Sub(s.RunAskedAt) > RunRequestLimit
}

// RunRequestLimit is how long the request of an operator for a run of a schedule waits for a process.
const RunRequestLimit = time.Hour

// Orphaned reports whether no process has registered the schedule for OrphanedAfter.
func (s Schedule) Orphaned(now time.Time) bool { return now.Sub(s.SeenAt) > OrphanedAfter }

// OrphanedAfter is how long a schedule may lack a process that registers it before it counts
// as orphaned.
const OrphanedAfter = 5 * time.Minute

// Schedules lists all schedules, including orphaned ones, in order of name.
func (r *Reader) Schedules(ctx context.Context) ([]Schedule, error) {
	var list []Schedule
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var row Schedule
		var tick, seen, until, at, asked, run int64
		var job sql.NullInt64
		err := rows.Scan(
			&row.Name,
			&row.Service,
			&row.Type,
			&row.Action,
			&row.Instance,
			&row.TargetID,
			&row.Spec,
			&row.Timezone,
			&tick,
			&job,
			&seen,
			&until,
			&at,
			&row.PausedBy,
			&row.PausedReason,
			&asked,
			&run,
		)
		row.LastTick, row.LastJob, row.SeenAt = sqlkit.FromMicros(tick), job.Int64, sqlkit.FromMicros(seen)
		row.PausedUntil, row.PausedAt, row.RunAskedAt, row.LastRun = timeOrNone(until), timeOrNone(at), timeOrNone(asked), timeOrNone(run)
		if r.limit.shows(row.Service, row.Instance) {
			list = append(list, row)
		}
		return err
	}, "SELECT name, service, type, action, instance, target_id, spec, timezone, last_tick, last_job, seen_at, paused_until, paused_at, paused_by, paused_reason, run_asked_at, last_run FROM nawasync_schedules ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	return list, nil
}

// timeOrNone returns the time of a column in which 0 stands for none.
func timeOrNone(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return sqlkit.FromMicros(micros)
}
