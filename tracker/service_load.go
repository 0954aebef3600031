package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// ServiceLoad is what one service has to do now, and what hinders it.
type ServiceLoad struct {
	Service string `json:"service"`
	Queued  int64  `json:"queued"` // due or not
	Due     int64  `json:"due"`    // queued jobs that are due, without tracked ones, which need no worker
	Running int64  `json:"running"`
	Stuck   int64  `json:"stuck"` // running jobs past their deadline
	// Oldest is the earliest due time of the due jobs, tracked ones included. It is zero if no job is
	// due.
	Oldest time.Time `json:"oldest,omitzero"`
	Parked int64     `json:"parked"` // scopes that the engine parked
	Paused int64     `json:"paused"` // scopes that an operator paused
	Held   int64     `json:"held"`   // syncs that wait for an operator's decision
}

// ServiceLoads returns the load of each service that has any, in order of service. It runs one
// statement, which reads at most MaxOpenJobs open jobs; if more is true, there may be further jobs
// that are not counted.
func (r *Reader) ServiceLoads(ctx context.Context) (list []ServiceLoad, more bool, err error) {
	now := r.Now().UnixMicro()
	openRows, _ := r.dialect.LaneRows()
	var seen int64
	openVisible, visibleArgs := r.limitCondition("o")
	scopeVisible, _ := r.limitCondition("nawasync_scopes")
	heldVisible, _ := r.limitCondition("nawasync_held")
	args := slices.Concat([]any{now, now, now, MaxOpenJobs}, visibleArgs, []any{now, now}, visibleArgs, visibleArgs)
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var l ServiceLoad
		var oldest sql.NullInt64
		if err := rows.Scan(&l.Service, &l.Queued, &l.Due, &l.Running, &l.Stuck, &oldest, &l.Parked, &l.Paused, &l.Held); err != nil {
			return err
		}
		l.Oldest = sqlkit.FromMicros(oldest.Int64)
		seen += l.Queued + l.Running
		if last := len(list) - 1; last >= 0 && list[last].Service == l.Service {
			list[last].add(l)
		} else {
			list = append(list, l)
		}
		return nil
	}, `SELECT service, SUM(CASE WHEN status = 'queued' THEN 1 ELSE 0 END) AS queued,
 SUM(CASE WHEN status = 'queued' AND not_before <= ? AND queue NOT LIKE '`+AsynqQueue+`%' THEN 1 ELSE 0 END) AS due,
 SUM(CASE WHEN status = 'running' THEN 1 ELSE 0 END) AS running, SUM(CASE WHEN status = 'running' AND deadline_at < ? THEN 1 ELSE 0 END) AS stuck,
 MIN(CASE WHEN status = 'queued' AND not_before <= ? THEN not_before END) AS oldest, 0 AS parked, 0 AS paused, 0 AS held
 FROM (SELECT service, instance, queue, status, not_before, deadline_at FROM `+openRows+` WHERE open_lane IS NOT NULL LIMIT ?) o WHERE `+openVisible+` GROUP BY service
 UNION ALL SELECT service, 0, 0, 0, 0, 0, SUM(CASE WHEN parked THEN 1 ELSE 0 END), SUM(CASE WHEN parked THEN 0 ELSE 1 END), 0
 FROM nawasync_scopes WHERE `+stopsJobs+` AND `+scopeVisible+` GROUP BY service
 UNION ALL SELECT service, 0, 0, 0, 0, 0, 0, 0, COUNT(*) FROM nawasync_held WHERE open_key IS NOT NULL AND `+heldVisible+` GROUP BY service
 ORDER BY service`, args...)
	if err != nil {
		return nil, false, fmt.Errorf("read the load of the services: %w", err)
	}
	return list, seen >= MaxOpenJobs, nil
}

// add adds the figures of another row of the same service. Only one of its rows has an Oldest.
func (l *ServiceLoad) add(other ServiceLoad) {
	l.Queued += other.Queued
	l.Due += other.Due
	l.Running += other.Running
	l.Stuck += other.Stuck
	l.Parked += other.Parked
	l.Paused += other.Paused
	l.Held += other.Held
	if l.Oldest.IsZero() {
		l.Oldest = other.Oldest
	}
}
