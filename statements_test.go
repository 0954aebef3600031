package nawasync_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
)

// A prepared statement for each size of a batch made a PostgreSQL backend grow by hundreds of
// megabytes.
func TestDispatchManyOfAnySizePreparesFewStatements(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	pool, err := db.DB.DB()
	enginetest.NoError(t, err)
	pool.SetMaxOpenConns(1)
	h := enginetest.New(t, db)
	e := h.Engine(nil)
	for n := 1; n <= 500; n += 1 + n/20 { // 72 sizes, so that the test is short
		dispatchNumbered(t, e, fmt.Sprint(n), n)
	}
	var statements, bytes int64
	enginetest.NoError(t, db.Raw("SELECT COUNT(*) FROM pg_prepared_statements").Row().Scan(&statements))
	if statements > 30 {
		t.Errorf("%d prepared statements after batches of many sizes, want at most 30", statements)
	}
	if db.Raw("SELECT SUM(total_bytes) FROM pg_backend_memory_contexts").Row().Scan(&bytes) == nil && bytes > 60<<20 { // PostgreSQL 14 and newer
		t.Errorf("the backend uses %d MB, want at most 60", bytes>>20)
	}
}

func TestHostCanAddAColumnToTheJobsTableWhileTheEngineRuns(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		for n := range 10 { // each connection of the pool has prepared its statements
			waitSuccess(t, e, dispatchNumbered(t, e, fmt.Sprint("before", n), 10))
		}
		enginetest.NoError(t, db.Exec("ALTER TABLE nawasync_jobs ADD COLUMN host_note VARCHAR(20)").Error)
		for n := range 10 {
			waitSuccess(t, e, dispatchNumbered(t, e, fmt.Sprint("after", n), 10))
		}
	})
}

// With pgx's default mode, statements fail that one connection of PgBouncer has prepared and another one runs.
func TestEngineWorksBehindPgBouncerInTransactionMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"exec", "cache_describe"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			testWithTwoEngines(t, testdb.PgBouncer(t, testdb.Postgres(t), mode))
		})
	}
}

func TestEngineWorksAtHigherDefaultIsolationLevels(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			db := testdb.Postgres(t)
			dsn, err := url.Parse(db.DSN)
			enginetest.NoError(t, err)
			query := dsn.Query()
			query.Set("default_transaction_isolation", level)
			dsn.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // pgx takes a plus sign literally
			opened, err := testdb.Open("postgres", dsn.String())
			enginetest.NoError(t, err)
			t.Cleanup(func() { enginetest.CloseDB(opened) })
			testWithTwoEngines(t, &testdb.Database{DB: opened, Dialect: "postgres", DSN: dsn.String()})
		})
	}
}

// testWithTwoEngines runs jobs of the same lanes in two engines, which claim and settle them at the same time.
func testWithTwoEngines(t *testing.T, db *testdb.Database) {
	t.Helper()
	h := enginetest.New(t, db)
	var engines []*nawasync.Engine
	for range 2 {
		e := h.Tuned(host.Tuning{Poll: 50 * time.Millisecond}, nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		engines = append(engines, h.Start(e))
	}
	var ids []int64
	for n := range 10 {
		ids = append(ids, dispatchNumbered(t, engines[n%2], "lane", 20)...)
	}
	waitSuccess(t, engines[0], ids)
	requireNoStall(t, h)
}
