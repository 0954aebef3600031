package jobstore

import (
	"strings"

	"github.com/nawasara/nawasync/internal/signature"
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

	error   *signature.Signature // of the errors of the jobs; nil if they neither failed nor ended in conflict
	firstAt int64                // when the first of these jobs finished, in microseconds
}

// insertDeltas appends what the finished jobs of a batch add to the statistics. It only
// inserts rows. A shared counter row would make all processes wait for its lock; Rollup adds
// the deltas up later.
func (s *Store) insertDeltas(conn *sqlkit.Conn, outcomes []*Outcome) error {
	type key struct {
		statrow.StatKey
		minute int64
	}
	type groupKey struct {
		key
		grouped   bool
		signature int64
	}
	// The first delta of a key has the histograms of all: there may be one delta for each error.
	first, deltas := map[key]*statDelta{}, map[groupKey]*statDelta{}
	var order []*statDelta
	for _, out := range outcomes {
		if !out.Status.Terminal() {
			continue
		}
		k := groupKey{key: key{
			statrow.StatKey{Service: out.Job.Service, Type: out.Job.Type, Instance: out.Job.Instance, Action: out.Job.Action, Outcome: string(out.Status)},
			tracker.PeriodMinute.Start(out.Now).UnixMicro(),
		}}
		if out.signature != nil {
			k.grouped, k.signature = true, out.signature.Hash
		}
		at := out.Now.UnixMicro()
		d := deltas[k]
		if d == nil {
			d = &statDelta{StatKey: k.StatKey, minute: k.minute, error: out.signature, firstAt: at}
			deltas[k], order = d, append(order, d)
			if first[k.key] == nil {
				first[k.key] = d
			}
		}
		d.jobs++
		d.firstAt = min(d.firstAt, at)
		if at >= d.lastAt {
			d.lastAt, d.lastJob = at, out.Job.ID
		}
		if !out.Job.StartedAt.IsZero() {
			first[k.key].waits.Add(out.Job.StartedAt.Sub(out.Job.DueAt))
			first[k.key].runs.Add(out.Now.Sub(out.Job.StartedAt))
		}
	}
	if len(order) == 0 {
		return nil
	}
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	var args []any
	for _, d := range order {
		args = append(args, d.values()...)
	}
	return conn.Exec("INSERT INTO nawasync_stat_deltas (minute, service, type, action, instance, outcome, jobs, last_job, last_at, waits, runs, "+
		"error_signature, error_class, error_text, first_at) VALUES "+strings.TrimSuffix(strings.Repeat(row+", ", len(order)), ", "), args...).Error
}

// values returns the columns of the delta. Those of the errors are NULL if its jobs have none.
func (d *statDelta) values() []any {
	list := []any{d.minute, d.Service, d.Type, d.Action, d.Instance, d.Outcome, d.jobs, d.lastJob, d.lastAt, d.waits.String(), d.runs.String()}
	if d.error == nil {
		return append(list, nil, nil, nil, nil)
	}
	return append(list, d.error.Hash, d.error.Class, d.error.Text, d.firstAt)
}
