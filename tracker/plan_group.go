package tracker

import (
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

// groupJobs returns a query for columns of up to MaxCount+1 jobs of the search's error groups that ended within
// its bounds, of its services and of what the reader shows.
func (r *Reader) groupJobs(q Search, columns string) (query string, args []any, err error) {
	hashes, err := parseGroups(q.errorGroups())
	if err != nil {
		return "", nil, fmt.Errorf("search jobs: %w", err)
	}
	visible, visibleArgs := r.limitCondition("j")
	services, serviceArgs := q.groupCondition()
	var parts []string
	for i, hash := range hashes {
		parts = append(parts, "SELECT "+columns+" FROM (SELECT "+columns+" FROM "+r.dialect.ErrorRows()+" WHERE j.error_signature = ? AND "+r.dialect.ErrorTime()+
			" >= ? AND "+r.dialect.ErrorTime()+" < ? AND j.deleted_at IS NULL AND "+visible+services+fmt.Sprintf(" LIMIT %d) g%d", MaxCount+1, i))
		args = slices.Concat(args, []any{hash}, q.endBounds(), visibleArgs, serviceArgs)
	}
	return "SELECT " + columns + " FROM (" + strings.Join(parts, " UNION ALL ") + fmt.Sprintf(") e LIMIT %d", MaxCount+1), args, nil
}

// groupIDs returns the ids of groupJobs, or nil if there are more than MaxCount.
func (r *Reader) groupIDs(ctx context.Context, q Search) ([]int64, error) {
	query, args, err := r.groupJobs(q, "id")
	if err != nil {
		return nil, err
	}
	ids := []int64{}
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("search jobs by error group: %w", err)
	}
	if len(ids) > MaxCount {
		return nil, nil
	}
	slices.Sort(ids)
	return ids, nil
}

// nextIDs returns the first ids of the walk, one more than its limit, from ids in ascending order.
func (w *walk) nextIDs(ids []int64) []int64 {
	from, _ := slices.BinarySearch(ids, w.low)
	to, _ := slices.BinarySearch(ids, w.high)
	ids = slices.Clone(ids[from:max(from, to)])
	if !w.ascending {
		slices.Reverse(ids)
	}
	return ids[:min(len(ids), w.limit+1)]
}

// groupFields are the fields of terms that groupJobs answers, with the columns of a job j.
var groupFields = map[Field]string{FieldErrorGroup: "", FieldService: "j.service", FieldInstance: "j.instance"}

// answeredByGroup reports whether groupJobs answers a term.
func (t Term) answeredByGroup() bool {
	_, answered := groupFields[t.Field]
	return answered && !t.Not
}

// groupCondition returns the condition of the services and instances of a search on a job j. It begins with AND
// or is "".
func (q Search) groupCondition() (clause string, args []any) {
	if q.Services != nil {
		clause, args = " AND j.service IN ?", []any{append([]string{""}, q.Services...)}
	}
	for _, t := range q.Terms {
		if column := groupFields[t.Field]; column != "" && !t.Not {
			clause, args = clause+" AND "+column+" IN ?", append(args, t.Values)
		}
	}
	return clause, args
}

// groupCounts counts the jobs of error groups by status. exact is false if there are more than MaxCount, or if
// the search has terms that only the jobs themselves answer.
func (r *Reader) groupCounts(ctx context.Context, q Search) (counts map[Status]int, exact bool, err error) {
	for _, t := range q.Terms {
		if !t.answeredByGroup() {
			return nil, false, nil
		}
	}
	if !q.From.IsZero() || !q.To.IsZero() {
		return nil, false, nil
	}
	query, args, err := r.groupJobs(q, "status")
	if err != nil {
		return nil, false, err
	}
	total := 0
	counts = map[Status]int{}
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var status Status
		var n int
		err := rows.Scan(&status, &n)
		counts[status], total = n, total+n
		return err
	}, "SELECT status, COUNT(*) FROM ("+query+") c GROUP BY status", args...)
	if err != nil {
		return nil, false, fmt.Errorf("count jobs of error groups: %w", err)
	}
	if total > MaxCount {
		return nil, false, nil
	}
	return counts, true, nil
}
