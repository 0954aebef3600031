package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/signature"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// GroupBy says by which of their properties GroupJobs groups jobs.
type GroupBy string

// The properties by which GroupJobs groups jobs.
const (
	GroupByError   GroupBy = "error"   // the ErrorGroup.ID; only jobs that failed or ended in conflict
	GroupByTarget  GroupBy = "target"  // the object
	GroupByService GroupBy = "service" // the service and the instance
)

// JobGroup is a group of the jobs of a search.
type JobGroup struct {
	// Error is the ErrorGroup.ID of GroupByError, or "" for jobs that ended before errors were grouped. Class and
	// Text are as in an ErrorGroup.
	Error, Class, Text string
	Target             Target // of GroupByTarget; GroupByService sets the service and the instance only
	Jobs               int64
	Statuses           map[Status]int64
	// First and Last are when the first and the last of the jobs ended for GroupByError, and when they were created
	// otherwise.
	First, Last time.Time
	Newest      []int64 // the ids of the newest jobs, up to 3
}

// JobGroups are the groups of the jobs of a search.
type JobGroups struct {
	Groups []JobGroup // those with most jobs first
	Total  int        // the number of groups, also of those beyond the limit
	Jobs   int64      // of all groups
	// Partial is set if the search has more jobs than were read: MaxCount at most, and fewer if no index answers
	// the search. The groups then count the newest jobs only.
	Partial bool
}

// groupNewest is the number of ids in JobGroup.Newest, and groupChunk that of jobs that one statement reads.
const (
	groupNewest = 3
	groupChunk  = 1000
)

// GroupJobs groups the newest jobs of a search, up to MaxCount, and returns up to limit groups, those with most
// jobs first. It reads the jobs that Search lists, with the same limits, and ignores the page of the search. by must
// be one of the constants of GroupBy.
func (r *Reader) GroupJobs(ctx context.Context, q Search, by GroupBy, limit int) (JobGroups, error) {
	if by != GroupByError && by != GroupByTarget && by != GroupByService {
		return JobGroups{}, fmt.Errorf("group jobs by %q: use error, target or service", by)
	}
	if err := q.checkSize(); err != nil {
		return JobGroups{}, err
	}
	q.Before, q.After, q.Oldest = 0, 0, false
	if by == GroupByError {
		q = q.endedWithError()
	}
	w, err := r.newWalk(ctx, q, MaxCount)
	if err != nil || w == nil {
		return JobGroups{}, err
	}
	if err := w.run(ctx); err != nil {
		return JobGroups{}, fmt.Errorf("group jobs: %w", err)
	}
	out := JobGroups{Partial: w.partial || len(w.ids) > MaxCount}
	groups, err := r.groupIDsBy(ctx, w.ids[:min(len(w.ids), MaxCount)], by)
	if err != nil {
		return JobGroups{}, fmt.Errorf("group jobs: %w", err)
	}
	for _, g := range groups {
		out.Jobs += g.Jobs
	}
	out.Total, out.Groups = len(groups), groups[:min(len(groups), max(limit, 1))]
	return out, r.setErrorTexts(ctx, out.Groups)
}

// endedWithError returns the search for its jobs that failed or ended in conflict.
func (q Search) endedWithError() Search {
	hasError := func(status Status) bool { return status == StatusFailed || status == StatusConflict }
	if slices.ContainsFunc(q.statuses(), func(status Status) bool { return !hasError(status) }) {
		q.Terms = append(slices.Clone(q.Terms), Term{Field: FieldStatus, Values: []string{string(StatusFailed), string(StatusConflict)}})
	}
	return q
}

// jobKey identifies the group of a job.
type jobKey struct {
	target    Target
	signature sql.NullInt64
}

// groupedJob has the columns of a job that GroupJobs reads.
type groupedJob struct {
	id                int64
	status            Status
	target            Target
	created, finished sql.NullInt64
	signature         sql.NullInt64
}

// key returns the group of the job, and the time that counts for it.
func (j groupedJob) key(by GroupBy) (jobKey, time.Time) {
	switch by {
	case GroupByError:
		return jobKey{signature: j.signature}, sqlkit.FromMicros(j.finished.Int64)
	case GroupByService:
		return jobKey{target: Target{Service: j.target.Service, Instance: j.target.Instance}}, sqlkit.FromMicros(j.created.Int64)
	}
	return jobKey{target: j.target}, sqlkit.FromMicros(j.created.Int64)
}

// groupIDsBy returns the groups of jobs, sorted, from ids in descending order.
func (r *Reader) groupIDsBy(ctx context.Context, ids []int64, by GroupBy) ([]JobGroup, error) {
	groups := map[jobKey]*JobGroup{}
	for chunk := range slices.Chunk(ids, groupChunk) {
		err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
			var j groupedJob
			err := rows.Scan(&j.id, &j.status, &j.target.Service, &j.target.Type, &j.target.Instance, &j.target.ID, &j.created, &j.finished, &j.signature)
			if err != nil {
				return err
			}
			key, at := j.key(by)
			g := groups[key]
			if g == nil {
				g = &JobGroup{Target: key.target, Statuses: map[Status]int64{}, First: at, Last: at}
				if key.signature.Valid {
					g.Error = signature.ID(key.signature.Int64)
				}
				groups[key] = g
			}
			g.add(j, at)
			return nil
		}, "SELECT id, status, service, type, instance, target_id, created_at, finished_at, error_signature FROM nawasync_jobs WHERE id IN ? ORDER BY id DESC", chunk)
		if err != nil {
			return nil, err
		}
	}
	list := make([]JobGroup, 0, len(groups))
	for _, g := range groups {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b JobGroup) int {
		return cmp.Or(cmp.Compare(b.Jobs, a.Jobs), b.Last.Compare(a.Last), cmp.Compare(b.Newest[0], a.Newest[0]))
	})
	return list, nil
}

// add counts a job, which is older than those before.
func (g *JobGroup) add(j groupedJob, at time.Time) {
	g.Jobs++
	g.Statuses[j.status]++
	if at.Before(g.First) {
		g.First = at
	}
	if at.After(g.Last) {
		g.Last = at
	}
	if len(g.Newest) < groupNewest {
		g.Newest = append(g.Newest, j.id)
	}
}

// setErrorTexts sets the classes and texts of groups with an error.
func (r *Reader) setErrorTexts(ctx context.Context, groups []JobGroup) error {
	byHash := map[int64]*ErrorGroup{}
	for _, g := range groups {
		if g.Error != "" {
			hash, err := signature.ParseID(g.Error)
			if err != nil {
				return err
			}
			byHash[hash] = &ErrorGroup{ID: g.Error}
		}
	}
	if len(byHash) == 0 {
		return nil
	}
	if err := readErrorTexts(r.session(ctx), slices.Collect(maps.Keys(byHash)), byHash); err != nil {
		return fmt.Errorf("read the texts of error groups: %w", err)
	}
	texts := map[string]*ErrorGroup{}
	for _, g := range byHash {
		texts[g.ID] = g
	}
	for i := range groups {
		if text := texts[groups[i].Error]; text != nil {
			groups[i].Class, groups[i].Text = text.Class, text.Text
		}
	}
	return nil
}
