package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestPlanOfASyncIsShownOnItsJobsPage(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 4)
		h.server.Set(address(0), 300)
		h.server.Set("new@example.org", 7)
		h.server.Remove(address(3))
		if page := h.get("operator", "/services/whm").body; !strings.Contains(page, `formaction="/admin/sync/services/whm/plan"`) {
			t.Error("the service's page does not offer a plan")
		}
		if page := h.get("viewer", "/services/whm").body; strings.Contains(page, `/services/whm/plan"`) {
			t.Error("the service's page offers a plan to a viewer")
		}
		got := h.post("operator", "/services/whm/plan", "type", "box", "instance", "main", "back", "/admin/sync/services/whm")
		if got.status != http.StatusSeeOther {
			t.Fatalf("plan: status %d", got.status)
		}
		found, err := h.engine.Reader().
			Search(t.Context(), tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldAction, Values: []string{tracker.PlanAction}}}, Limit: 2})
		noError(t, err)
		if len(found.Jobs) != 1 {
			t.Fatalf("%d plans, want 1", len(found.Jobs))
		}
		job := h.await(found.Jobs[0].ID, tracker.StatusSuccess)
		path := fmt.Sprintf("/jobs/%d", job.ID)
		page := h.get("operator", path).body
		for _, want := range []string{
			"What a sync would do", "<dt>New rows</dt><dd>1</dd>", "<dt>Missing rows</dt><dd>1</dd>", "<dt>Unchanged rows</dt><dd>2</dd>",
			"<bdi>new@example.org</bdi>", "<bdi>" + address(3) + "</bdi>", "missing from the listing", "<del><bdi>100</bdi></del>", "<ins><bdi>300</bdi></ins>",
			`action="/admin/sync/services/whm/sync"`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the plan's page lacks %s", want)
			}
		}
		if viewed := h.get("viewer", path).body; !strings.Contains(viewed, "<ins><bdi>300</bdi></ins>") || strings.Contains(viewed, `/services/whm/sync"`) {
			t.Error("a viewer does not see the plan, or is offered the sync")
		}
		if h.row(address(0)).Quota != 100 || h.row(address(3)).State != "synced" {
			t.Error("the plan has changed a row")
		}
		log, err := h.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{JobID: job.ID, Limit: 10})
		noError(t, err)
		if len(log) != 1 || log[0].Action != "plan" || log[0].Subject == "" {
			t.Errorf("the audit log has %+v, want the plan", log)
		}
		if status := h.post("viewer", "/services/whm/plan", "type", "box", "instance", "main").status; status != http.StatusForbidden {
			t.Errorf("a viewer's plan: status %d, want 403", status)
		}
	})
}
