package tracker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nawasara/nawasync/internal/statrow"
)

// EndedTotal counts all jobs of a service that ever ended with one outcome, also those that have
// been pruned or deleted since. It only grows.
type EndedTotal struct {
	Service string
	Outcome Status // a terminal status
	Jobs    int64
	Waits   Histogram // how long the jobs waited from when they first came due until their last attempts began
	Runs    Histogram // how long their last attempts ran
}

// EndedTotals returns the totals in order of service and outcome. A job that ended before its
// first attempt is counted in Jobs, but not in Waits and Runs. EndedTotals reads one row for each
// service, instance and outcome, and the few rows that are not rolled up yet: it costs the same however
// many jobs there are.
func (r *Reader) EndedTotals(ctx context.Context) ([]EndedTotal, error) {
	type key struct{ service, outcome string }
	sums := map[key]*EndedTotal{}
	visible, args := r.limitCondition("t")
	err := statrow.Totals(r.session(ctx), visible, args, func(t statrow.Total) error {
		k := key{t.Service, t.Outcome}
		if sums[k] == nil {
			sums[k] = &EndedTotal{Service: t.Service, Outcome: Status(t.Outcome)}
		}
		waits, waitErr := ParseHistogram(t.Waits)
		runs, runErr := ParseHistogram(t.Runs)
		sums[k].Jobs += t.Jobs
		sums[k].Waits.Merge(waits)
		sums[k].Runs.Merge(runs)
		return errors.Join(waitErr, runErr)
	})
	if err != nil {
		return nil, fmt.Errorf("read totals of ended jobs: %w", err)
	}
	list := make([]EndedTotal, 0, len(sums))
	for _, total := range sums {
		list = append(list, *total)
	}
	slices.SortFunc(list, func(a, b EndedTotal) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Outcome, b.Outcome))
	})
	return list, nil
}
