package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync/admin"
	internal "github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// timeoutWatch notes the queries that run on a connection without a timeout in the same transaction.
type timeoutWatch struct {
	mu      sync.Mutex
	limited map[*pgx.Conn]bool
	queries int
	without []string
}

func (w *timeoutWatch) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := strings.ToUpper(data.SQL)
	switch {
	case strings.Contains(text, "SET LOCAL STATEMENT_TIMEOUT"):
		w.limited[conn] = true
	case strings.HasPrefix(text, "ROLLBACK"), strings.HasPrefix(text, "COMMIT"):
		delete(w.limited, conn)
	case strings.HasSuffix(text, "FROM NAWASYNC_POLICIES"): // the few rules; the enforcer is the application's
	case strings.Contains(text, "FROM NAWASYNC_SETTINGS"): // one row, once in the life of a process
	case strings.HasPrefix(text, "SELECT"), strings.HasPrefix(text, "WITH"):
		if w.queries++; !w.limited[conn] {
			w.without = append(w.without, data.SQL)
		}
	}
	return ctx
}

func (*timeoutWatch) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestEveryQueryOfThePagesHasATimeoutAtTheDatabase(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	config, err := pgx.ParseConfig(db.DSN)
	noError(t, err)
	watch := &timeoutWatch{limited: map[*pgx.Conn]bool{}}
	config.Tracer = watch
	pool := stdlib.OpenDB(*config)
	t.Cleanup(func() { _ = pool.Close() })
	watched, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: logger.Discard})
	noError(t, err)
	s := newSite(t, &testdb.Database{DB: watched, Dialect: db.Dialect, DSN: db.DSN}, "", nil)
	job := s.dispatch(chore{ID: "a"})
	for _, path := range []string{
		"/jobs", "/jobs?q=error:x", "/jobs?q=target:a", "/jobs?q=since:1h", "/jobs?q=ended:1h", "/jobs.json", "/jobs.csv", fmt.Sprint("/jobs/", job.ID),
		"/target?service=whm&type=mailbox&instance=main&id=a", "/audit", "/", "/health.json", "/metrics", "/services", "/services/whm", "/bulk",
		"/bulk?action=retry&all=1&q=error:x",
	} {
		watch.mu.Lock()
		watch.queries, watch.without = 0, nil
		watch.mu.Unlock()
		if got := s.get("operator", path); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
		watch.mu.Lock()
		if watch.queries == 0 || len(watch.without) > 0 {
			t.Errorf("%s runs %d queries, without a timeout: %s", path, watch.queries, strings.Join(watch.without, "\n"))
		}
		watch.mu.Unlock()
	}
}

// A table of the audit log that is a slow view makes the page's query slow.
func TestPageSaysThatTheDatabaseStoppedASlowQuery(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.Openers()[1:] {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			s := newSite(t, db, "", nil)
			noError(t, s.engine.Internals(internal.NewKey()).AppendAudit(t.Context(), tracker.AuditEntry{Subject: "operator", Action: "pause"}))
			for _, text := range []string{
				"CREATE TABLE numbers (n INTEGER)", "INSERT INTO numbers VALUES (1)" + strings.Repeat(", (1)", 999),
				"ALTER TABLE nawasync_acts RENAME TO nawasync_acts_rows",
				"CREATE VIEW nawasync_acts AS SELECT r.* FROM nawasync_acts_rows r, numbers a, numbers b, numbers c, numbers d WHERE a.n + b.n + c.n + d.n = 0",
			} {
				noError(t, db.Exec(text).Error)
			}
			got := s.get("operator", "/audit")
			if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "stopped a query after 2\u00a0s") {
				t.Errorf("%d: %s", got.status, got.body)
			}
		})
	}
}

func TestRequestBeyondTheQuotaOfItsSubjectSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.Connections = 8 })
	if got := s.get("viewer", "/jobs"); got.status != http.StatusOK { // reads the list of services, which is cached
		t.Fatal(got.status)
	}
	pool, err := s.db.DB.DB()
	noError(t, err)
	pool.SetMaxOpenConns(1)
	held, err := pool.Conn(t.Context())
	noError(t, err)
	answers := make(chan answer, 5)
	for range cap(answers) {
		go func() { answers <- s.get("viewer", "/jobs") }()
	}
	// Four requests wait for the database.
	if refused := <-answers; refused.status != http.StatusTooManyRequests || refused.header.Get("Retry-After") != "1" ||
		!strings.Contains(refused.body, "Wait 1 second.") {
		t.Errorf("%d, Retry-After %q\n%s", refused.status, refused.header.Get("Retry-After"), refused.body)
	}
	noError(t, held.Close())
	for range 4 {
		<-answers
	}
	if got := s.get("viewer", "/jobs"); got.status != http.StatusOK {
		t.Errorf("after the others have ended: %d", got.status)
	}
}
