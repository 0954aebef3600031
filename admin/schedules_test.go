package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestAnOperatorRunsPausesAndResumesOneSchedule(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, s.engine.Schedule(nawasync.Schedule{Name: "nightly", Spec: "30 2 * * *", Args: chore{ID: "all"}}))
	s.start()
	s.until(func() bool {
		list, err := s.engine.Reader().Schedules(t.Context())
		noError(t, err)
		return len(list) == 1
	})
	s.await(s.dispatch(chore{ID: "a"}).ID, tracker.StatusSuccess)
	page := s.get("operator", "/services/whm").body
	for _, want := range []string{"every day at 02:30", "Run now", "/pause_schedule"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of the service lacks %q", want)
		}
	}
	if page := s.get("viewer", "/services/whm").body; strings.Contains(page, "Run now") || strings.Contains(page, "_schedule") {
		t.Error("a viewer sees actions on the schedule")
	}
	if got := s.post("operator", "/services/whm/pause_schedule", "schedule", "nightly"); got.status != http.StatusSeeOther {
		t.Fatalf("a pause without a reason: status %d", got.status)
	}
	paused := func() bool {
		list, err := s.engine.Reader().Schedules(t.Context())
		noError(t, err)
		return list[0].Paused(s.engine.Reader().Now())
	}
	if paused() {
		t.Error("a schedule was paused without a reason")
	}
	s.post("operator", "/services/whm/pause_schedule", "schedule", "nightly", "reason", "the list is wrong", "minutes", "60")
	if !paused() || !strings.Contains(s.get("viewer", "/services/whm").body, "the list is wrong") {
		t.Error("the schedule is not paused, or the page does not say why")
	}
	s.post("operator", "/services/whm/run_schedule", "schedule", "nightly")
	s.until(func() bool {
		list, err := s.engine.Reader().Schedules(t.Context())
		noError(t, err)
		return list[0].LastJob != 0
	})
	s.post("operator", "/services/whm/resume_schedule", "schedule", "nightly")
	if paused() {
		t.Error("the schedule is not resumed")
	}
	noError(t, s.engine.Stop(t.Context()))
	old := s.engine.Reader().Now().Add(-2 * time.Hour)
	noError(t, s.db.Exec("UPDATE nawasync_schedules SET run_asked_at = ?, run_asked_by = 'bob'", old.UnixMicro()).Error)
	if page := s.get("viewer", "/services/whm").body; !strings.Contains(page, "run not started") || strings.Contains(page, "run requested") {
		t.Errorf("a request that no process took is shown as:\n%s", page)
	}
	s.post("operator", "/services/whm/run_schedule", "schedule", "nightly")
	if page := s.get("viewer", "/services/whm").body; strings.Contains(page, "run not started") || !strings.Contains(page, "run requested") {
		t.Errorf("after a new request, the page shows:\n%s", page)
	}
	if page := s.get("viewer", "/audit").body; !strings.Contains(page, "no process took the request within") {
		t.Error("the audit log lacks the request that has expired")
	}
	if got := s.post("operator", "/services/cloudflare/run_schedule", "schedule", "nightly"); got.status != http.StatusNotFound {
		t.Errorf("a schedule of another service: status %d, want 404", got.status)
	}
}
