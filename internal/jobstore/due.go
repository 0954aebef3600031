package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Due is a queued job and from when it can be claimed.
type Due struct {
	Stream
	Mark
	// At is the job's wake_at, or the end of the pause of its scope, or the time of the next probe, if that
	// is later.
	At time.Time
	// Probe says that the scope waits for a probe; see Store.ClaimProbe.
	Probe bool
}

// Look returns a look at the job alone, if the claim has the limit 1. timeout is that of an attempt.
func (d Due) Look(timeout time.Duration) Look {
	return Look{Stream: d.Stream, After: Mark{WakeAt: d.WakeAt, ID: d.ID - 1}, Timeout: timeout}
}

// FirstDue returns the job of the queues and kinds that can be claimed first, now or later, and of
// several with the same time the oldest. It reports whether there is one. kinds are streams of which
// only the kind counts. It reads all rows of the claim index: it is meant for tests.
func (s *Store) FirstDue(ctx context.Context, queues []string, kinds []Stream) (first Due, found bool, err error) {
	if len(queues) == 0 || len(kinds) == 0 {
		return first, false, nil
	}
	conditions, args := make([]string, len(kinds)), []any{queues}
	for i, k := range kinds {
		conditions[i] = "(j.service = ? AND j.type = ? AND j.action = ?)"
		args = append(args, k.Service, k.Type, k.Action)
	}
	query := "SELECT d.*, CASE WHEN d.paused > d.wake_at THEN d.paused ELSE d.wake_at END AS due FROM (" +
		"SELECT j.queue, j.service, j.type, j.action, j.instance, j.id, j.wake_at, COALESCE((SELECT MAX(CASE WHEN p.limited_until > p.paused_until THEN p.limited_until ELSE p.paused_until END) FROM nawasync_scopes p" +
		" WHERE p.service = j.service AND " + s.dialect.Covers("p.instance", "j.instance") + "), 0) AS paused, EXISTS (SELECT 1 FROM nawasync_scopes p WHERE p.service = j.service AND p.probes > 0 AND " +
		s.dialect.Covers("p.instance", "j.instance") + ") AS probe FROM nawasync_jobs j" +
		" WHERE j.status = 'queued' AND j.wake_at IS NOT NULL AND j.queue IN ? AND (" + strings.Join(conditions, " OR ") + ")) d ORDER BY due, d.wake_at, d.id LIMIT 1"
	err = sqlkit.Each(s.DB(ctx), func(rows *sql.Rows) error {
		var paused, at int64
		found = true
		err := rows.Scan(&first.Queue, &first.Service, &first.Type, &first.Action, &first.Instance, &first.ID, &first.WakeAt, &paused, &first.Probe, &at)
		first.At = sqlkit.FromMicros(at)
		return err
	}, query, args...)
	if err != nil {
		return first, false, fmt.Errorf("find the job that is due first: %w", err)
	}
	return first, found, nil
}
