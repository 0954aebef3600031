package admin_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// settableClock is a clock for Config.Now.
type settableClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *settableClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *settableClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newSiteWithClock is newSite with a clock that stands still.
func newSiteWithClock(t *testing.T) (*site, *settableClock) {
	t.Helper()
	clock := &settableClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return newSiteOf(t, testdb.SQLite(t), "/sync", func(c *nawasync.Config) { c.Now = clock.Now }, nil), clock
}

func (s *site) auditLog() []tracker.AuditEntry {
	s.t.Helper()
	entries, err := s.engine.Reader().AuditLog(s.t.Context(), tracker.AuditFilter{Limit: 500})
	noError(s.t, err)
	return entries
}

func TestRefusedFormsOfASubjectAreLimitedAndCounted(t *testing.T) {
	t.Parallel()
	s, clock := newSiteWithClock(t)
	job := s.dispatch(chore{ID: "a"})
	path := fmt.Sprintf("/jobs/%d/cancel", job.ID)
	for i := range 80 {
		got := s.post("viewer", path)
		switch {
		case i < 50 && got.status != http.StatusForbidden:
			t.Fatalf("form %d: status %d, want 403", i, got.status)
		case i >= 50 && got.status != http.StatusTooManyRequests:
			t.Fatalf("form %d: status %d, want 429", i, got.status)
		case i >= 50:
			if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 || after > 11 {
				t.Fatalf("form %d: Retry-After %q, want 1 to 11 seconds", i, got.header.Get("Retry-After"))
			}
		}
	}
	if n := len(s.auditLog()); n != 50 {
		t.Errorf("%d audit entries, want 50", n)
	}
	if got := s.post("operator", "/services/whm/pause", "reason", "x"); got.status != http.StatusSeeOther || s.auditLog()[0].Outcome != tracker.AuditDone {
		t.Errorf("another subject: status %d, want 303", got.status)
	}
	clock.advance(2 * time.Minute)
	if page := s.get("operator", "/audit"); !strings.Contains(page.body, "forms refused without looking: 30, between 2026-03-01 12:00:00Z and") {
		t.Error("the audit log does not say how many forms were left out")
	}
	newest := s.auditLog()[0]
	if newest.Subject != "viewer" || newest.Outcome != tracker.AuditRefused || newest.Service != "whm" || newest.Address == "" {
		t.Errorf("the newest entry is %+v, want one of the viewer with the service and the address", newest)
	}
	n := len(s.auditLog())
	for range 20 {
		s.post("viewer", path)
	}
	if now := len(s.auditLog()); now != n+12 { // one form in each 10 s
		t.Errorf("after 2 minutes 20 forms added %d entries, want 12", now-n)
	}
}

func TestFormsThatSucceedAreNotLimited(t *testing.T) {
	t.Parallel()
	s, _ := newSiteWithClock(t)
	s.dispatch(chore{ID: "a"})
	for i := range 120 {
		if got := s.post("operator", "/services/whm/pause", "reason", "x"); got.status != http.StatusSeeOther {
			t.Fatalf("form %d: status %d, want 303", i, got.status)
		}
	}
}

func TestFailedFormsAreLimitedLikeRefusedOnes(t *testing.T) {
	t.Parallel()
	s, _ := newSiteWithClock(t)
	job := s.dispatch(chore{ID: "a"})
	status := 0
	for range 60 {
		status = s.post("operator", fmt.Sprintf("/jobs/%d/delete", job.ID)).status // it has not ended
	}
	if n := len(s.auditLog()); status != http.StatusTooManyRequests || n != 50 {
		t.Errorf("the last of 60 failed forms has the status %d, and %d entries were written; want 429 and 50", status, n)
	}
}
