package mirror

import (
	"context"
	"fmt"
	"slices"
)

// scanIDs is how many ids skipListed reads in one query, at most.
const scanIDs = 20_000

// skipListed counts the rows after an id that were listed, up to the first one that was not. It returns
// the id of the last row that it has counted, and whether no rows are left. If rows may be outside the
// listing, it counts none: to tell them, all their columns are needed.
func (s *reconcile) skipListed(ctx context.Context, after int64, out *missingRows) (last int64, all bool, err error) {
	last = after
	if len(s.skipped) > 0 || s.outside.Len() > 0 {
		return last, false, nil
	}
	where, args := s.inScope()
	query := "SELECT id FROM " + s.repo.quoted + " WHERE " + where + "id > ? AND id <= ? AND deleted_at IS NULL AND last_synced_at IS NOT NULL ORDER BY id LIMIT ?"
	for limit := scanRows; ; limit = min(2*limit, scanIDs) {
		n, listed := 0, true
		err := s.eachID(ctx, query, append(slices.Clone(args), last, s.maxID, limit), func(id int64) bool {
			n++
			if listed = s.collided.Has(id) || s.seen.Has(id); !listed {
				return false
			}
			last = id
			if s.collided.Has(id) { // its object is that of another row
				return true
			}
			out.everSynced++
			out.listed++
			if out.kept.Has(id) {
				out.returned = append(out.returned, id)
			}
			return true
		})
		if err != nil || !listed || n < limit {
			return last, listed, err
		}
	}
}

// eachID calls fn with the ids that a query finds, until fn returns false.
func (s *reconcile) eachID(ctx context.Context, query string, args []any, fn func(id int64) bool) error {
	rows, err := s.repo.db(ctx).Raw(query, args...).Rows()
	if err != nil {
		return fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	defer func() { _ = rows.Close() }()
	var id scannedID
	for rows.Next() {
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("read %s: %w", s.repo.model.table, err)
		}
		if !fn(int64(id)) {
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	return nil
}
