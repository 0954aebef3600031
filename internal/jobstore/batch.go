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

// updateStatement is an UPDATE of many rows of nawasync_jobs. It changes only rows that pass
// its fence: a condition that a row fails when another process has changed it.
type updateStatement struct {
	columns []string // columns of the rowset; "id" comes first
	set     string   // assigns to bare column names; may read v_… and bare columns
	fence   string   // may read v_… and bare columns
	args    []any    // parameters of set, then of fence
}

// batch applies u to the rows in tx and returns the ids that passed the fence. Callers sort
// the rows by id: all batches then lock rows in the same order and do not deadlock.
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
	// Without RETURNING, lock the rows that pass the fence, then update them by primary key.
	// STRAIGHT_JOIN reads the rowset first: a plan that starts with nawasync_jobs would also
	// lock the rows of other jobs.
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
