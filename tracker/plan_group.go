package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/internal/signature"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// errorGroups returns the values of the only term that selects jobs by error group, or nil.
func (q Search) errorGroups() []string {
	var values []string
	for _, t := range q.Terms {
		if t.Field == FieldErrorGroup && !t.Not {
			if values != nil {
				return nil
			}
			values = t.Values
		}
	}
	if len(values) == 0 {
		return nil
	}
	return values
}

// isByGroup reports whether the search reads the index of error signatures: unless something else selects even
// fewer jobs.
func (q Search) isByGroup() bool { return q.errorGroups() != nil && !q.isSelective() }

func parseGroups(values []string) ([]int64, error) {
	hashes := make([]int64, len(values))
	for i, value := range values {
		var err error
		if hashes[i], err = signature.ParseID(value); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

// groupIDs returns the ids of the jobs of the search's error groups that ended within its bounds, of its services
// and of what the reader shows. It returns nil if there are more than MaxCount.
func (r *Reader) groupIDs(ctx context.Context, q Search) ([]int64, error) {
	hashes, err := parseGroups(q.errorGroups())
	if err != nil {
		return nil, fmt.Errorf("search jobs: %w", err)
	}
	visible, visibleArgs := r.limitCondition("j")
	services, serviceArgs := q.serviceCondition()
	var parts []string
	var args []any
	for i, hash := range hashes {
		parts = append(parts, "SELECT id FROM (SELECT j.id FROM "+r.dialect.ErrorRows()+" WHERE j.error_signature = ? AND "+r.dialect.ErrorTime()+
			" >= ? AND "+r.dialect.ErrorTime()+" < ? AND j.deleted_at IS NULL AND "+visible+services+fmt.Sprintf(" LIMIT %d) g%d", MaxCount+1, i))
		args = slices.Concat(args, []any{hash}, q.endBounds(), visibleArgs, serviceArgs)
	}
	ids := []int64{}
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM ("+strings.Join(parts, " UNION ALL ")+fmt.Sprintf(") e LIMIT %d", MaxCount+1), args...)
	if err != nil {
		return nil, fmt.Errorf("search jobs by error group: %w", err)
	}
	if len(ids) > MaxCount {
		return nil, nil
	}
	return ids, nil
}

// serviceCondition returns a condition on the service of a job j that begins with AND, or "".
func (q Search) serviceCondition() (clause string, args []any) {
	if q.Services != nil {
		clause, args = " AND j.service IN ?", []any{append([]string{""}, q.Services...)}
	}
	for _, t := range q.Terms {
		if t.Field == FieldService && !t.Not {
			clause, args = clause+" AND j.service IN ?", append(args, append([]string{""}, t.Values...))
		}
	}
	return clause, args
}

// groupCounts counts the jobs of error groups by status. If there are more than MaxCount, or the search reads
// texts, exact is false.
func (r *Reader) groupCounts(ctx context.Context, q Search) (counts map[Status]int, exact bool, err error) {
	bounds, err := r.searchBounds(ctx, q)
	if err != nil || bounds.ended == nil {
		return nil, false, err
	}
	counts = map[Status]int{}
	plan, err := r.plan(q, bounds)
	if err != nil || plan.texts > 0 || len(plan.streams) == 0 {
		return counts, err == nil && plan.texts == 0, err
	}
	rows, args := plan.union(plan.residualColumns(), plan.low, plan.high, MaxCount, true)
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var status Status
		var n int
		err := rows.Scan(&status, &n)
		counts[status] = n
		return err
	}, "SELECT j.status, COUNT(*) FROM ("+rows+") j WHERE "+cmp.Or(strings.Join(plan.residual, " AND "), "1 = 1")+" GROUP BY j.status",
		append(args, plan.residualArgs...)...)
	if err != nil {
		return nil, false, fmt.Errorf("count jobs of error groups: %w", err)
	}
	return counts, true, nil
}
