package admin_test

import (
	"database/sql/driver"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// queryRecorder records the queries on the jobs table.
type queryRecorder struct {
	mu      sync.Mutex
	queries []statement
}

func (r *queryRecorder) record(query string, args []driver.NamedValue) {
	if !strings.Contains(query, "nawasync_jobs") || strings.HasPrefix(query, "EXPLAIN") {
		return
	}
	values := make([]any, len(args))
	for i, arg := range args {
		values[i] = arg.Value
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries = append(r.queries, statement{query, values})
}

func (r *queryRecorder) take() []statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	queries := r.queries
	r.queries = nil
	return queries
}

// SQLite reads rows in the order of the primary key when a query asks for this order, unless the query says
// otherwise. That order would read all ended jobs to find the few that are open.
func TestPagesOnSQLiteDoNotScanAllJobs(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	var recorder queryRecorder
	recorded, err := testdb.OpenRecorded(db.DSN, recorder.record)
	noError(t, err)
	s := newSiteOf(t, &testdb.Database{DB: recorded, Dialect: db.Dialect, DSN: db.DSN}, "", nil, nil)
	noError(
		t,
		db.Exec(
			`INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane, attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source, error, error_signature, snap_table, snap_row, snap_state)
 VALUES (7, 7, 0, 0, 0, 0, 1, 0, FALSE, 1, 3, 'conflict', 'whm', 'mailbox', 'update', 'main', 'box', 'default', 'user:1', 'manual', 'changed', 171, 'boxes', 1, 'pending_update')`,
		).Error,
	)
	var conflict int64
	noError(t, db.Raw("SELECT MAX(id) FROM nawasync_jobs").Row().Scan(&conflict))
	paths := []string{
		"/jobs", "/jobs?q=since:1h", "/jobs?q=service:whm", "/jobs?q=status:failed+service:whm", "/jobs?q=ended:1h", "/jobs?q=target:box17",
		"/jobs?q=error:quota+status:failed", "/jobs?q=is:stuck", "/jobs?q=is:open", "/jobs?q=status:failed+-is:repaired", "/", "/services/whm",
		"/target?service=whm&type=mailbox&instance=main&id=box17", "/metrics",
		"/?window=7d", "/jobs?group=error", "/jobs?group=object&q=status:failed", "/jobs?group=service&q=service:whm",
		"/workers", "/audit?object=x", "/suggest.json?key=type&prefix=a",
		"/suggest.json?key=action&prefix=u", fmt.Sprintf("/conflicts?job=%d", conflict), fmt.Sprintf("/jobs/%d", conflict), fmt.Sprintf("/jobs/%d/edit", conflict),
	}
	for _, status := range tracker.Statuses() {
		paths = append(paths, "/jobs?q=status:"+string(status))
	}
	for _, path := range paths {
		recorder.take()
		if got := s.get("operator", path); got.status != http.StatusOK && got.status != http.StatusSeeOther {
			t.Fatalf("%s: %d\n%s", path, got.status, got.body)
		}
		for _, q := range recorder.take() {
			var steps []struct{ Detail string }
			noError(t, db.Raw("EXPLAIN QUERY PLAN "+q.text, q.args...).Scan(&steps).Error)
			for _, step := range steps {
				if table, found := strings.CutPrefix(step.Detail, "SCAN "); found &&
					(table == "nawasync_jobs" || strings.Contains(q.text, "nawasync_jobs "+table)) {
					t.Errorf("%s scans all jobs: %s\n%v", path, q.text, steps)
				}
			}
		}
	}
}
