package jobstore

import (
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// statDelta is what a batch of endings adds to the statistics of one key and minute.
type statDelta struct {
	statrow.Key
	minute  int64
	jobs    int64
	lastJob int64
	lastAt  int64
	waits   tracker.Histogram
	runs    tracker.Histogram
}

// insertDeltas appends what a batch adds to the statistics. It never touches a
// row that another writes: a counter in one row would be the bottleneck of all.
func (s *Store) insertDeltas(tx *gorm.DB, outcomes []*Outcome) error {
	type key struct {
		statrow.Key
		minute int64
	}
	deltas := map[key]*statDelta{}
	var order []*statDelta
	for _, v := range outcomes {
		if !v.Status.Terminal() {
			continue
		}
		k := key{
			statrow.Key{Service: v.Job.Service, Type: v.Job.Type, Instance: v.Job.Instance, Action: v.Job.Action, Outcome: string(v.Status)},
			tracker.PeriodMinute.Start(v.Now).UnixMicro(),
		}
		d := deltas[k]
		if d == nil {
			d = &statDelta{Key: k.Key, minute: k.minute}
			deltas[k], order = d, append(order, d)
		}
		d.jobs++
		if at := v.Now.UnixMicro(); at >= d.lastAt {
			d.lastAt, d.lastJob = at, v.Job.ID
		}
		if !v.Job.StartedAt.IsZero() {
			d.waits.Add(v.Job.StartedAt.Sub(v.Job.DueAt))
			d.runs.Add(v.Now.Sub(v.Job.StartedAt))
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
	return tx.Exec("INSERT INTO nawasync_stat_deltas (minute, service, type, action, instance, outcome, jobs, last_job, last_at, waits, runs) VALUES "+
		strings.TrimSuffix(strings.Repeat(row+", ", len(order)), ", "), args...).Error
}
