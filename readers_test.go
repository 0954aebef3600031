package nawasync_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

// anyone may view everything.
type anyone struct{}

func (anyone) Enforce(...any) (bool, error) { return true, nil }

// pages serves the operators' pages of a load's engine. The header X-Subject names the subject.
func pages(t *testing.T, h *enginetest.Harness, l *load) *httptest.Server {
	t.Helper()
	handler, err := admin.New(l.engine, admin.Config{
		Subject: func(r *http.Request) string { return r.Header.Get("X-Subject") }, Enforcer: anyone{},
		Logger: slog.New(slog.NewTextHandler(h.Log, nil)),
	})
	enginetest.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// fetch requests a page and returns its status, or 0 if ctx ended.
func fetch(ctx context.Context, t *testing.T, client *http.Client, server *httptest.Server, subject, path string) (status int, header http.Header) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	request.Header.Set("X-Subject", subject)
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return 0, nil
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header
}

// insertEndedJobs adds n failed jobs with long error texts.
func insertEndedJobs(t *testing.T, db *testdb.Database, n int) {
	t.Helper()
	enginetest.NoError(t, db.Exec("CREATE TABLE numbers (n INTEGER)").Error)
	values := make([]string, 1000)
	for i := range values {
		values[i] = fmt.Sprintf("(%d)", i)
	}
	enginetest.NoError(t, db.Exec("INSERT INTO numbers VALUES "+strings.Join(values, ", ")).Error)
	text := strings.Repeat("the quota of the account is exceeded; ", 12)
	now := time.Now().UnixMicro()
	for range n / 1000 {
		enginetest.NoError(t, db.Exec(`INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane,
 attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source, error)
 SELECT n, n, 0, 0, ?, 0, ?, 0, FALSE, 1, 3, 'failed', 'whm', 'mailbox', 'update', 'main', 'box', 'default', 'user:1', 'manual', ? FROM numbers`,
			now, now, text).Error)
	}
	if db.Dialect == "postgres" {
		enginetest.NoError(t, db.Exec("ANALYZE nawasync_jobs").Error)
	}
}

// expensivePaths are the most expensive requests that a reader may send.
func expensivePaths() []string {
	texts := make([]string, 20)
	for i := range texts {
		texts[i] = fmt.Sprint("nothing", i)
	}
	list := strings.Join(texts, ",")
	var paths []string
	for _, q := range []string{
		"error:" + list, strings.Join(texts, " "), "-error:quota", "error:" + list + " -is:repaired", "duration:>1000h", "target:" + list, "",
		"created:2020-01-01..2030-01-01 error:" + list, "status:failed", "ended:30d", "is:deleted error:" + list,
	} {
		paths = append(paths, "/jobs?q="+url.QueryEscape(q))
	}
	return append(paths, "/jobs.csv?q="+url.QueryEscape("error:"+list), "/jobs.json?after=-1&q="+url.QueryEscape("error:"+list), "/", "/services/whm",
		"/bulk?action=retry&all=1&q="+url.QueryEscape("error:"+list))
}

// readers are clients that send expensive requests all the time.
type readers struct {
	mu       sync.Mutex
	statuses map[int]int
	wg       sync.WaitGroup
	cancel   context.CancelFunc
}

func startReaders(t *testing.T, server *httptest.Server, n int) *readers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &readers{statuses: map[int]int{}, cancel: cancel}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	t.Cleanup(client.CloseIdleConnections)
	t.Cleanup(r.stop)
	paths := expensivePaths()
	for i := range n {
		r.wg.Go(func() {
			for next := i; ctx.Err() == nil; next++ {
				path := paths[next%len(paths)]
				status, header := fetch(ctx, t, client, server, "reader", path)
				if status != 0 && status != http.StatusOK && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
					t.Errorf("%s: %d", path, status)
				}
				if status == http.StatusTooManyRequests && header.Get("Retry-After") == "" {
					t.Errorf("%s: a refusal does not say when to try again", path)
				}
				r.mu.Lock()
				r.statuses[status]++
				r.mu.Unlock()
			}
		})
	}
	return r
}

func (r *readers) count(status int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.statuses[status]
}

func (r *readers) stop() {
	r.cancel()
	r.wg.Wait()
}

// operate requests an operator's pages for a time, and returns the longest time that one took.
func operate(t *testing.T, server *httptest.Server, atLeast time.Duration) (longest time.Duration) {
	t.Helper()
	slowest := ""
	for begin := time.Now(); ; time.Sleep(enginetest.Sized(200*time.Millisecond, 3*time.Second)) {
		for _, path := range []string{"/jobs", "/", "/jobs?q=status:failed", "/services"} {
			sent := time.Now()
			if status, _ := fetch(t.Context(), t, server.Client(), server, "operator", path); status != http.StatusOK {
				t.Errorf("an operator's request of %s: %d", path, status)
			}
			if took := time.Since(sent); took > longest {
				longest, slowest = took, path
			}
		}
		if time.Since(begin) > atLeast {
			t.Logf("the slowest page of the operator: %s, %s", slowest, longest)
			return longest
		}
	}
}

// slowQueries counts the queries that a server has been executing for more than 2 s.
func slowQueries(t *testing.T, db *testdb.Database) (n int) {
	t.Helper()
	count := "SELECT COUNT(*) FROM information_schema.processlist WHERE command IN ('Query', 'Execute') AND time_ms > 2000 AND db = DATABASE() AND info LIKE '%nawasync_jobs%'"
	switch db.Dialect {
	case "sqlite":
		return 0
	case "postgres":
		count = "SELECT COUNT(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE l.relation = 'nawasync_jobs'::regclass" +
			" AND a.state = 'active' AND a.backend_type = 'client backend' AND a.query_start < clock_timestamp() - interval '2 seconds'"
	}
	enginetest.NoError(t, db.Raw(count).Row().Scan(&n))
	return n
}

// One reader sends the most expensive requests from 60 connections.
func TestMeasuredThroughputBesideReadersOfThePages(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		insertEndedJobs(t, db, enginetest.Sized(2000, 100_000))
		l := startLoad(t, h)
		server := pages(t, h, l)
		l.measure(t, enginetest.Sized(0, 5*time.Second), 500) // warms up
		before := l.measure(t, enginetest.Sized(300*time.Millisecond, 20*time.Second), 250)
		alone := operate(t, server, enginetest.Sized(0, 10*time.Second))
		r := startReaders(t, server, 60)
		ran, begin := l.ran.Load(), time.Now()
		longest := operate(t, server, enginetest.Sized(2*time.Second, time.Minute))
		beside := rate{l.ran.Load() - ran, time.Since(begin)}
		enginetest.Eventually(t, time.Minute, "a request was refused", func() bool { return r.count(http.StatusTooManyRequests) > 0 })
		r.stop()
		time.Sleep(enginetest.Sized(0, 2*time.Second))
		if n := slowQueries(t, db); enginetest.Full() && n > 0 {
			t.Errorf("%d queries run 2 s after their requests", n)
		}
		after := l.measure(t, enginetest.Sized(300*time.Millisecond, 20*time.Second), 250)
		l.stopLoad()
		waitAllEnded(t, l.engine, time.Minute)
		share := beside.perSecond() * 2 / (before.perSecond() + after.perSecond())
		t.Logf("before: %s; beside 60 readers: %s; after: %s; share %.2f; statuses %v; longest time of an operator's page without readers: %s",
			before, beside, after, share, r.statuses, alone)
		enginetest.AtMost(t, "longest time of an operator's page", longest, 2*time.Second, time.Minute)
		if enginetest.Full() && share < 0.8 {
			t.Errorf("the readers reduced the throughput to %.2f, want at least 0.8", share)
		}
	})
}
