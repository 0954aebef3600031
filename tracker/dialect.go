package tracker

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// dialect is what the three databases say differently. A batch travels as one
// JSON parameter, so that a statement has one text, and is prepared once, for
// batches of every size.
type dialect struct {
	name      string
	returning bool // UPDATE … RETURNING
}

func dialectOf(name string) (dialect, error) {
	switch name {
	case "postgres", "sqlite":
		return dialect{name: name, returning: true}, nil
	case "mysql":
		return dialect{name: name}, nil
	}
	return dialect{}, fmt.Errorf("nawasync: database dialect %q is not supported; use postgres, mysql (MariaDB too) or sqlite", name)
}

// pinned holds PostgreSQL to the primary key: a plan that was made while the table
// was small, and is kept for the session, would read the whole table for every
// batch when it is large. As a subquery the array is parsed once, not per row.
func (d dialect) pinned(ids []int64) (clause string, args []any) {
	if d.name != "postgres" {
		return "", nil
	}
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(id, 10))
	}
	return " AND j.id = ANY((SELECT CAST(CAST(? AS text) AS bigint[]))::bigint[])", []any{"{" + b.String() + "}"}
}

// laneRows reads open jobs h of a lane by the lane's index. Left alone, every
// planner may prefer the primary key, "for the first match must be near", and walk
// over all rows that have ended. id is the h.id to compare and order by.
func (d dialect) laneRows() (table, id string) {
	switch d.name {
	case "postgres":
		return "nawasync_jobs h", "(h.id + 0)"
	case "mysql":
		return "nawasync_jobs h FORCE INDEX (nawasync_jobs_lane)", "h.id"
	}
	return "nawasync_jobs h INDEXED BY nawasync_jobs_lane", "h.id"
}

// listRows reads ended jobs by the lists' index. SQLite and MySQL would rather walk
// over the primary key until enough of them have come by.
func (d dialect) listRows() string {
	switch d.name {
	case "postgres":
		return "nawasync_jobs"
	case "mysql":
		return "nawasync_jobs FORCE INDEX (nawasync_jobs_list)"
	}
	return "nawasync_jobs INDEXED BY nawasync_jobs_list"
}

// joined says that h has its place in its lane. Its parameter is (now).
const joined = "(h.epoch > 0 OR h.not_before <= ?)"

// behind says that an earlier job of j's lane is open. Its parameter is (now).
func (d dialect) behind() string {
	table, id := d.laneRows()
	return "CASE WHEN EXISTS (SELECT 1 FROM " + table + " WHERE h.open_lane = j.lane AND " + id + " < j.id AND " + joined + ") THEN 1 ELSE 0 END"
}

const (
	// busy says that a job of j's lane runs. It and behind are no plain EXISTS: a
	// planner makes an anti-join of that, which may read every open job.
	busy = "CASE WHEN EXISTS (SELECT 1 FROM nawasync_jobs r WHERE r.running_lane = j.lane AND r.id <> j.id) THEN 1 ELSE 0 END"
	// pausedUntil is NULL when the scope of j is not paused. Its parameter is (now).
	pausedUntil = "(SELECT MAX(p.paused_until) FROM nawasync_scopes p WHERE p.service = j.service AND p.instance IN ('', j.instance) AND p.paused_until > ?)"
)

// standing are the columns after a job j's own that decide whether it may run.
// Their parameters are (now, now).
func (d dialect) standing() string { return ", " + d.behind() + ", " + busy + ", " + pausedUntil }

// kind is the text service/type/action.
func (d dialect) kind() string {
	if d.name == "mysql" {
		return "CONCAT(service, '/', type, '/', action)"
	}
	return "service || '/' || type || '/' || action"
}

// laneHeads selects the first open job of each lane of a rowset. Its parameters are
// (now, rowset).
func (d dialect) laneHeads() string {
	table, id := d.laneRows()
	return "SELECT (SELECT h.id FROM " + table + " WHERE h.open_lane = v_lane AND " + joined + " ORDER BY " + id + " LIMIT 1) FROM " + d.rowset("lane")
}

// column of a rowset: "id" is a number, "id:t" a text.
func split(column string) (name string, text bool) {
	name, kind, _ := strings.Cut(column, ":")
	return name, kind == "t"
}

// rowset turns one JSON parameter, an array of objects, into a table v whose
// columns are named v_<key>.
func (d dialect) rowset(columns ...string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		name, text := split(c)
		switch d.name {
		case "postgres":
			parts[i] = "v_" + name + " " + pick(text, "text", "bigint")
		case "mysql":
			parts[i] = "v_" + name + " " + pick(text, "MEDIUMTEXT CHARACTER SET utf8mb4", "BIGINT") + " PATH '$.v_" + name + "'"
		default:
			parts[i] = "json_extract(value, '$.v_" + name + "') AS v_" + name
		}
	}
	list := strings.Join(parts, ", ")
	switch d.name {
	case "postgres":
		return "json_to_recordset(CAST(? AS json)) AS v(" + list + ")"
	case "mysql":
		return "JSON_TABLE(?, '$[*]' COLUMNS(" + list + ")) AS v"
	}
	return "(SELECT " + list + " FROM json_each(?)) AS v"
}

func pick(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// update is a fenced change of many rows of nawasync_jobs.
type update struct {
	columns []string // of the rowset; "id" comes first
	set     string   // with bare column names on the left; may use v_… and bare columns
	fence   string   // may use v_… and bare columns
	args    []any    // of set, then of fence
}

// batch applies u to the rows, in tx, and returns the ids that passed the fence.
// Callers give the rows in order of id, so that two batches lock in one order.
func (s *Store) batch(tx *gorm.DB, u update, ids []int64, rows any) (map[int64]bool, error) {
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
	if s.dialect.returning {
		pin, pinArgs := s.dialect.pinned(ids)
		args := append(append(append(append([]any{}, u.args[:set]...), string(text)), u.args[set:]...), pinArgs...)
		err := each(tx, collect, "UPDATE nawasync_jobs AS j SET "+u.set+" FROM "+s.dialect.rowset(u.columns...)+
			" WHERE j.id = v_id AND "+u.fence+pin+" RETURNING "+pick(s.dialect.name == "postgres", "j.id", "id"), args...)
		return won, err
	}
	// Without RETURNING: lock and judge, then write by primary key. The rowset first:
	// a plan that begins with the jobs locks others on its way.
	fenceArgs := append([]any{string(text)}, u.args[set:]...)
	err = each(tx, collect, "SELECT j.id FROM "+s.dialect.rowset(u.columns...)+
		" STRAIGHT_JOIN nawasync_jobs j ON j.id = v_id WHERE "+u.fence+" ORDER BY j.id FOR UPDATE", fenceArgs...)
	if err != nil || len(won) == 0 {
		return won, err
	}
	args := append([]any{string(text)}, u.args[:set]...)
	return won, tx.Exec("UPDATE nawasync_jobs j JOIN "+s.dialect.rowset(u.columns...)+
		" ON j.id = v_id SET "+u.set+" WHERE j.id IN ?", append(args, slices.Collect(maps.Keys(won)))...).Error
}
