// Package sqlkit has what the databases say differently, and how statements run and fail
// on them.
package sqlkit

import (
	"fmt"
	"strconv"
	"strings"
)

// SQLiteOptions are the options that nawasync wants of an SQLite DSN, "file:app.db" before
// them.
const SQLiteOptions = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_txlock=immediate"

// Dialect is what the three databases say differently. A batch travels as one
// JSON parameter, so that a statement has one text, and is prepared once, for
// batches of every size.
type Dialect struct {
	Name      string
	Returning bool // UPDATE … RETURNING
}

// Pinned holds PostgreSQL to the primary key: a plan that was made while the table
// was small, and is kept for the session, would read the whole table for every
// batch when it is large. As a subquery the array is parsed once, not per row.
func (d Dialect) Pinned(ids []int64) (clause string, args []any) {
	if d.Name != "postgres" {
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

// LaneRows reads open jobs h of a lane by the lane's index. Left alone, every
// planner may prefer the primary key, "for the first match must be near", and walk
// over all rows that have ended. id is the h.id to compare and order by.
func (d Dialect) LaneRows() (table, id string) {
	switch d.Name {
	case "postgres":
		return "nawasync_jobs h", "(h.id + 0)"
	case "mysql":
		return "nawasync_jobs h FORCE INDEX (nawasync_jobs_lane)", "h.id"
	}
	return "nawasync_jobs h INDEXED BY nawasync_jobs_lane", "h.id"
}

// ListRows reads ended jobs by the lists' index. SQLite and MySQL would rather walk
// over the primary key until enough of them have come by.
func (d Dialect) ListRows() string {
	switch d.Name {
	case "postgres":
		return "nawasync_jobs"
	case "mysql":
		return "nawasync_jobs FORCE INDEX (nawasync_jobs_list)"
	}
	return "nawasync_jobs INDEXED BY nawasync_jobs_list"
}

// Behind says that an earlier job of j's lane is open. Its parameter is (now).
func (d Dialect) Behind() string {
	table, id := d.LaneRows()
	return "CASE WHEN EXISTS (SELECT 1 FROM " + table + " WHERE h.open_lane = j.lane AND " + id + " < j.id AND " + joined + ") THEN 1 ELSE 0 END"
}

const (
	// LaneBusy says that a job of j's lane runs. It and behind are no plain EXISTS: a
	// planner makes an anti-join of that, which may read every open job.
	LaneBusy = "CASE WHEN EXISTS (SELECT 1 FROM nawasync_jobs r WHERE r.running_lane = j.lane AND r.id <> j.id) THEN 1 ELSE 0 END"
	// PausedUntil is NULL when the scope of j is not paused. Its parameter is (now).
	PausedUntil = "(SELECT MAX(p.paused_until) FROM nawasync_scopes p WHERE p.service = j.service AND p.instance IN ('', j.instance) AND p.paused_until > ?)"
)

// Standing are the columns after a job j's own that decide whether it may run.
// Their parameters are (now, now).
func (d Dialect) Standing() string { return ", " + d.Behind() + ", " + LaneBusy + ", " + PausedUntil }

// KindText is the text service/type/action.
func (d Dialect) KindText() string {
	if d.Name == "mysql" {
		return "CONCAT(service, '/', type, '/', action)"
	}
	return "service || '/' || type || '/' || action"
}

// LaneHeads selects the first open job of each lane of a rowset. Its parameters are
// (now, rowset).
func (d Dialect) LaneHeads() string {
	table, id := d.LaneRows()
	return "SELECT (SELECT h.id FROM " + table + " WHERE h.open_lane = v_lane AND " + joined + " ORDER BY " + id + " LIMIT 1) FROM " + d.Rowset("lane")
}

// Rowset turns one JSON parameter, an array of objects, into a table v whose
// columns are named v_<key>.
func (d Dialect) Rowset(columns ...string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		name, text := columnType(c)
		switch d.Name {
		case "postgres":
			parts[i] = "v_" + name + " " + Pick(text, "text", "bigint")
		case "mysql":
			parts[i] = "v_" + name + " " + Pick(text, "MEDIUMTEXT CHARACTER SET utf8mb4", "BIGINT") + " PATH '$.v_" + name + "'"
		default:
			parts[i] = "json_extract(value, '$.v_" + name + "') AS v_" + name
		}
	}
	list := strings.Join(parts, ", ")
	switch d.Name {
	case "postgres":
		return "json_to_recordset(CAST(? AS json)) AS v(" + list + ")"
	case "mysql":
		return "JSON_TABLE(?, '$[*]' COLUMNS(" + list + ")) AS v"
	}
	return "(SELECT " + list + " FROM json_each(?)) AS v"
}

// DialectOf is the dialect of a gorm driver's name, or an error that names those there are.
func DialectOf(name string) (Dialect, error) {
	switch name {
	case "postgres", "sqlite":
		return Dialect{Name: name, Returning: true}, nil
	case "mysql":
		return Dialect{Name: name}, nil
	}
	return Dialect{}, fmt.Errorf("database dialect %q is not supported; use postgres, mysql (MariaDB too) or sqlite", name)
}

// columnType is the name and type of a column of a rowset: "id" is a number, "id:t" a text.
func columnType(column string) (name string, text bool) {
	name, kind, _ := strings.Cut(column, ":")
	return name, kind == "t"
}

// Pick is a where yes, b otherwise: for parts of statements.
func Pick(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// joined says that h has its place in its lane. Its parameter is (now).
const joined = "(h.epoch > 0 OR h.not_before <= ?)"
