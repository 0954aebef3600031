package tracker

import (
	"fmt"
	"slices"
	"strings"
)

// plan describes how a search is executed. Each stream reads rows in the order of an index. The
// residual conditions, which no index answers, are then checked for each row of the streams.
type plan struct {
	streams      []stream
	residual     []string
	residualArgs []any
	readsError   bool    // a residual condition reads the error text
	texts        int     // values that residual conditions search for in texts
	known        []int64 // if not nil, the ids of all jobs of the streams, in ascending order
	few          bool    // the search is not one that Options.BeforeScan is asked about
	low, high    int64   // ids in [low, high)
	listTable    string  // the jobs table with a hint to use the list index
	rowBounds    bool    // bound and order a stream by its column and the id together; see stream.bounds
}

type stream struct {
	where    string
	args     []any
	openOnly bool // reads open jobs only, of which there are few
	byList   bool // reads in the order of the list index
	// column, if set, must equal value. It is the column before the id in the index of the stream.
	column string
	value  any
}

// bounds returns the conditions for ids in [low, high), and the order of the stream. PostgreSQL has no hints.
// When its statistics are old, it may expect matches early in the primary key and then read all jobs. With
// pair, it is given an order over the column and the id, which only the index of the stream has. A column
// that equals a constant would drop out of that order. PostgreSQL looks LIKE up in the index as
// an equality without knowing it as one. A number, of which LIKE knows nothing, lies between itself and
// itself; such a scan reads the index entries of all jobs of one object. Bounds over the pair leave the index
// as the only choice too, but with PostgreSQL 15.18 a scan does not end at the further one of them.
func (st stream) bounds(low, high int64, descending, pair bool) (clause string, args []any, order string) {
	switch {
	case st.openOnly:
		// Open jobs have their own index. With id + 0 instead of id, in the order too, the database
		// cannot use the primary key, which reads all ended jobs between the open ones.
		return "(id + 0) >= ? AND (id + 0) < ?", []any{low, high}, idOrder("(id + 0)", descending)
	case st.column == "":
		return "id >= ? AND id < ?", []any{low, high}, idOrder("id", descending)
	case !pair:
		return st.column + " = ? AND id >= ? AND id < ?", []any{st.value, low, high}, idOrder("id", descending)
	}
	order = " ORDER BY " + st.column + ", id"
	if descending {
		order = " ORDER BY " + st.column + " DESC, id DESC"
	}
	if status, ok := st.value.(Status); ok {
		// The status is part of the text: a plan for any pattern could not use the index.
		return fmt.Sprintf("%s LIKE '%s' AND id >= ? AND id < ?", st.column, status), []any{low, high}, order
	}
	return st.column + " BETWEEN ? AND ? AND id >= ? AND id < ?", []any{st.value, st.value, low, high}, order
}

func idOrder(id string, descending bool) string {
	if descending {
		return " ORDER BY " + id + " DESC"
	}
	return " ORDER BY " + id
}

// residualColumns returns the columns that residual conditions may read. The error text is
// included only if a condition reads it, because it is long.
func (p *plan) residualColumns() string {
	const columns = "id, status, service, type, action, instance, target_id, target_key, triggered_by, trigger_source, error_class, retry_of, retried_as, original, attempt, duration_ms, deadline_at, finished_at, error_signature, snap_bound"
	if p.readsError {
		return columns + ", error"
	}
	return columns
}

// union returns a query for columns of the first limit rows of each stream whose ids are in
// [low, high). The first column is the id.
func (p *plan) union(columns string, low, high int64, limit int, descending bool) (query string, args []any) {
	parts := make([]string, len(p.streams))
	for i, st := range p.streams {
		table := "nawasync_jobs"
		if st.byList {
			table = p.listTable
		}
		bounds, boundArgs, order := st.bounds(low, high, descending, p.rowBounds)
		// The limit is part of the text. With a parameter, the database may cache a plan that
		// reads far too many rows.
		parts[i] = "SELECT " + columns + " FROM (SELECT " + columns + " FROM " + table + " WHERE " + st.where + " AND " + bounds +
			order + fmt.Sprintf(" LIMIT %d) s%d", limit, i)
		args = append(append(args, st.args...), boundArgs...)
	}
	return "SELECT " + columns + " FROM (" + strings.Join(parts, " UNION ALL ") + ") u", args
}

// statuses returns the statuses that a matching job can have.
func (q Search) statuses() []Status {
	statuses := Statuses()
	for _, t := range q.Terms {
		switch {
		case t.Field == FieldStatus:
			statuses = slices.DeleteFunc(statuses, func(status Status) bool { return slices.Contains(t.Values, string(status)) == t.Not })
		case t.Field == FieldErrorGroup && !t.Not:
			statuses = slices.DeleteFunc(statuses, func(status Status) bool { return status != StatusFailed && status != StatusConflict })
		case t.Field == FieldStuck && !t.Not:
			statuses = slices.DeleteFunc(statuses, func(status Status) bool { return status != StatusRunning })
		}
	}
	if q.hasEndBounds() {
		statuses = slices.DeleteFunc(statuses, func(status Status) bool { return !status.Terminal() })
	}
	return statuses
}

// isSelective reports whether the search selects few rows by target, id, bulk run or deletion. The other
// terms are then residual conditions.
func (q Search) isSelective() bool {
	return q.Targets != nil || q.Deleted || q.ids() != nil || q.runs() != nil
}

// ids returns the values of a term that selects jobs by id, or nil.
func (q Search) ids() []string { return q.valuesOf(FieldID) }

// runs returns the values of a term that selects jobs by the bulk run that added them, or nil.
func (q Search) runs() []string { return q.valuesOf(FieldRun) }

// valuesOf returns the values of the first term of a field that is not negated, or nil.
func (q Search) valuesOf(field Field) []string {
	for _, t := range q.Terms {
		if t.Field == field && !t.Not {
			return t.Values
		}
	}
	return nil
}

func (r *Reader) plan(q Search, b searchBounds) (*plan, error) {
	p := &plan{low: b.low, high: b.high, listTable: r.dialect.ListRows(), rowBounds: r.dialect.Name == "postgres"}
	services, few := q.Services, b.selectsFewRows(q)
	var rest []Term
	for _, t := range q.Terms {
		switch {
		case b.byGroup && t.answeredByGroup(): // ended has no others
		case t.Field == FieldStatus && !few: // chooseStreams reads only these statuses
		case t.Field == FieldService && !t.Not && !few:
			if services == nil {
				services = t.Values
			} else {
				services = slices.DeleteFunc(slices.Clone(services), func(service string) bool { return !slices.Contains(t.Values, service) })
			}
		default:
			rest = append(rest, t)
		}
	}
	if b.byGroup {
		p.known = b.ended
	}
	if err := p.chooseStreams(q, b, services); err != nil {
		return p, err
	}
	if q.hasEndBounds() && b.ended == nil {
		p.addResidual("j.finished_at >= ? AND j.finished_at < ?", q.endBounds()...)
	}
	if r.limit.byInstance() && !b.byGroup {
		clause, args := r.limitCondition("j")
		p.addResidual(clause, args...)
	}
	for _, t := range rest {
		if err := p.addFilter(t, r.Now()); err != nil {
			return p, err
		}
	}
	// What a limited reader may see is not a search of its own.
	p.few = q.ids() != nil || q.runs() != nil || (q.Targets != nil && p.texts == 0) || len(rest) == 0
	return p, nil
}

func (p *plan) addStream(st stream) { p.streams = append(p.streams, st) }

func (p *plan) addResidual(clause string, args ...any) {
	p.residual, p.residualArgs = append(p.residual, clause), append(p.residualArgs, args...)
}

// chooseStreams adds the streams that read the fewest rows for the search.
func (p *plan) chooseStreams(q Search, b searchBounds, services []string) error {
	statuses := q.statuses()
	if q.Services != nil && b.selectsFewRows(q) && !b.byGroup {
		p.addResidual("j.service IN ?", append([]string{""}, q.Services...))
	}
	switch everyStatus := len(statuses) == len(Statuses()); {
	case q.ids() != nil:
		ids, err := parseIDs(q.ids())
		p.addStream(stream{where: "id IN ?", args: []any{ids}})
		return err
	case q.Targets != nil:
		p.addTargetStreams(q.Targets)
	case q.runs() != nil:
		runs, err := parseIDs(q.runs())
		p.addStream(stream{where: "id IN (SELECT job_id FROM nawasync_bulk_jobs WHERE run_id IN ?)", args: []any{runs}})
		return err
	case q.Deleted:
		p.addStream(stream{where: "deleted_at IS NOT NULL"})
	case b.ended != nil:
		if len(b.ended) > 0 {
			p.addStream(stream{where: "id IN ? AND deleted_at IS NULL", args: []any{b.ended}})
		}
	case everyStatus && services == nil:
		p.addStream(stream{where: "deleted_at IS NULL"})
	default:
		p.addStatusStreams(statuses, services, b.services)
	}
	return nil
}

func (p *plan) addTargetStreams(targets []Target) {
	keys := make([]int64, len(targets))
	for i, target := range targets {
		keys[i] = target.key()
	}
	for _, key := range keys {
		p.addStream(stream{where: "finished_at IS NOT NULL AND deleted_at IS NULL", column: "target_key", value: key})
	}
	if len(keys) > 0 {
		p.addStream(stream{where: "open_lane IS NOT NULL AND target_key IN ?", args: []any{keys}, openOnly: true})
	}
}

// addStatusStreams adds one stream for all open jobs, and one for each service and terminal
// status. If services is nil, the jobs of all services are read.
func (p *plan) addStatusStreams(statuses []Status, services, allServices []string) {
	if slices.ContainsFunc(statuses, func(status Status) bool { return !status.Terminal() }) {
		st := stream{where: "open_lane IS NOT NULL AND status IN ?", args: []any{statuses}, openOnly: true}
		if services != nil {
			st.where, st.args = st.where+" AND service IN ?", append(st.args, append([]string{""}, services...))
		}
		p.addStream(st)
	}
	if services == nil {
		services = allServices
	}
	for _, service := range services {
		for _, status := range statuses {
			if status.Terminal() {
				p.addStream(stream{
					where: "service = ? AND finished_at IS NOT NULL AND deleted_at IS NULL", args: []any{service},
					column: "status", value: status, byList: true,
				})
			}
		}
	}
}
