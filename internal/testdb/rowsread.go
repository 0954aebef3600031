package testdb

import (
	"testing"

	"gorm.io/gorm"
)

// JobRowsRead returns how many rows of the jobs a function reads, also those that its statements
// leave out. On MySQL it counts the rows of all tables. Nothing else may use the database, which
// gets a single connection. SQLite has no such figure.
func JobRowsRead(t testing.TB, db *Database, read func()) int64 {
	t.Helper()
	return RowsRead(t, db, read, "nawasync_jobs")
}

// RowsRead is JobRowsRead for other tables.
func RowsRead(t testing.TB, db *Database, read func(), tables ...string) int64 {
	t.Helper()
	pool, err := db.DB.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	count := mysqlRowsRead
	if db.Dialect == "postgres" {
		count = func(t testing.TB, db *gorm.DB) int64 { return postgresRowsRead(t, db, tables) }
	}
	before := count(t, db.DB)
	read()
	return count(t, db.DB) - before
}

func mysqlRowsRead(t testing.TB, db *gorm.DB) (total int64) {
	t.Helper()
	for _, counter := range []string{"Handler_read_rnd_next", "Handler_read_next", "Handler_read_prev", "Handler_read_rnd"} {
		var name string
		var n int64
		if err := db.Raw("SHOW SESSION STATUS LIKE '"+counter+"'").Row().Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}

func postgresRowsRead(t testing.TB, db *gorm.DB, tables []string) (total int64) {
	t.Helper()
	// The session sends what it has counted at the end of this statement's transaction.
	if err := db.Exec("SELECT pg_stat_force_next_flush()").Error; err != nil {
		t.Fatal(err)
	}
	if err := db.Raw("SELECT COALESCE(SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0)), 0)::bigint FROM pg_stat_user_tables"+
		" WHERE relname IN ? AND schemaname = current_schema()", tables).Row().Scan(&total); err != nil {
		t.Fatal(err)
	}
	return total
}
