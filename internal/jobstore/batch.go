package jobstore

import (
	"database/sql"
	"encoding/json"
	"maps"
	"slices"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// updateStatement is an UPDATE of many rows of nawasync_jobs. It changes only rows that pass
// its fence: a condition that a row fails when another process has changed it.
type updateStatement struct {
	columns []string // columns of the rowset; "id" comes first
	set     string   // assigns to bare column names; may read v_… and bare columns
	fence   string   // a condition on j and v_…, without parameters
	args    []any    // parameters of set
	own     bool     // the transaction is one of the Store, which limits how long it may be idle
}

// batch applies u to the rows and returns the ids that passed the fence. It leaves out rows that
// another transaction has locked: it never waits for a row.
func (s *Store) batch(conn *sqlkit.Conn, u updateStatement, ids []int64, rows any) (map[int64]bool, error) {
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
	rowset := s.dialect.Rowset(u.columns...)
	switch s.dialect.Name {
	case "postgres":
		pin, pinArgs := s.dialect.Pinned(ids)
		args := append(append([]any{string(text)}, pinArgs...), u.args...)
		idle := ""
		if u.own {
			idle = s.idleLimited()
		}
		err := sqlkit.Each(conn, collect, "WITH l AS MATERIALIZED (SELECT v.* FROM "+idle+rowset+" JOIN nawasync_jobs j ON j.id = v_id WHERE "+u.fence+pin+
			" FOR UPDATE OF j SKIP LOCKED) UPDATE nawasync_jobs AS j SET "+u.set+" FROM l WHERE j.id = v_id RETURNING j.id", args...)
		return won, err
	case "sqlite":
		err := sqlkit.Each(conn, collect, "UPDATE nawasync_jobs AS j SET "+u.set+" FROM "+rowset+" WHERE j.id = v_id AND "+u.fence+" RETURNING id",
			append(slices.Clone(u.args), string(text))...)
		return won, err
	}
	// Without RETURNING, lock the rows that pass the fence, then update them by primary key.
	// STRAIGHT_JOIN reads the rowset first: a plan that starts with nawasync_jobs would also
	// lock the rows of other jobs, and without the index a scan of a small table would wait for them.
	err = sqlkit.Each(conn, collect, "SELECT j.id FROM "+rowset+" STRAIGHT_JOIN nawasync_jobs j FORCE INDEX (PRIMARY) ON j.id = v_id WHERE "+u.fence+
		" ORDER BY j.id FOR UPDATE SKIP LOCKED", string(text))
	if err != nil || len(won) == 0 {
		return won, err
	}
	args := append([]any{string(text)}, u.args...)
	return won, conn.Exec("UPDATE "+rowset+" STRAIGHT_JOIN nawasync_jobs j FORCE INDEX (PRIMARY) ON j.id = v_id SET "+u.set+" WHERE j.id IN ?",
		append(args, slices.Collect(maps.Keys(won)))...).Error
}
