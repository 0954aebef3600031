package jobstore

import (
	"context"
	"fmt"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// unlockedBatch is how many rows one statement of Unlocked reads. The statement always has as many
// parameters, so that it is prepared only once for each table.
const unlockedBatch = 256

// Unlocked reports for each of the errors whether its row is free by now, or deleted. It asks for many
// rows in one statement and keeps no lock: it costs less than as many outcomes that are tried again.
func (s *Store) Unlocked(ctx context.Context, locked []*LockedError) ([]bool, error) {
	byTable := map[string][]int{}
	for i, e := range locked {
		byTable[e.table] = append(byTable[e.table], i)
	}
	free := make([]bool, len(locked))
	for table, indexes := range byTable {
		for first := 0; first < len(indexes); first += unlockedBatch {
			chunk := indexes[first:min(len(indexes), first+unlockedBatch)]
			if err := s.findUnlocked(s.DB(ctx), table, locked, chunk, free); err != nil {
				return nil, fmt.Errorf("look for unlocked rows of %s: %w", table, err)
			}
		}
	}
	return free, nil
}

// findUnlocked sets the entries of free for the errors with the given indexes, whose rows are in one
// table.
func (s *Store) findUnlocked(conn *sqlkit.Conn, table string, locked []*LockedError, indexes []int, free []bool) error {
	ids := make([]int64, unlockedBatch)
	for i := range ids {
		ids[i] = locked[indexes[min(i, len(indexes)-1)]].id
	}
	query := "SELECT id FROM " + table + " WHERE id IN ?"
	existing, err := sqlkit.Column[int64](conn, query, ids)
	if err != nil {
		return err
	}
	got, err := sqlkit.Column[int64](conn, query+s.dialect.SkipLocked(), ids)
	if err != nil {
		return err
	}
	held := map[int64]bool{}
	for _, id := range existing {
		held[id] = true
	}
	for _, id := range got {
		held[id] = false
	}
	for _, i := range indexes {
		free[i] = !held[locked[i].id]
	}
	return nil
}
