package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// statementRecorder records the SQL statements of a page.
type statementRecorder struct {
	mu         sync.Mutex
	statements []string
}

func (r *statementRecorder) watch(t *testing.T, db *gorm.DB) {
	t.Helper()
	record := func(tx *gorm.DB) {
		text := tx.Explain(tx.Statement.SQL.String(), tx.Statement.Vars...)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.statements = append(r.statements, text)
	}
	noError(t, db.Callback().Row().After("gorm:row").Register("spy", record))
	noError(t, db.Callback().Query().After("gorm:query").Register("spy", record))
}

// take returns the statements since the last call.
func (r *statementRecorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	statements := r.statements
	r.statements = nil
	return statements
}

// No page scans the whole job table, uses OFFSET, or counts without a limit. Refreshing a page runs
// the same number of statements each time.
func TestPagesUseIndexesLimitCountsAndRunAConstantNumberOfStatements(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	// The clock stands still, so that the cached list of services does not expire.
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	// The long timeout lets every page run all of its statements.
	s := newSiteOf(t, db, "", func(c *nawasync.Config) { c.Now = func() time.Time { return now } }, func(c *admin.Config) { c.Timeout = 5 * time.Minute })
	noError(t, db.Exec(`INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, open_lane, wake_at, epoch, in_lane, attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source, error)
 SELECT i % 5000, i, 0, 0, 1767225600000000 + i * 1000000::bigint, 0, CASE WHEN i < 59900 THEN 1767225600000000 + i * 1000000::bigint END, CASE WHEN i >= 59900 THEN i END, CASE WHEN i >= 59900 THEN 0 END, 0, 0, 1, 3,
 CASE WHEN i >= 59900 THEN 'queued' ELSE (ARRAY['success', 'success', 'success', 'success', 'success', 'success', 'failed', 'conflict', 'skipped', 'cancelled'])[1 + i % 10] END,
 (ARRAY['whm', 'cloudflare'])[1 + i % 2], 'mailbox', 'update', 'main', 'box' || i % 5000, 'default', 'user:' || i % 7, 'manual', 'quota exceeded' FROM generate_series(0, 59999) i`).Error)
	noError(t, db.Exec("VACUUM ANALYZE").Error)
	var id int64
	noError(t, db.Raw("SELECT MAX(id) - 30000 FROM nawasync_jobs").Row().Scan(&id))
	var recorder statementRecorder
	recorder.watch(t, db.DB)
	paths := []string{
		"/jobs", fmt.Sprintf("/jobs?before=%d", id), fmt.Sprintf("/jobs/%d", id), "/health", "/services/whm",
		"/target?service=whm&type=mailbox&instance=main&id=box17", "/audit",
	}
	for _, q := range []string{
		"since:1h", "created:2026-01-01", "ended:1h", "status:failed ended:24h", "service:whm ended:30d", "service:whm", "target:box17",
		"status:failed -is:repaired", "is:stuck", "by:user:3", "error:quota status:failed", fmt.Sprint("id:", id),
	} {
		paths = append(paths, "/jobs?q="+url.QueryEscape(q))
	}
	for _, status := range tracker.Statuses() {
		paths = append(paths, "/jobs?q=status:"+string(status), fmt.Sprintf("/jobs?q=status:%s+service:whm&before=%d", status, id))
	}
	for _, path := range paths {
		var counts [3]int
		for round := range counts {
			if got := s.get("viewer", path); got.status != http.StatusOK {
				t.Fatalf("%s: %d\n%s", path, got.status, s.log)
			}
			statements := recorder.take()
			counts[round] = len(statements)
			if round > 0 {
				continue
			}
			for _, statement := range statements {
				upper := strings.ToUpper(statement)
				if strings.Contains(upper, "OFFSET") || (strings.Contains(upper, "COUNT(*)") && strings.Contains(upper, "NAWASYNC_JOBS") &&
					!strings.Contains(upper, "LIMIT")) {
					t.Errorf("%s runs an unlimited statement: %s", path, statement)
				}
				if !strings.Contains(upper, "NAWASYNC_JOBS") {
					continue
				}
				var plan []string
				noError(t, db.Raw("EXPLAIN "+statement).Scan(&plan).Error)
				recorder.take()
				if strings.Contains(strings.Join(plan, "\n"), "Seq Scan on nawasync_jobs") {
					t.Errorf("%s scans all jobs: %s\n%s", path, statement, strings.Join(plan, "\n"))
				}
			}
		}
		if counts[1] != counts[2] || counts[1] > 90 {
			t.Errorf("%s runs %v statements in the three rounds", path, counts)
		}
	}
}
