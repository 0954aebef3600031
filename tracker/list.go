package tracker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Filter selects jobs; zero fields do not select. Services is a limit on top of
// the others: what the reader may see; nil is every service.
type Filter struct {
	Services    []string
	Service     string
	Type        string
	Action      string
	Instance    string
	TargetKey   int64
	TargetID    string
	Statuses    []Status
	TriggeredBy string
	ErrorClass  string
	CreatedFrom time.Time // inclusive
	CreatedTo   time.Time // exclusive
}

// Page is one page of a list, newest first.
type Page struct {
	Jobs []*Job // without arguments, results and diffs
	// Next is the Before of the following page; 0 says that this is the last.
	Next int64
}

// List returns up to limit jobs (1 to 500) with ids below before (0: the newest),
// newest first. Pages are by id: rows that come and go between two pages neither
// repeat nor hide others.
func (s *Store) List(ctx context.Context, f Filter, before int64, limit int) (Page, error) {
	limit = min(max(limit, 1), 500)
	where, args := f.where()
	if before > 0 {
		where, args = append(where, "j.id < ?"), append(args, before)
	}
	// Lists are indexed among the ended jobs only, so that a job's way costs no
	// writes to them; open jobs are few, and have an index of their own.
	var list []*Job
	for _, part := range []string{"j.finished_at IS NOT NULL", "j.open_lane IS NOT NULL"} {
		if !f.mayBe(part) {
			continue
		}
		jobs, err := s.jobs(s.DB(ctx), false, "WHERE "+strings.Join(append([]string{part}, where...), " AND ")+" ORDER BY j.id DESC LIMIT ?", append(slices.Clone(args), limit+1)...)
		if err != nil {
			return Page{}, fmt.Errorf("nawasync: list jobs: %w", err)
		}
		list = append(list, jobs...)
	}
	// A job that ended between the two reads is in both.
	slices.SortStableFunc(list, func(a, b *Job) int { return cmp.Compare(b.ID, a.ID) })
	list = slices.CompactFunc(list, func(a, b *Job) bool { return a.ID == b.ID })
	page := Page{Jobs: list}
	if len(list) > limit {
		page.Jobs = list[:limit]
		page.Next = page.Jobs[limit-1].ID
	}
	return page, nil
}

// CountOpen counts a service's queued and running jobs, up to limit, in tx or, when
// it is nil, outside of any transaction.
func (s *Store) CountOpen(ctx context.Context, tx *gorm.DB, service string, limit int) (int, error) {
	if tx == nil {
		tx = s.db
	}
	var n int
	err := session(ctx, tx).Raw("SELECT COUNT(*) FROM (SELECT 1 FROM nawasync_jobs WHERE open_lane IS NOT NULL AND service = ? LIMIT ?) AS r", service, limit).Row().Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("nawasync: count open jobs: %w", err)
	}
	return n, nil
}

// NewerSuccess returns the id of a job of the same target that succeeded after
// the given one was dispatched, or 0.
func (s *Store) NewerSuccess(ctx context.Context, j *Job) (int64, error) {
	list, err := s.jobs(s.DB(ctx), false,
		"WHERE j.target_key = ? AND j.id > ? AND j.finished_at IS NOT NULL AND j.status = 'success' AND j.action <> '"+RefreshAction+"' AND j.target_id = ? AND j.service = ? ORDER BY j.id LIMIT 1", j.TargetKey, j.ID, j.TargetID, j.Service)
	if err != nil {
		return 0, fmt.Errorf("nawasync: look for a newer success: %w", err)
	}
	if len(list) == 0 {
		return 0, nil
	}
	return list[0].ID, nil
}

// mayBe reports whether the statuses asked for leave that part of the jobs.
func (f Filter) mayBe(part string) bool {
	terminal := part == "j.finished_at IS NOT NULL"
	return len(f.Statuses) == 0 || slices.ContainsFunc(f.Statuses, func(s Status) bool { return s.Terminal() == terminal })
}

func (f Filter) where() (where []string, args []any) {
	add := func(clause string, arg any) {
		where, args = append(where, clause), append(args, arg)
	}
	if f.Services != nil {
		add("j.service IN ?", append([]string{""}, f.Services...))
	}
	for _, equal := range []struct{ column, value string }{
		{"service", f.Service},
		{"type", f.Type},
		{"action", f.Action},
		{"instance", f.Instance},
		{"target_id", f.TargetID},
		{"triggered_by", f.TriggeredBy},
		{"error_class", f.ErrorClass},
	} {
		if equal.value != "" {
			add("j."+equal.column+" = ?", equal.value)
		}
	}
	if f.TargetKey != 0 {
		add("j.target_key = ?", f.TargetKey)
	}
	if len(f.Statuses) > 0 {
		add("j.status IN ?", f.Statuses)
	}
	if !f.CreatedFrom.IsZero() {
		add("j.created_at >= ?", f.CreatedFrom.UnixMicro())
	}
	if !f.CreatedTo.IsZero() {
		add("j.created_at < ?", f.CreatedTo.UnixMicro())
	}
	return where, args
}
