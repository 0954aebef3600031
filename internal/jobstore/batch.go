package jobstore

import (
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// updateStatement is a fenced change of many rows of nawasync_jobs.
type updateStatement struct {
	columns []string // of the rowset; "id" comes first
	set     string   // with bare column names on the left; may use v_… and bare columns
	fence   string   // may use v_… and bare columns
	args    []any    // of set, then of fence
}

// batch applies u to the rows, in tx, and returns the ids that passed the fence.
// Callers give the rows in order of id, so that two batches lock in one order.
func (s *Store) batch(tx *gorm.DB, u updateStatement, ids []int64, rows any) (map[int64]bool, error) {
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	won := map[int64]bool{}
	collect := func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		won[id] = true
		return nil
	}
	set := strings.Count(u.set, "?")
	if s.dialect.Returning {
		pin, pinArgs := s.dialect.Pinned(ids)
		args := append(append(append(append([]any{}, u.args[:set]...), string(text)), u.args[set:]...), pinArgs...)
		err := sqlkit.Each(tx, collect, "UPDATE nawasync_jobs AS j SET "+u.set+" FROM "+s.dialect.Rowset(u.columns...)+
			" WHERE j.id = v_id AND "+u.fence+pin+" RETURNING "+sqlkit.Pick(s.dialect.Name == "postgres", "j.id", "id"), args...)
		return won, err
	}
	// Without RETURNING: lock and judge, then write by primary key. The rowset first:
	// a plan that begins with the jobs locks others on its way.
	fenceArgs := append([]any{string(text)}, u.args[set:]...)
	err = sqlkit.Each(tx, collect, "SELECT j.id FROM "+s.dialect.Rowset(u.columns...)+
		" STRAIGHT_JOIN nawasync_jobs j ON j.id = v_id WHERE "+u.fence+" ORDER BY j.id FOR UPDATE", fenceArgs...)
	if err != nil || len(won) == 0 {
		return won, err
	}
	args := append([]any{string(text)}, u.args[:set]...)
	return won, tx.Exec("UPDATE nawasync_jobs j JOIN "+s.dialect.Rowset(u.columns...)+
		" ON j.id = v_id SET "+u.set+" WHERE j.id IN ?", append(args, slices.Collect(maps.Keys(won)))...).Error
}
