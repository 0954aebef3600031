package mirror

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
)

// columns are all that a repository reads and writes.
func (r *repo) columns() []string {
	list := []string{"id"}
	for _, f := range append(r.model.identity(), r.model.mirrored()...) {
		list = append(list, f.column)
	}
	for _, c := range statusColumns() {
		list = append(list, c.name)
	}
	return list
}

// statusColumns are the columns of nawasync.SyncStatus and their types, which are the same
// in every dialect.
func statusColumns() []struct{ name, declaration string } {
	return []struct{ name, declaration string }{
		{"sync_status", "VARCHAR(16) NOT NULL DEFAULT 'synced'"},
		{"sync_error", "TEXT"},
		{"last_synced_at", "BIGINT"},
		{"content_hash", "VARCHAR(32)"},
		{"hash_version", "BIGINT"},
		{"sync_job_id", "BIGINT"},
		{"missing_since", "BIGINT"},
		{"missing_runs", "INTEGER NOT NULL DEFAULT 0"},
	}
}

// remoteStatusValues are the columns that say that a row is as the remote has it; appendAsRemote
// appends their values. The last is for rows that may have been missing.
var remoteStatusValues = []string{"last_synced_at", "content_hash", "hash_version", "missing_runs", "missing_since"}

func (m *model) appendRemoteStatus(values []any, now nawasync.Timestamp, hash string) []any {
	return append(values, now, hash, m.version, 0, nil)
}

func isStatusColumn(name string) bool {
	return slices.ContainsFunc(statusColumns(), func(c struct{ name, declaration string }) bool { return c.name == name })
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

func indexName(table string) string { return strings.ReplaceAll(table, ".", "_") + "_sync_status" }

// StatusColumns are the statements that add SyncStatus to a table, and the index
// that finds rows in need of somebody, for the dialects postgres, mysql and sqlite.
// Put them into a migration of yours: each statement adds one thing, once. It returns an
// error for another dialect, and nawasync.ErrInvalid for what is not the plain name of a
// table.
func StatusColumns(dialect, table string) ([]string, error) {
	switch dialect {
	case "postgres", "sqlite", "mysql":
	default:
		return nil, fmt.Errorf("no status columns for dialect %q; use postgres, mysql (MariaDB too) or sqlite", dialect)
	}
	if !tableName.MatchString(table) {
		return nil, fmt.Errorf("%w: %q is not the name of a table", nawasync.ErrInvalid, table)
	}
	var list []string
	for _, c := range statusColumns() {
		list = append(list, "ALTER TABLE "+table+" ADD COLUMN "+c.name+" "+c.declaration)
	}
	index := "CREATE INDEX " + indexName(table) + " ON " + table + " (sync_status)"
	if dialect != "mysql" {
		index += " WHERE sync_status <> 'synced'"
	}
	return append(list, index), nil
}
