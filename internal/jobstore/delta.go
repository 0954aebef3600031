package jobstore

import (
	"strings"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// statDelta is what a batch of outcomes adds to the statistics of one key and minute.
type statDelta struct {
	statrow.StatKey
	minute  int64 // start of the minute, in microseconds
	jobs    int64
	lastJob int64 // id of the job that finished last
	lastAt  int64 // when that job finished, in microseconds
	waits   tracker.Histogram
	runs    tracker.Histogram
}

// insertDeltas appends what the finished jobs of a batch add to the statistics. It only
// inserts rows. A shared counter row would make all processes wait for its lock; Rollup adds
// the deltas up later.
func (s *Store) insertDeltas(conn *sqlkit.Conn, outcomes []*Outcome) error {
	type key struct {
		statrow.StatKey
		minute int64
	}
	deltas := map[key]*statDelta{}
	var order []*statDelta
	for _, out := range outcomes {
		if !out.Status.Terminal() {
			continue
		}
		k := key{
			statrow.StatKey{Service: out.Job.Service, Type: out.Job.Type, Instance: out.Job.Instance, Action: out.Job.Action, Outcome: string(out.Status)},
			tracker.PeriodMinute.Start(out.Now).UnixMicro(),
		}
		d := deltas[k]
		if d == nil {
			d = &statDelta{StatKey: k.StatKey, minute: k.minute}
			deltas[k], order = d, append(order, d)
		}
		d.jobs++
		if at := out.Now.UnixMicro(); at >= d.lastAt {
			d.lastAt, d.lastJob = at, out.Job.ID
		}
		if !out.Job.StartedAt.IsZero() {
			d.waits.Add(out.Job.StartedAt.Sub(out.Job.DueAt))
			d.runs.Add(out.Now.Sub(out.Job.StartedAt))
		}
	}
	if len(order) == 0 {
		return nil
	}
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	var args []any
	for _, d := range order {
		args = append(args, d.minute, d.Service, d.Type, d.Action, d.Instance, d.Outcome, d.jobs, d.lastJob, d.lastAt, d.waits.String(), d.runs.String())
	}
	return conn.Exec("INSERT INTO nawasync_stat_deltas (minute, service, type, action, instance, outcome, jobs, last_job, last_at, waits, runs) VALUES "+
		strings.TrimSuffix(strings.Repeat(row+", ", len(order)), ", "), args...).Error
}
