package mirror

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
)

// columns returns every column that a repository reads or writes.
func (r *repo) columns() []string {
	list := []string{"id"}
	for _, f := range append(r.model.keyFields(), r.model.mirrored()...) {
		list = append(list, f.column)
	}
	for _, c := range statusColumns("") {
		list = append(list, c.name)
	}
	return list
}

// statusColumns returns the columns of nawasync.SyncStatus and their types in a dialect.
func statusColumns(dialect string) []struct{ name, declaration string } {
	identity := map[string]string{
		"postgres": "BYTEA NOT NULL", "mysql": "BINARY(32) NOT NULL",
		"sqlite": "BLOB NOT NULL DEFAULT x''", // SQLite adds a NOT NULL column only with a default
	}
	return []struct{ name, declaration string }{
		{"identity", identity[dialect]},
		{"sync_status", "VARCHAR(16) NOT NULL DEFAULT 'synced'"},
		{"sync_error", "TEXT"},
		{"last_synced_at", "BIGINT"},
		{"content_hash", "VARCHAR(32)"},
		{"hash_version", "BIGINT"},
		{"fetched_columns", "TEXT"},
		{"sync_job_id", "BIGINT"},
		{"missing_since", "BIGINT"},
		{"missing_runs", "INTEGER NOT NULL DEFAULT 0"},
		{"deleted_at", "BIGINT"},
		{"deleted_job_id", "BIGINT"},
	}
}

// remoteStatusColumns are written whenever a row takes over the remote's content;
// appendRemoteStatus appends their values. New rows leave out the last column: they have never
// been missing.
var remoteStatusColumns = []string{"last_synced_at", "content_hash", "hash_version", "fetched_columns", "missing_runs", "missing_since"}

// appendRemoteStatus appends the values of remoteStatusColumns for a row of which fields were fetched. A
// row that was not fetched completely has no hash: it differs from every complete listing.
func (m *model) appendRemoteStatus(values []any, now nawasync.Timestamp, fetched string, hash func() string) []any {
	if fetched != m.allFetched {
		return append(values, now, nil, m.version, fetched, 0, nil)
	}
	return append(values, now, hash(), m.version, fetched, 0, nil)
}

func isStatusColumn(name string) bool {
	return slices.ContainsFunc(statusColumns(""), func(c struct{ name, declaration string }) bool { return c.name == name })
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

// StatusColumns returns the statements that add the SyncStatus columns to an empty table, the unique
// index of the identity, and an index of the rows that are not synced. Put them into a migration and run each statement
// once. The dialect is postgres, mysql or sqlite; any other is an error. A table name with
// characters other than letters, digits, underscores and one dot is nawasync.ErrInvalid.
func StatusColumns(dialect, table string) ([]string, error) {
	switch dialect {
	case "postgres", "sqlite", "mysql":
	default:
		return nil, fmt.Errorf("unknown dialect %q; use postgres, mysql (also for MariaDB) or sqlite", dialect)
	}
	if !tableName.MatchString(table) {
		return nil, fmt.Errorf("%w: %q is not a valid table name", nawasync.ErrInvalid, table)
	}
	var list []string
	for _, c := range statusColumns(dialect) {
		list = append(list, "ALTER TABLE "+table+" ADD COLUMN "+c.name+" "+c.declaration)
	}
	name := strings.ReplaceAll(table, ".", "_")
	list = append(list, "CREATE UNIQUE INDEX "+name+"_identity ON "+table+" (identity)")
	index := "CREATE INDEX " + name + "_sync_status ON " + table + " (sync_status, deleted_at)"
	if dialect != "mysql" {
		index += " WHERE sync_status <> 'synced'"
	}
	return append(list, index), nil
}
