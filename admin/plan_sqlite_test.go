package admin_test

import (
	"database/sql/driver"
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
	paths := []string{
		"/jobs", "/jobs?q=since:1h", "/jobs?q=service:whm", "/jobs?q=status:failed+service:whm", "/jobs?q=ended:1h", "/jobs?q=target:box17",
		"/jobs?q=error:quota+status:failed", "/jobs?q=is:stuck", "/jobs?q=is:open", "/jobs?q=status:failed+-is:repaired", "/", "/services/whm",
		"/target?service=whm&type=mailbox&instance=main&id=box17", "/metrics",
	}
	for _, status := range tracker.Statuses() {
		paths = append(paths, "/jobs?q=status:"+string(status))
	}
	for _, path := range paths {
		recorder.take()
		if got := s.get("viewer", path); got.status != http.StatusOK && got.status != http.StatusSeeOther {
			t.Fatalf("%s: %d\n%s", path, got.status, got.body)
		}
		for _, q := range recorder.take() {
			var steps []struct{ Detail string }
			noError(t, db.Raw("EXPLAIN QUERY PLAN "+q.text, q.args...).Scan(&steps).Error)
			for _, step := range steps {
				if table, found := strings.CutPrefix(step.Detail, "SCAN "); found && (table == "nawasync_jobs" || strings.Contains(q.text, "nawasync_jobs "+table)) {
					t.Errorf("%s scans all jobs: %s\n%v", path, q.text, steps)
				}
			}
		}
	}
}
