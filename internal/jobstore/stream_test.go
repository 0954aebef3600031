package jobstore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

// PostgreSQL compiled the recursive query for up to 4 s while jobs waited for the result, whenever it estimated a high cost.
func TestStreamsAreListedWithoutCompilingTheQuery(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	b := storetest.New(t, db)
	// The estimate of a table with many rows that autovacuum has not visited yet.
	pool, err := db.DB.DB()
	b.NoError(err)
	pool.SetMaxOpenConns(1)
	b.NoError(db.Exec("SET jit_above_cost = 0").Error)
	conn, query, args, err := b.StreamsQuery(t.Context(), []jobstore.Stream{storetest.NewJob(1).Stream()})
	b.NoError(err)
	compiled := func(conn *sqlkit.Conn) bool {
		plan, err := sqlkit.Column[string](conn, "EXPLAIN "+query, args...)
		b.NoError(err)
		return slices.ContainsFunc(plan, func(line string) bool { return strings.HasPrefix(line, "JIT:") })
	}
	if !compiled(b.DB(t.Context())) {
		t.Skip("this server compiles no queries")
	}
	if compiled(conn) {
		t.Error("the query that lists the streams is compiled")
	}
}
