package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Stream is the jobs of one kind and instance in one queue. Claims go round the streams, so that
// the backlog of one instance does not delay another.
type Stream struct{ Queue, Service, Type, Action, Instance string }

// Kind returns service/type/action.
func (s Stream) Kind() string { return s.Service + "/" + s.Type + "/" + s.Action }

// Stream returns the stream of the job.
func (j *Job) Stream() Stream { return Stream{j.Queue, j.Service, j.Type, j.Action, j.Instance} }

// StreamState is what ListStreams finds about a stream.
type StreamState struct {
	Stream
	WakeAt int64 // lowest wake_at of its rows, in microseconds
	Paused bool  // its scopes are paused or parked
	Probe  bool  // they only wait for a probe, which may start
}

// streamRow is where ListStreams begins in the streams of one kind.
type streamRow struct {
	N       int    `json:"v_n"`
	Service string `json:"v_service"`
	Type    string `json:"v_type"`
	Action  string `json:"v_action"`
	From    string `json:"v_from"` // instance
}

// ListStreams lists up to limit streams that have rows in the claim index. from holds a stream of
// each kind: only streams of these kinds are listed, beginning with that instance. The order is
// that of the database. The cost depends on the number of streams, not on that of their rows.
func (s *Store) ListStreams(ctx context.Context, from []Stream, limit int) ([]StreamState, error) {
	if len(from) == 0 {
		return nil, nil
	}
	query, args, err := s.streamsQuery(from, limit)
	if err != nil {
		return nil, err
	}
	queue := from[0].Queue
	var list []StreamState
	err = sqlkit.Each(s.background(ctx), func(rows *sql.Rows) error {
		state := StreamState{Stream: Stream{Queue: queue}}
		var wake sql.NullInt64
		var paused int
		err := rows.Scan(&state.Service, &state.Type, &state.Action, &state.Instance, &wake, &paused)
		state.WakeAt, state.Paused, state.Probe = wake.Int64, paused > 0, paused == probeDue
		if wake.Valid { // the last row may have been claimed while the statement ran
			list = append(list, state)
		}
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list the streams of queue %s: %w", queue, err)
	}
	return list, nil
}

// probeDue is the value of streamPaused for a stream whose scopes only wait for a probe, which may start.
const probeDue = 1

// streamPaused returns an expression that is 0 for a stream s without pauses, probeDue, or higher. It saves
// claims that would find nothing; they check for themselves. So it does not matter that MySQL finds scopes
// of up to six components only, and those of the whole instance.
func (s *Store) streamPaused(now int64) (expression string, args []any) {
	const state = "CASE WHEN p.paused_until > ? OR p.limited_until > ? THEN 2 WHEN p.probes > 0 THEN 1 ELSE 0 END"
	const from = " FROM nawasync_scopes p WHERE p.service = s.service AND "
	if s.dialect.Name != "mysql" {
		return "COALESCE((SELECT MAX(" + state + ")" + from + s.dialect.InScopesOf("p.instance", "s.instance") + "), 0)", []any{now, now}
	}
	var parts []string // MySQL uses the primary key for one value, and reads all rows of the service for a list
	for _, scope := range sqlkit.ScopesUpTo(6, "s.instance") {
		parts, args = append(parts, "COALESCE((SELECT "+state+from+"p.instance = "+scope+"), 0)"), append(args, now, now)
	}
	return "GREATEST(" + strings.Join(parts, ", ") + ")", args
}

func (s *Store) streamsQuery(from []Stream, limit int) (query string, args []any, err error) {
	queue, now := from[0].Queue, s.Now().UnixMicro()
	paused, pausedArgs := s.streamPaused(now)
	table, column := s.dialect.ClaimRows()
	if s.dialect.Name == "mysql" {
		// "Using index for group-by": with more conditions, or in a recursive query, MariaDB scans
		// all rows of the index.
		parts := make([]string, len(from))
		for i, f := range from {
			parts[i] = "(SELECT j.service, j.type, j.action, j.instance, MIN(j.wake_at) AS wake FROM " + table +
				" WHERE j.claim_queue = ? AND j.service = ? AND j.type = ? AND j.action = ? AND j.instance >= ?" +
				" GROUP BY j.claim_queue, j.service, j.type, j.action, j.instance ORDER BY j.instance LIMIT ?)"
			args = append(args, queue, f.Service, f.Type, f.Action, f.Instance, limit)
		}
		return "SELECT s.*, " + paused + " FROM (" + strings.Join(parts, " UNION ALL ") + ") s LIMIT ?", slices.Concat(pausedArgs, args, []any{limit}), nil
	}
	rows := make([]streamRow, len(from))
	for i, f := range from {
		rows[i] = streamRow{i, f.Service, f.Type, f.Action, f.Instance}
	}
	text, err := sqlkit.JSONText(rows)
	if err != nil {
		return "", nil, err
	}
	next := func(kind, condition string) string {
		return "(SELECT MIN(j.instance) FROM " + table + " WHERE " + column + " = ? AND j.service = " + kind + "service AND j.type = " + kind +
			"type AND j.action = " + kind + "action AND j.wake_at IS NOT NULL AND j.instance " + condition + ")"
	}
	return "WITH RECURSIVE s(service, type, action, instance) AS (SELECT v_service, v_type, v_action, " + next("v_", ">= v_from") + " FROM " +
		s.dialect.Rowset("n", "service:t", "type:t", "action:t", "from:t") +
		" UNION ALL SELECT s.service, s.type, s.action, " + next("s.", "> s.instance") + " FROM s WHERE s.instance IS NOT NULL)" +
		" SELECT s.service, s.type, s.action, s.instance, (SELECT MIN(j.wake_at) FROM " + table + " WHERE " + column +
		" = ? AND j.service = s.service AND j.type = s.type AND j.action = s.action AND j.instance = s.instance AND j.wake_at IS NOT NULL), " + paused +
		" FROM s WHERE s.instance IS NOT NULL LIMIT ?", slices.Concat([]any{queue, text, queue, queue}, pausedArgs, []any{limit}), nil
}
