package mirror

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// remade reports whether two values with the same key are known to be different objects: the older one
// was deleted, and its name is used again. A zero value was never fetched, and shows nothing.
func (m *model) remade(a, b reflect.Value) bool {
	return slices.ContainsFunc(m.incarnation, func(f *field) bool {
		return !f.value(a).IsZero() && !f.value(b).IsZero() && !f.equal(a, b)
	})
}

// sameIncarnation reports whether a deleted row is known to be of the object that was listed.
func (m *model) sameIncarnation(row, object reflect.Value, fetched []*field) bool {
	return !slices.ContainsFunc(m.incarnation, func(f *field) bool { return !slices.Contains(fetched, f) || !f.equal(row, object) })
}

// incarnationText says how the incarnations of two values differ.
func (m *model) incarnationText(before, now reflect.Value) string {
	var parts []string
	for _, f := range m.incarnation {
		if !f.equal(before, now) {
			parts = append(parts, fmt.Sprintf("its %s is %.80s and was %.80s", f.column, keyPart(f.value(now)), keyPart(f.value(before))))
		}
	}
	return strings.Join(parts, ", ")
}

// replacedRows are rows whose objects were made again, and the new objects.
type replacedRows struct {
	rows  []reflect.Value
	items []listedItem
}

func (p *replacedRows) add(row reflect.Value, it listedItem) {
	p.rows, p.items = append(p.rows, row), append(p.items, it)
}

// replace marks the rows as deleted and returns the new objects, which need rows of their own. More
// than Config.Limit allows are refused instead: a server or an adapter that begins to report other
// incarnations would else replace every row, and the host's columns would be hidden with them.
func (s *reconcile) replace(tx *gorm.DB, p replacedRows, out *batchResult) ([]listedItem, error) {
	if len(p.rows) == 0 {
		return nil, nil
	}
	limit, err := s.readReplaceLimit(tx)
	if err != nil {
		return nil, err
	}
	if s.replacedSoFar()+int64(len(p.rows)) > limit {
		for i, row := range p.rows {
			out.refused = append(out.refused, fmt.Sprintf("%.80q: it is another object than that of row %d: %s; more than %d rows of the scope are affected, so it was not replaced; check the adapter, or raise Config.Limit",
				s.repo.model.target(row), s.repo.model.idOf(row), s.repo.model.incarnationText(row, p.items[i].value), limit))
		}
		return nil, nil
	}
	var ids []int64
	for _, row := range p.rows {
		ids = append(ids, s.repo.model.idOf(row))
		s.record(&out.changes, row, tracker.ChangeDeleted, nil)
	}
	out.replaced += int64(len(ids))
	if s.attempt == nil {
		s.planRows(plannedReplaced, tracker.ChangeDeleted, p.rows...)
		return p.items, nil
	}
	out.seen = slices.DeleteFunc(out.seen, func(id int64) bool { return slices.Contains(ids, id) }) // the new rows count instead
	return p.items, s.repo.markDeleted(tx, ids)
}

// replaceWindow is the time in which Config.Limit limits how many rows syncs replace.
const replaceWindow = 24 * time.Hour

// readReplaceLimit returns how many rows of the scope a sync may replace.
func (s *reconcile) readReplaceLimit(tx *gorm.DB) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replaceLimit == nil {
		where, args := s.inScope()
		var rows int64
		err := tx.Table(s.repo.model.table).Where(where+"last_synced_at IS NOT NULL AND deleted_at IS NULL", args...).Count(&rows).Error
		if err != nil {
			return 0, fmt.Errorf("count the rows of %s: %w", s.repo.model.table, err)
		}
		// Those that other attempts and syncs have replaced count too.
		var recent int64
		since := nawasync.Timestamp{Time: s.repo.now().Add(-replaceWindow)}
		err = tx.Unscoped().Table(s.repo.model.table).Where(where+isDeleted+" AND deleted_at >= ? AND deleted_job_id IS NULL", append(slices.Clone(args), since)...).Count(&recent).Error
		if err != nil {
			return 0, fmt.Errorf("count the deleted rows of %s: %w", s.repo.model.table, err)
		}
		limit := s.repo.limit(rows) - recent
		s.replaceLimit = &limit
	}
	return *s.replaceLimit, nil
}

func (s *reconcile) replacedSoFar() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replaced
}
