// Package sqlkit hides the differences between PostgreSQL, MySQL and SQLite. It has SQL
// fragments for each dialect, conversions of values, and checks for errors.
package sqlkit

import (
	"fmt"
	"strconv"
	"strings"
)

// SQLiteOptions are the options that nawasync needs in an SQLite DSN. Append them to the file, for
// example to "file:app.db".
const SQLiteOptions = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_txlock=immediate"

// Dialect builds SQL for one database. Statements take a batch as one JSON parameter; see Rowset.
// The text of a statement is then the same for batches of any size, so the statement is prepared
// only once.
type Dialect struct {
	Name      string // postgres, mysql or sqlite
	Returning bool   // supports UPDATE … RETURNING
}

// Pinned returns a condition that makes PostgreSQL look up the jobs j by primary key. Without it, a
// query plan that was cached while the table was small would later scan the whole table for each
// batch. The array is in a subquery so that it is parsed once, not per row. For the other databases
// the condition is empty.
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

// LaneRows returns the jobs table h, with a hint to read the open jobs of a lane by the lane index,
// and the expression to use instead of h.id in comparisons and ORDER BY. Without the hint, a query
// planner may expect a match early in the primary key and scan all ended jobs instead.
func (d Dialect) LaneRows() (table, id string) {
	switch d.Name {
	case "postgres":
		return "nawasync_jobs h", "(h.id + 0)"
	case "mysql":
		return "nawasync_jobs h FORCE INDEX (nawasync_jobs_lane)", "h.id"
	}
	return "nawasync_jobs h INDEXED BY nawasync_jobs_lane", "h.id"
}

// ListRows returns the jobs table with a hint to read ended jobs by the list index. Without the
// hint, SQLite and MySQL would scan the primary key until they have found enough jobs.
func (d Dialect) ListRows() string {
	switch d.Name {
	case "postgres":
		return "nawasync_jobs"
	case "mysql":
		return "nawasync_jobs FORCE INDEX (nawasync_jobs_list)"
	}
	return "nawasync_jobs INDEXED BY nawasync_jobs_list"
}

// ErrorRows returns the jobs table j, with a hint to read it by the index of error signatures.
func (d Dialect) ErrorRows() string {
	switch d.Name {
	case "postgres":
		return "nawasync_jobs j"
	case "mysql":
		return "nawasync_jobs j FORCE INDEX (nawasync_jobs_error)"
	}
	return "nawasync_jobs j INDEXED BY nawasync_jobs_error"
}

// EndpointRows returns the table e of endpoints, with a hint to read it in the order of lists. Without the hint,
// SQLite and MySQL may sort all endpoints of a service for each page.
func (d Dialect) EndpointRows() string {
	switch d.Name {
	case "postgres":
		return "nawasync_endpoints e"
	case "mysql":
		return "nawasync_endpoints e FORCE INDEX (nawasync_endpoints_list)"
	}
	return "nawasync_endpoints e INDEXED BY nawasync_endpoints_list"
}

// CallRows returns the table c of the sums of calls, with a hint to read it by endpoint. Without the hint, SQLite
// and MySQL may read all endpoints of a time range.
func (d Dialect) CallRows() string {
	switch d.Name {
	case "postgres":
		return "nawasync_calls c"
	case "mysql":
		return "nawasync_calls c FORCE INDEX (PRIMARY)"
	}
	return "nawasync_calls c INDEXED BY sqlite_autoindex_nawasync_calls_1"
}

// ErrorTime returns the time of end in the index of error signatures of the jobs j. On MySQL the index has a
// column of its own; see the migration.
func (d Dialect) ErrorTime() string { return Pick(d.Name == "mysql", "j.error_at", "j.finished_at") }

// Behind returns an expression that is 1 if an earlier job of j's lane is open, and 0 otherwise.
func (d Dialect) Behind() string {
	table, id := d.LaneRows()
	return "CASE WHEN EXISTS (SELECT 1 FROM " + table + " WHERE h.open_lane = j.lane AND h.in_lane = TRUE AND " + id + " < j.id) THEN 1 ELSE 0 END"
}

// LaneBusy is 1 if another job of j's lane runs, and 0 otherwise. LaneBusy and Behind use CASE
// because a query planner turns a plain NOT EXISTS into an anti-join, which may read all open jobs.
const LaneBusy = "CASE WHEN EXISTS (SELECT 1 FROM nawasync_jobs r WHERE r.running_lane = j.lane AND r.id <> j.id) THEN 1 ELSE 0 END"

// ClaimRows returns the jobs table j, with a hint to read it by the claim index, and its column of
// queues. On MySQL the index has a column of its own; see the migration.
func (d Dialect) ClaimRows() (table, queue string) {
	switch d.Name {
	case "postgres":
		return "nawasync_jobs j", "j.queue"
	case "mysql":
		return "nawasync_jobs j FORCE INDEX (nawasync_jobs_claim)", "j.claim_queue"
	}
	return "nawasync_jobs j INDEXED BY nawasync_jobs_claim", "j.queue"
}

// SkipLocked returns the clause with which a SELECT locks its rows and leaves out those that another
// transaction has locked. SQLite locks no rows.
func (d Dialect) SkipLocked() string { return Pick(d.Name == "sqlite", "", " FOR UPDATE SKIP LOCKED") }

// KindText returns an expression for the text service/type/action.
func (d Dialect) KindText() string {
	if d.Name == "mysql" {
		return "CONCAT(service, '/', type, '/', action)"
	}
	return "service || '/' || type || '/' || action"
}

// LaneHeads returns a query for the id of the first job of each lane in a rowset. The id is NULL for
// a lane without jobs. Its parameter is (rowset).
func (d Dialect) LaneHeads() string {
	table, id := d.LaneRows()
	return "SELECT (SELECT h.id FROM " + table + " WHERE h.open_lane = v_lane AND h.in_lane = TRUE ORDER BY " + id + " LIMIT 1) FROM " + d.Rowset("lane")
}

// Rowset returns a table v that is read from one JSON parameter, an array of objects. The
// column "id" is the number under the key v_id, and "id:t" is the text under the same key. The
// columns of v have the names of the keys.
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

// DialectOf returns the dialect for the name of a gorm driver. For any other name it returns an
// error that lists the supported databases.
func DialectOf(name string) (Dialect, error) {
	switch name {
	case "postgres", "sqlite":
		return Dialect{Name: name, Returning: true}, nil
	case "mysql":
		return Dialect{Name: name}, nil
	}
	return Dialect{}, fmt.Errorf("database dialect %q is not supported; use postgres, mysql (MariaDB too) or sqlite", name)
}

// columnType returns the name of a rowset's column, and whether the column is a text.
func columnType(column string) (name string, text bool) {
	name, kind, _ := strings.Cut(column, ":")
	return name, kind == "t"
}

// Pick returns a if yes is true, and b otherwise.
func Pick(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
