package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// searchBounds holds what must be looked up once before the plans of one search can be made.
type searchBounds struct {
	low, high int64
	services  []string // all services with jobs; nil if no plan needs them
	ended     []int64  // the jobs that ended within the search's bounds; nil if there are too many or no bounds
	byGroup   bool     // ended has only the jobs of the search's error groups
}

func (r *Reader) searchBounds(ctx context.Context, q Search) (b searchBounds, err error) {
	b.high = math.MaxInt64
	if !q.From.IsZero() {
		if b.low, err = r.firstIDSince(ctx, q.From); err != nil {
			return b, err
		}
	}
	if !q.To.IsZero() {
		if b.high, err = r.firstIDSince(ctx, q.To); err != nil {
			return b, err
		}
	}
	if q.isByGroup() {
		if b.ended, err = r.groupIDs(ctx, q); err != nil {
			return b, err
		}
		b.byGroup = b.ended != nil
	} else if q.hasEndBounds() && !q.isSelective() {
		if b.ended, err = r.endedIDs(ctx, q); err != nil {
			return b, err
		}
	}
	if q.Services == nil && (len(q.Terms) > 0 || q.hasEndBounds()) && !b.selectsFewRows(q) {
		b.services, err = r.Services(ctx)
	}
	return b, err
}

// selectsFewRows reports whether the search selects few rows: by its terms, or because few
// jobs ended within its bounds.
func (b searchBounds) selectsFewRows(q Search) bool { return b.ended != nil || q.isSelective() }

func (q Search) hasEndBounds() bool { return !q.EndedFrom.IsZero() || !q.EndedTo.IsZero() }

// endBounds returns EndedFrom and EndedTo in microseconds.
func (q Search) endBounds() []any {
	from, to := int64(0), int64(math.MaxInt64)
	if !q.EndedFrom.IsZero() {
		from = q.EndedFrom.UnixMicro()
	}
	if !q.EndedTo.IsZero() {
		to = q.EndedTo.UnixMicro()
	}
	return []any{from, to}
}

// endedIDs returns the ids of the jobs that ended within the search's bounds. It returns nil if
// there are more than MaxCount. Then the search checks the end time of each row it reads, and
// most rows match.
func (r *Reader) endedIDs(ctx context.Context, q Search) ([]int64, error) {
	var parts []string
	var args []any
	for _, status := range q.statuses() {
		if status.Terminal() {
			parts = append(parts, "SELECT id FROM (SELECT id FROM nawasync_jobs WHERE status = '"+string(status)+
				"' AND finished_at IS NOT NULL AND finished_at >= ? AND finished_at < ? ORDER BY finished_at"+
				fmt.Sprintf(" LIMIT %d) %s", MaxCount+1, status))
			args = append(args, q.endBounds()...)
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
		return nil, fmt.Errorf("search jobs by end time: %w", err)
	}
	if len(ids) > MaxCount {
		return nil, nil
	}
	return ids, nil
}
