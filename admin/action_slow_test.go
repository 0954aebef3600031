package admin_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// newSlowSite returns a site with a pool of one connection and an enforcer that reads nothing. The pages have read
// what they keep, so that hold only concerns what a form needs.
func newSlowSite(t *testing.T, db *testdb.Database, enforcer admin.Enforcer) *site {
	t.Helper()
	s := newSite(t, db, "", func(c *admin.Config) { c.Enforcer, c.Timeout = enforcer, 500*time.Millisecond })
	pool, err := db.DB.DB()
	noError(t, err)
	pool.SetMaxOpenConns(1)
	return s
}

// viewing is an enforcer that allows everybody to view everything, and no more.
type viewing struct{}

func (viewing) Enforce(rvals ...any) (bool, error) { return rvals[3] == admin.PermissionView, nil }

// hold takes the only connection. It gives it back when n others have waited for one.
func (s *site) hold(n int64) {
	s.t.Helper()
	pool, err := s.db.DB.DB()
	noError(s.t, err)
	held, err := pool.Conn(s.t.Context())
	noError(s.t, err)
	go func(before int64, held *sql.Conn) {
		for end := time.Now().Add(20 * time.Second); pool.Stats().WaitCount < before+n && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		_ = held.Close()
	}(pool.Stats().WaitCount, held)
}

func TestActionThatTheDatabaseIsTooSlowForIsAnsweredWith503AndRecorded(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSlowSite(t, db, denying{"cloudflare"})
		s.dispatch(chore{ID: "a"})
		back := "/bulk?action=cancel&all=1&q=status%3Aqueued"
		form := s.previewForm(back) // reads what the pages keep
		form.Set("back", back)
		s.hold(2) // the preview waits, and then the audit entry
		got := s.request("operator", http.MethodPost, "/bulk", form, nil)
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "Nothing was done: the database did not answer in time.") ||
			!strings.Contains(got.body, `href="/bulk?action=cancel&amp;all=1&amp;q=status%3Aqueued"`) {
			t.Errorf("status %d\n%s", got.status, got.body)
		}
		entries := s.auditLog()
		if len(entries) != 1 || entries[0].Action != "bulk cancel" || entries[0].Outcome != tracker.AuditFailed || entries[0].Subject != "operator" ||
			entries[0].Detail != "The database is slow" {
			t.Errorf("the audit log has %+v", entries)
		}
	})
}

// A table that is a slow view makes the query slow with which a bulk run begins.
func TestActionWhoseQueryTheDatabaseStopsIsAnsweredWith503AndRecorded(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.Openers()[1:] {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			s := newSite(t, db, "", func(c *admin.Config) { c.Timeout = 2 * time.Second })
			s.dispatch(chore{ID: "a"})
			form := s.previewForm("/bulk?action=cancel&all=1&q=status%3Aqueued")
			noError(t, db.Exec("INSERT INTO nawasync_processes (id, host, pid, beat, beat_at, started_at, kinds, queues) VALUES ('x', 'x', 1, 1, 1, 1, '[]', '[]')").Error)
			for _, text := range []string{
				"CREATE TABLE numbers (n INTEGER)", "INSERT INTO numbers VALUES (1)" + strings.Repeat(", (1)", 999),
				"ALTER TABLE nawasync_processes RENAME TO nawasync_processes_rows",
				"CREATE VIEW nawasync_processes AS SELECT r.* FROM nawasync_processes_rows r, numbers a, numbers b, numbers c, numbers d WHERE a.n + b.n + c.n + d.n = 0",
			} {
				noError(t, db.Exec(text).Error)
			}
			got := s.request("operator", http.MethodPost, "/bulk", form, nil)
			if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "Nothing was done: the database did not answer in time.") {
				t.Errorf("status %d\n%s", got.status, got.body)
			}
			if entries := s.auditLog(); len(entries) != 1 || entries[0].Action != "bulk cancel" || entries[0].Outcome != tracker.AuditFailed {
				t.Errorf("the audit log has %+v", entries)
			}
		})
	}
}

// A sender who leaves before the answer does not keep a refusal out of the audit log.
func TestRefusedFormIsRecordedAlthoughItsSenderLeaves(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSlowSite(t, db, viewing{})
		s.dispatch(chore{ID: "a"})
		var ended <-chan struct{} // the end of the request's context on the server
		subject := s.config.Subject
		s.config.Subject = func(r *http.Request) string {
			ended = r.Context().Done()
			return subject(r)
		}
		s.renew()
		s.get("operator", "/jobs") // reads what the pages keep
		pool, err := db.DB.DB()
		noError(t, err)
		held, err := pool.Conn(t.Context())
		noError(t, err)
		before := pool.Stats().WaitCount
		ctx, leave := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL+"/services/whm/pause", strings.NewReader(url.Values{"reason": {"x"}}.Encode()))
		noError(t, err)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("X-Subject", "operator")
		done := make(chan error, 1)
		go func() {
			response, err := http.DefaultClient.Do(request)
			if err == nil {
				_ = response.Body.Close()
			}
			done <- err
		}()
		s.until(func() bool { return pool.Stats().WaitCount > before })
		leave()
		if <-done == nil {
			t.Error("the request was answered")
		}
		<-ended
		noError(t, held.Close())
		s.until(func() bool { return len(s.auditLog()) == 1 })
	})
}
