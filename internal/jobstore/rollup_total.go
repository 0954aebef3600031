package jobstore

import (
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// totalBucket is the bucket of all total rows, in microseconds. It is any fixed minute but the zero
// time, which sqlkit reads as no time.
const totalBucket = 60_000_000

// rollupTotals adds deltas to the rows that count all jobs that ever ended, of which there is one
// for each service, instance and outcome.
func (s *Store) rollupTotals(conn *sqlkit.Conn, deltas []statrow.Delta) error {
	totals := make([]statrow.Delta, len(deltas))
	for i, d := range deltas {
		totals[i] = statrow.Delta{
			StatKey: statrow.StatKey{Service: d.Service, Instance: d.Instance, Outcome: d.Outcome}, Minute: totalBucket, Jobs: d.Jobs, Waits: d.Waits, Runs: d.Runs,
		}
	}
	return s.rollupPeriod(conn, tracker.Period(statrow.PeriodTotal), totals)
}
