package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// plan is how a search is read: streams, each in the order of an index, and what each
// of their rows must be asked besides.
type plan struct {
	streams      []stream
	residual     []string
	residualArgs []any
	wide         bool // they ask about the error's text
	low, high    int64
	listed       string // the jobs by the lists' index
}

type stream struct {
	where string
	args  []any
	open  bool // of the open jobs, which are few
	list  bool // in the order of the lists' index
}

// residualColumns are those that conditions on each row may ask about, the wide text
// only where one does.
func (p *plan) residualColumns() string {
	const columns = "id, status, service, type, action, instance, target_id, target_key, triggered_by, trigger_source, error_class, retry_of, attempt, duration_ms, deadline_at, finished_at"
	if p.wide {
		return columns + ", error"
	}
	return columns
}

// union selects columns, beginning with the id, of all streams between low and high,
// the first limit of each.
func (p *plan) union(columns string, low, high int64, limit int, order string) (query string, args []any) {
	parts := make([]string, len(p.streams))
	for i, st := range p.streams {
		// The open jobs have an index of their own. A plan that is kept for any bounds
		// would take these for narrow, and go through the primary key of all jobs.
		id := "id"
		if st.open {
			id = "(id + 0)"
		}
		// Limits are written out: a plan that is kept for any limit reads far too much.
		table := "nawasync_jobs"
		if st.list {
			table = p.listed
		}
		parts[i] = "SELECT " + columns + " FROM (SELECT " + columns + " FROM " + table + " WHERE " + st.where + " AND " + id + " >= ? AND " + id + " < ?" +
			order + fmt.Sprintf(" LIMIT %d) s%d", limit, i)
		args = append(append(args, st.args...), low, high)
	}
	return "SELECT " + columns + " FROM (" + strings.Join(parts, " UNION ALL ") + ") u", args
}

// searchBounds is what the plans of one search have in common.
type searchBounds struct {
	low, high int64
	services  []string // those that there are, where a plan may need them
	ended     []int64  // the jobs that ended in time, where they are few; else nil
}

func (r *Reader) searchBounds(ctx context.Context, q Search) (g searchBounds, err error) {
	g.high = math.MaxInt64
	if !q.From.IsZero() {
		if g.low, err = r.boundIDs(ctx, q.From); err != nil {
			return g, err
		}
	}
	if !q.To.IsZero() {
		if g.high, err = r.boundIDs(ctx, q.To); err != nil {
			return g, err
		}
	}
	if q.ended() && !q.isSelective() {
		if g.ended, err = r.endedIDs(ctx, q); err != nil {
			return g, err
		}
	}
	if q.Services == nil && (len(q.Terms) > 0 || q.ended()) && !g.few(q) {
		g.services, err = r.Services(ctx)
	}
	return g, err
}

// few reports whether few rows are meant, by the search or as it turned out.
func (g searchBounds) few(q Search) bool { return g.ended != nil || q.isSelective() }

func (q Search) ended() bool { return !q.EndedFrom.IsZero() || !q.EndedTo.IsZero() }

// endedBounds are those of the time of the end, in microseconds.
func (q Search) endedBounds() []any {
	from, to := int64(0), int64(math.MaxInt64)
	if !q.EndedFrom.IsZero() {
		from = q.EndedFrom.UnixMicro()
	}
	if !q.EndedTo.IsZero() {
		to = q.EndedTo.UnixMicro()
	}
	return []any{from, to}
}

// endedIDs are the jobs that ended between the search's bounds, or nil where they are
// more than CountUpTo: then jobs are looked at one by one, and most of them fit.
func (r *Reader) endedIDs(ctx context.Context, q Search) ([]int64, error) {
	var parts []string
	var args []any
	for _, status := range q.statuses() {
		if status.Terminal() {
			parts = append(parts, "SELECT id FROM (SELECT id FROM nawasync_jobs WHERE status = '"+string(status)+
				"' AND finished_at IS NOT NULL AND finished_at >= ? AND finished_at < ? ORDER BY finished_at"+
				fmt.Sprintf(" LIMIT %d) %s", MaxCount+1, status))
			args = append(args, q.endedBounds()...)
		}
	}
	ids := []int64{}
	if len(parts) == 0 {
		return ids, nil
	}
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM ("+strings.Join(parts, " UNION ALL ")+fmt.Sprintf(") e LIMIT %d", MaxCount+1), args...)
	if err != nil {
		return nil, fmt.Errorf("search what ended: %w", err)
	}
	if len(ids) > MaxCount {
		return nil, nil
	}
	return ids, nil
}

// statuses are those that the search's terms leave.
func (q Search) statuses() []Status {
	statuses := Statuses()
	for _, t := range q.Terms {
		switch {
		case t.Field == FieldStatus:
			statuses = slices.DeleteFunc(statuses, func(status Status) bool { return slices.Contains(t.Values, string(status)) == t.Not })
		case t.Field == FieldStuck && !t.Not:
			statuses = slices.DeleteFunc(statuses, func(status Status) bool { return status != StatusRunning })
		}
	}
	if q.ended() {
		statuses = slices.DeleteFunc(statuses, func(status Status) bool { return !status.Terminal() })
	}
	return statuses
}

// isSelective reports whether few rows are meant: each of them is asked everything.
func (q Search) isSelective() bool { return q.Targets != nil || q.Deleted || q.ids() != nil }

// ids are the values of a term that names jobs, or nil.
func (q Search) ids() []string {
	for _, t := range q.Terms {
		if t.Field == FieldID && !t.Not {
			return t.Values
		}
	}
	return nil
}

func (r *Reader) plan(q Search, g searchBounds) (*plan, error) {
	p := &plan{low: g.low, high: g.high, listed: r.dialect.ListRows()}
	services, few := q.Services, g.few(q)
	var rest []Term
	for _, t := range q.Terms {
		switch {
		case t.Field == FieldStatus && !few: // the streams are of these only
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
	if err := p.chooseStreams(q, g, services); err != nil {
		return p, err
	}
	if q.ended() && g.ended == nil {
		p.residual, p.residualArgs = append(p.residual, "j.finished_at >= ? AND j.finished_at < ?"), append(p.residualArgs, q.endedBounds()...)
	}
	for _, t := range rest {
		if err := p.addFilter(t, r.Now()); err != nil {
			return p, err
		}
	}
	return p, nil
}

// chooseStreams chooses the streams.
func (p *plan) chooseStreams(q Search, g searchBounds, services []string) error {
	statuses := q.statuses()
	add := func(st stream) { p.streams = append(p.streams, st) }
	if q.Services != nil && g.few(q) {
		p.residual, p.residualArgs = append(p.residual, "j.service IN ?"), append(p.residualArgs, append([]string{""}, q.Services...))
	}
	switch every := len(statuses) == len(Statuses()); {
	case q.ids() != nil:
		ids, err := parseIDs(q.ids())
		add(stream{where: "id IN ?", args: []any{ids}})
		return err
	case q.Targets != nil:
		keys := make([]int64, len(q.Targets))
		for i, target := range q.Targets {
			keys[i] = target.key()
		}
		for _, key := range keys {
			add(stream{where: "target_key = ? AND finished_at IS NOT NULL AND deleted_at IS NULL", args: []any{key}})
		}
		if len(keys) > 0 {
			add(stream{where: "open_lane IS NOT NULL AND target_key IN ?", args: []any{keys}, open: true})
		}
		return nil
	case q.Deleted:
		add(stream{where: "deleted_at IS NOT NULL"})
		return nil
	case g.ended != nil:
		if len(g.ended) > 0 {
			add(stream{where: "id IN ? AND deleted_at IS NULL", args: []any{g.ended}})
		}
		return nil
	case every && services == nil:
		add(stream{where: "deleted_at IS NULL"})
		return nil
	}
	if slices.ContainsFunc(statuses, func(status Status) bool { return !status.Terminal() }) {
		st := stream{where: "open_lane IS NOT NULL AND status IN ?", args: []any{statuses}, open: true}
		if services != nil {
			st.where, st.args = st.where+" AND service IN ?", append(st.args, append([]string{""}, services...))
		}
		add(st)
	}
	if services == nil {
		services = g.services
	}
	for _, service := range services {
		for _, status := range statuses {
			if status.Terminal() {
				add(stream{where: "service = ? AND status = '" + string(status) + "' AND finished_at IS NOT NULL AND deleted_at IS NULL", args: []any{service}, list: true})
			}
		}
	}
	return nil
}

// addFilter adds a condition on each row.
func (p *plan) addFilter(t Term, now time.Time) error {
	columns := map[Field]string{
		FieldID: "j.id", FieldStatus: "j.status", FieldService: "j.service", FieldType: "j.type", FieldAction: "j.action", FieldInstance: "j.instance",
		FieldTarget: "j.target_id",
		FieldBy:     "j.triggered_by", FieldSource: "j.trigger_source", FieldClass: "COALESCE(j.error_class, '')", FieldRetryOf: "COALESCE(j.retry_of, 0)",
	}
	var clause string
	var args []any
	switch t.Field {
	case FieldStuck:
		clause, args = "(j.status = 'running' AND j.deadline_at IS NOT NULL AND j.deadline_at < ?)", []any{now.UnixMicro()}
	case FieldRepaired:
		clause = "EXISTS (SELECT 1 FROM nawasync_jobs r WHERE r.target_key = j.target_key AND r.id > j.id AND r.finished_at IS NOT NULL AND r.status = 'success' AND r.action <> '" + RefreshAction + "')"
	case FieldError, FieldText:
		p.wide = true
		var either []string
		for _, value := range t.Values {
			like := "%" + sqlkit.EscapeLike(strings.ToLower(value)) + "%"
			either, args = append(either, "LOWER(COALESCE(j.error, '')) LIKE ? ESCAPE '!'"), append(args, like)
			if t.Field == FieldText {
				either, args = append(either, "LOWER(j.target_id) LIKE ? ESCAPE '!'"), append(args, like)
			}
		}
		clause = "(" + strings.Join(either, " OR ") + ")"
	case FieldAttempts, FieldDuration:
		column := map[Field]string{FieldAttempts: "j.attempt", FieldDuration: "COALESCE(j.duration_ms, 0)"}[t.Field]
		if len(t.Values) != 1 {
			return fmt.Errorf("a term of %s has %d values", t.Field, len(t.Values))
		}
		op := cmp.Or(t.Op, "=")
		if op != "=" && op != ">" && op != "<" {
			return fmt.Errorf("a term of %s compares with %q; it may be \"\", \">\" or \"<\"", t.Field, t.Op)
		}
		if _, err := strconv.ParseFloat(t.Values[0], 64); err != nil {
			return fmt.Errorf("a term of %s compares with %q, which is no number", t.Field, t.Values[0])
		}
		clause, args = column+" "+op+" CAST(? AS DECIMAL)", []any{t.Values[0]}
	default:
		column, ok := columns[t.Field]
		if !ok {
			return fmt.Errorf("no search by %q", t.Field)
		}
		clause, args = column+" IN ?", []any{t.Values}
		if t.Field == FieldID || t.Field == FieldRetryOf {
			ids, err := parseIDs(t.Values)
			if err != nil {
				return err
			}
			args = []any{ids}
		}
	}
	if t.Not {
		clause = "NOT (" + clause + ")"
	}
	p.residual, p.residualArgs = append(p.residual, clause), append(p.residualArgs, args...)
	return nil
}
