package sqlkit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestGuardedQueriesAreNotCompiledOnPostgreSQL(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, db *testdb.Database) {
		if db.Name() != "postgres" {
			t.Skip("only PostgreSQL compiles queries")
		}
		noError(t, db.Exec("ANALYZE numbers").Error)
		compiled := func(conn *sqlkit.Conn) bool {
			plan, err := sqlkit.Column[string](conn, "EXPLAIN SELECT COUNT(*) FROM numbers a, numbers b, numbers c WHERE a.n + b.n + c.n = ?", 7)
			noError(t, err)
			return slices.ContainsFunc(plan, func(line string) bool { return strings.HasPrefix(line, "JIT:") })
		}
		ctx, guard := t.Context(), guardOf(t, "postgres", time.Minute)
		if !compiled(sqlkit.Connect(ctx, db.DB)) {
			t.Skip("this server compiles no queries")
		}
		if compiled(sqlkit.Connect(ctx, db.DB).Guarded(guard)) {
			t.Error("a guarded query on the pool is compiled")
		}
		noError(t, db.Transaction(func(tx *gorm.DB) error {
			conn := sqlkit.Connect(ctx, tx)
			noError(t, guard.SetTimeout(conn))
			if compiled(conn.Guarded(guard)) {
				t.Error("a guarded query in a transaction is compiled")
			}
			return nil
		}))
	})
}
