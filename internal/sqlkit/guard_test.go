package sqlkit_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/testdb"
)

// endless is a query that takes hours on the table that withNumbers creates.
const endless = "SELECT COUNT(*) FROM numbers a, numbers b, numbers c, numbers d, numbers e WHERE a.n + b.n + c.n + d.n + e.n = ?"

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func withNumbers(t *testing.T, db *testdb.Database) {
	t.Helper()
	noError(t, db.Exec("CREATE TABLE numbers (n INTEGER)").Error)
	noError(t, db.Exec("INSERT INTO numbers VALUES (1)"+strings.Repeat(", (1)", 999)).Error)
}

// servers runs a test on the databases whose statements run in another process.
func servers(t *testing.T, fn func(t *testing.T, db *testdb.Database)) {
	t.Helper()
	for _, opener := range testdb.Openers()[1:] {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			withNumbers(t, db)
			fn(t, db)
		})
	}
}

func guardOf(t testing.TB, dialect string, timeout time.Duration) *sqlkit.Guard {
	t.Helper()
	d, err := sqlkit.DialectOf(dialect)
	noError(t, err)
	return &sqlkit.Guard{Dialect: d, Timeout: timeout}
}

// query runs a query of one number.
func query(ctx context.Context, db *testdb.Database, g *sqlkit.Guard, text string, args ...any) error {
	_, err := sqlkit.Column[int64](sqlkit.Connect(ctx, db.DB).Guarded(g), text, args...)
	return err
}

// running counts the endless queries that the server executes.
func running(t *testing.T, db *testdb.Database) (n int) {
	t.Helper()
	count := "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%FROM numbers a%' AND id <> CONNECTION_ID() AND db = DATABASE()"
	if db.Dialect == "postgres" {
		count = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%FROM numbers a%' AND pid <> pg_backend_pid()"
	}
	noError(t, db.Raw(count).Row().Scan(&n))
	return n
}

// waitRunning waits until the server executes an endless query, or none.
func waitRunning(t *testing.T, db *testdb.Database, want bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); (running(t, db) > 0) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the server runs %d of the queries, want any: %t", running(t, db), want)
		}
	}
}

func TestServerStopsAQueryThatTakesTooLong(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, db *testdb.Database) {
		pool, err := db.DB.DB()
		noError(t, err)
		pool.SetMaxOpenConns(1)
		g := guardOf(t, db.Dialect, 200*time.Millisecond)
		if err := query(t.Context(), db, g, endless, 0); !errors.Is(err, sqlkit.ErrTooSlow) {
			t.Errorf("%v, want ErrTooSlow", err)
		}
		noError(t, query(t.Context(), db, g, "SELECT COUNT(*) FROM numbers WHERE n = ?", 1))
		// Others use the connection afterwards.
		left, sent := "SELECT @@SESSION.max_statement_time", "0"
		if db.Dialect == "postgres" {
			left, sent = "SHOW statement_timeout", "0"
		}
		var timeout string
		noError(t, db.Raw(left).Row().Scan(&timeout))
		if timeout != sent {
			t.Errorf("the connection keeps the timeout %s", timeout)
		}
		noError(t, db.Exec("INSERT INTO numbers VALUES (2)").Error)
	})
}

func TestQueryOfACancelledRequestEndsAtTheServer(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, db *testdb.Database) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- query(ctx, db, guardOf(t, db.Dialect, 2*time.Second), endless, 0) }()
		waitRunning(t, db, true)
		cancel()
		if err := <-done; err == nil {
			t.Error("the query returned without an error")
		}
		waitRunning(t, db, false)
	})
}

func TestQueryOfAKilledProcessEndsAtTheServer(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, db *testdb.Database) {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEndlessQueryOfAChild$")
		child.Env = append(os.Environ(), "SQLKIT_CHILD="+db.Dialect+" "+db.DSN)
		noError(t, child.Start())
		waitRunning(t, db, true)
		noError(t, child.Process.Kill())
		_ = child.Wait()
		waitRunning(t, db, false)
	})
}

// This is the process that TestQueryOfAKilledProcessEndsAtTheServer kills.
func TestEndlessQueryOfAChild(t *testing.T) {
	t.Parallel()
	dialect, dsn, ok := strings.Cut(os.Getenv("SQLKIT_CHILD"), " ")
	if !ok {
		t.Skip("runs in a child process only")
	}
	db, err := testdb.Open(dialect, dsn)
	noError(t, err)
	err = query(t.Context(), &testdb.Database{DB: db, Dialect: dialect, DSN: dsn}, guardOf(t, dialect, 3*time.Second), endless, 0)
	t.Fatal("the process was not killed while its query ran: ", err)
}

func TestGuardLimitsTheQueriesThatRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		g := guardOf(t, db.Dialect, time.Minute)
		g.Slots = make(chan struct{}, 1)
		conn := sqlkit.Connect(t.Context(), db.DB).Guarded(g)
		noError(t, sqlkit.Each(conn, func(*sql.Rows) error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := query(ctx, db, g, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 database connection") {
				t.Errorf("a second query at the same time: %v", err)
			}
			return nil
		}, "SELECT 1"))
		noError(t, query(t.Context(), db, g, "SELECT 1"))
	})
}

func TestGuardedQueryUsesAnotherConnectionIfTheServerHasClosedOne(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	other := testdb.Postgres(t)
	pool, err := db.DB.DB()
	noError(t, err)
	pool.SetMaxOpenConns(1)
	var pid int64
	noError(t, db.Raw("SELECT pg_backend_pid()").Row().Scan(&pid))
	noError(t, other.Exec("SELECT pg_terminate_backend(?)", pid).Error)
	noError(t, query(t.Context(), db, guardOf(t, "postgres", time.Minute), fmt.Sprint("SELECT 1 WHERE ", pid, " <> pg_backend_pid()")))
}
