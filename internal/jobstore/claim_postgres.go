package jobstore

import (
	"context"
	"database/sql"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// claimInOneStatement claims on PostgreSQL. In the statement, c are the rows that it found and
// locked, w the due ones among them, numbered within their lane, and u those that it has claimed.
// set_config bounds the one wait that SKIP LOCKED does not avoid, that for the unique index. The
// rows that are not due yet tell when to look again.
func (s *Store) claimInOneStatement(ctx context.Context, worker string, looks []Look, limit int) (*Claimed, error) {
	text, err := lookRows(looks)
	if err != nil {
		return nil, err
	}
	now := s.Now().UnixMicro()
	result := &Claimed{Looks: make([]LookResult, len(looks))}
	s.reachMoment(MomentClaiming)
	err = s.exec(ctx, func(conn *sqlkit.Conn) error {
		return sqlkit.Each(conn, func(rows *sql.Rows) error {
			var look int
			var mark Mark
			var blocked Blocked
			var won bool
			extra := []any{&look, &mark.ID, &blocked.Epoch, &blocked.Lane, &mark.WakeAt, &won}
			if err := jobrow.ScanExtra(rows, true, extra...); err != nil {
				return err
			}
			result.found(look, mark, now)
			blocked.ID = mark.ID
			switch {
			case won:
				row, err := jobrow.Scan(rows, true, extra...)
				if err != nil {
					return err
				}
				result.Jobs = append(result.Jobs, jobOf(row))
			case mark.WakeAt <= now:
				result.Blocked = append(result.Blocked, blocked)
			}
			return nil
		}, s.claimText(), text, now, now, looks[0].Queue, limit, now, now, now, worker, now)
	})
	return result, err
}

func (s *Store) claimText() string {
	return "WITH v AS MATERIALIZED (SELECT v.* FROM (SELECT set_config('lock_timeout', '2s', true)) l, " +
		s.dialect.Rowset("n", "service:t", "type:t", "action:t", "instance:t", "wake", "id", "timeout", "probe") +
		" WHERE " + claimable("v_service", s.dialect.InScopesOf("p.instance", "v_instance"), "v_probe = 0") + "), " +
		"c AS MATERIALIZED (SELECT v_n, v_timeout, c.id AS c_id, c.lane AS c_lane, c.epoch AS c_epoch, c.wake_at AS c_wake FROM v CROSS JOIN LATERAL (" +
		"SELECT j.id, j.lane, j.epoch, j.wake_at FROM nawasync_jobs j WHERE j.queue = ? AND j.service = v_service AND j.type = v_type AND j.action = v_action" +
		" AND j.instance = v_instance AND j.wake_at IS NOT NULL AND (j.wake_at, j.id) > (v_wake, v_id) ORDER BY j.wake_at, j.id LIMIT ? FOR UPDATE SKIP LOCKED) c), " +
		"w AS (SELECT c.*, row_number() OVER (PARTITION BY c_lane ORDER BY c_id) AS w_place FROM c WHERE c_wake <= ?), " +
		"u AS (UPDATE nawasync_jobs AS j SET " + setRunning + ", deadline_at = CAST(? AS bigint) + v_timeout FROM w WHERE j.id = c_id AND w_place = 1 AND " +
		s.dialect.Behind() + " = 0 AND " + sqlkit.LaneBusy + " = 0 RETURNING j.*) " +
		"SELECT " + jobrow.Columns(true) + ", c.v_n, c.c_id, c.c_epoch, c.c_lane, c.c_wake, j.id IS NOT NULL FROM c LEFT JOIN u j ON j.id = c.c_id"
}
