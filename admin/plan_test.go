package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// statement is a query with its parameters.
type statement struct {
	text string
	args []any
}

// statementRecorder records the queries of a page. It is a tracer of pgx, so that it also sees those
// that do not go through gorm.
type statementRecorder struct {
	mu         sync.Mutex
	statements []statement
}

// open opens the database again, with a pool whose queries are recorded.
func (r *statementRecorder) open(t *testing.T, dsn string) *gorm.DB {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	noError(t, err)
	config.Tracer = r
	pool := stdlib.OpenDB(*config)
	t.Cleanup(func() { _ = pool.Close() })
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: logger.Discard})
	noError(t, err)
	return db
}

func (r *statementRecorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if upper := strings.ToUpper(strings.TrimSpace(data.SQL)); strings.HasPrefix(upper, "SELECT") || strings.HasPrefix(upper, "WITH") {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.statements = append(r.statements, statement{data.SQL, data.Args})
	}
	return ctx
}

func (r *statementRecorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// take returns the statements since the last call.
func (r *statementRecorder) take() []statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	statements := r.statements
	r.statements = nil
	return statements
}

// explain returns the plan of a statement.
func explain(t *testing.T, db *gorm.DB, s statement, options ...string) string {
	t.Helper()
	pool, err := db.DB()
	noError(t, err)
	rows, err := pool.QueryContext(t.Context(), "EXPLAIN ("+strings.Join(append(options, "COSTS"), ", ")+") "+s.text, s.args...)
	noError(t, err)
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var line string
		noError(t, rows.Scan(&line))
		plan = append(plan, line)
	}
	noError(t, rows.Err())
	return strings.Join(plan, "\n")
}

// No page scans the whole job table, uses OFFSET, or counts without a limit. Refreshing a page runs
// the same number of statements each time.
func TestPagesUseIndexesLimitCountsAndRunAConstantNumberOfStatements(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	// The clock stands still, so that the cached list of services does not expire.
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	// The long timeout lets every page run all of its statements.
	var recorder statementRecorder
	recorded := &testdb.Database{DB: recorder.open(t, db.DSN), Dialect: db.Dialect, DSN: db.DSN}
	s := newSiteOf(t, recorded, "", func(c *nawasync.Config) { c.Now = func() time.Time { return now } }, func(c *admin.Config) { c.Timeout = 5 * time.Minute })
	noError(t, db.Exec(`INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, open_lane, wake_at, epoch, in_lane, attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source, error, error_signature)
 SELECT i % 5000, i, 0, 0, 1767225600000000 + i * 1000000::bigint, 0, CASE WHEN i < 59900 THEN 1767225600000000 + i * 1000000::bigint END, CASE WHEN i >= 59900 THEN i END, CASE WHEN i >= 59900 THEN 0 END, 0, FALSE, 1, 3,
 CASE WHEN i >= 59900 THEN 'queued' ELSE (ARRAY['success', 'success', 'success', 'success', 'success', 'success', 'failed', 'conflict', 'skipped', 'cancelled'])[1 + i % 10] END,
 (ARRAY['whm', 'cloudflare'])[1 + i % 2], 'mailbox', 'update', 'main', 'box' || i % 5000, 'default', 'user:' || i % 7, 'manual', 'quota exceeded', CASE WHEN i < 59900 AND i % 10 IN (6, 7) THEN 171 END FROM generate_series(0, 59999) i`).Error)
	noError(t, db.Exec("VACUUM ANALYZE").Error)
	var id int64
	noError(t, db.Raw("SELECT MAX(id) - 30000 FROM nawasync_jobs").Row().Scan(&id))
	var conflict int64
	noError(t, db.Raw("SELECT MAX(id) FROM nawasync_jobs WHERE status = 'conflict'").Row().Scan(&conflict))
	noError(t, db.Exec("UPDATE nawasync_jobs SET snap_table = 'boxes', snap_row = 1, snap_state = 'pending_update' WHERE id = ?", conflict).Error)
	recorder.take()
	paths := []string{
		"/jobs", fmt.Sprintf("/jobs?before=%d", id), fmt.Sprintf("/jobs/%d", id), "/", "/services/whm",
		"/target?service=whm&type=mailbox&instance=main&id=box17", "/audit",
		"/?window=7d", "/workers", "/audit?object=x", "/suggest.json?key=type&prefix=a", "/suggest.json?key=action", fmt.Sprintf("/conflicts?job=%d", conflict),
	}
	for _, q := range []string{
		"since:1h", "created:2026-01-01", "ended:1h", "status:failed ended:24h", "service:whm ended:30d", "service:whm", "target:box17",
		"status:failed -is:repaired", "is:stuck", "by:user:3", "error:quota status:failed",
		"group:00000000000000ab ended:1h", "group:00000000000000ab", fmt.Sprint("id:", id),
	} {
		paths = append(paths, "/jobs?q="+url.QueryEscape(q))
	}
	for _, group := range []string{"error", "object", "service"} {
		paths = append(paths, "/jobs?group="+group, "/jobs?group="+group+"&q=status:failed+service:whm", "/jobs?group="+group+"&q=ended:1h")
	}
	for _, status := range tracker.Statuses() {
		paths = append(paths, "/jobs?q=status:"+string(status), fmt.Sprintf("/jobs?q=status:%s+service:whm&before=%d", status, id))
	}
	for _, path := range paths {
		var counts [3]int
		for round := range counts {
			if got := s.get("operator", path); got.status != http.StatusOK {
				t.Fatalf("%s: %d\n%s", path, got.status, s.log)
			}
			statements := recorder.take()
			if counts[round] = len(statements); counts[round] == 0 {
				t.Fatalf("%s runs no statement", path)
			}
			if round > 0 {
				continue
			}
			for _, statement := range statements {
				upper := strings.ToUpper(statement.text)
				if strings.Contains(upper, "OFFSET") || (strings.Contains(upper, "COUNT(*)") && strings.Contains(upper, "NAWASYNC_JOBS") &&
					!strings.Contains(upper, "LIMIT")) {
					t.Errorf("%s runs an unlimited statement: %s", path, statement.text)
				}
				if !strings.Contains(upper, "NAWASYNC_JOBS") {
					continue
				}
				if plan := explain(t, db.DB, statement); strings.Contains(plan, "Seq Scan on nawasync_jobs") {
					t.Errorf("%s scans all jobs: %s\n%s", path, statement.text, plan)
				}
			}
		}
		// One more is allowed for a new connection.
		if least, most := min(counts[1], counts[2]), max(counts[1], counts[2]); most > least+1 || most > 90 {
			t.Errorf("%s runs %v statements in the three rounds", path, counts)
		}
	}
}

// After a burst of failures the statistics say that nearly every job failed. Then other jobs end, and the
// failed ones are far behind the newest jobs. The database must not search for them from the newest job on.
func TestListOfAStatusReadsOnlyItsJobsWhileTheStatisticsAreOld(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	var recorder statementRecorder
	recorded := &testdb.Database{DB: recorder.open(t, db.DSN), Dialect: db.Dialect, DSN: db.DSN}
	s := newSiteOf(t, recorded, "", nil, func(c *admin.Config) { c.Timeout = 5 * time.Minute })
	noError(t, db.Exec("ALTER TABLE nawasync_jobs SET (autovacuum_enabled = off)").Error)
	insert := func(service, status string, n int) {
		noError(t, db.Exec(`INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane, attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source)
 SELECT 7, i, 0, 0, 0, 0, 1, 0, FALSE, 1, 3, ?, ?, 'mailbox', 'update', 'main', 'box', 'default', 'user:1', 'manual' FROM generate_series(1, ?) i`,
			status, service, n).Error)
	}
	insert("whm", "failed", 5000)
	noError(t, db.Exec("ANALYZE nawasync_jobs").Error)
	insert("cloudflare", "success", 20_000)
	for _, path := range []string{"/jobs?q=status:failed", "/jobs?q=service:whm", "/jobs?q=status:failed&after=-1"} {
		explained := 0
		recorder.take()
		if got := s.get("viewer", path); got.status != http.StatusOK {
			t.Fatalf("%s: %d\n%s", path, got.status, s.log)
		}
		for _, statement := range recorder.take() {
			if strings.Contains(statement.text, "status LIKE '") {
				explained++

				if plan := explain(t, db.DB, statement); strings.Contains(plan, "nawasync_jobs_pkey") {
					t.Errorf("%s reads jobs in the order of their ids:\n%s\n%s", path, statement.text, plan)
				}
			}
		}
		if explained == 0 {
			t.Errorf("%s reads no jobs by their status", path)
		}
	}
}

// A list that begins at a time, or a part of a long search, reads jobs down to an id. It must not go on
// through all older jobs with the status.
func TestListWithALowerBoundReadsNoJobsBelowIt(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	var recorder statementRecorder
	recorded := &testdb.Database{DB: recorder.open(t, db.DSN), Dialect: db.Dialect, DSN: db.DSN}
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	s := newSiteOf(t, recorded, "", func(c *nawasync.Config) { c.Now = func() time.Time { return now } }, func(c *admin.Config) { c.Timeout = 5 * time.Minute })
	noError(t, db.Exec(`INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane, attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source)
 SELECT 7, i, 0, 0, ?::bigint + i * 1000000::bigint, 0, ?::bigint + i * 1000000::bigint, 0, FALSE, 1, 3, 'success', 'whm', 'mailbox', 'update', 'main', 'box', 'default', 'user:1', 'manual' FROM generate_series(1, 60000) i`,
		now.Add(-60_000*time.Second).UnixMicro(), now.Add(-60_000*time.Second).UnixMicro()).Error)
	noError(t, db.Exec("VACUUM ANALYZE nawasync_jobs").Error)
	recorder.take()
	if got := s.get("viewer", "/jobs?q="+url.QueryEscape("since:10m status:success service:whm by:user:2")); got.status != http.StatusOK || !strings.Contains(got.body, "No jobs match") {
		t.Fatalf("%d\n%s", got.status, got.body)
	}
	explained := 0
	for _, statement := range recorder.take() {
		if !strings.Contains(statement.text, "status LIKE 'success'") {
			continue
		}
		explained++
		plan := explain(t, db.DB, statement, "ANALYZE", "BUFFERS")
		blocks := 0
		for _, number := range regexp.MustCompile(`(?m)^ *Buffers: shared (?:hit=(\d+))? ?(?:read=(\d+))?`).FindStringSubmatch(plan)[1:] {
			n, _ := strconv.Atoi(number)
			blocks += n
		}
		if blocks > 150 { // those of 600 jobs; all jobs have 2,000
			t.Errorf("the list reads %d blocks:\n%s\n%s", blocks, statement.text, plan)
		}
	}
	if explained == 0 {
		t.Error("the list reads no jobs by their status")
	}
}
