package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/mailboxes"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func objectPath(address string) string {
	return "/target?" + url.Values{"service": {"whm"}, "type": {"box"}, "instance": {"main"}, "id": {address}}.Encode()
}

func TestObjectPageShowsTheFieldsHerePendingAndOnTheServer(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHostOf(t, db, 2, withQuota)
		conflict := h.conflict(0)
		page := text(h.get("viewer", objectPath(address(0))).body)
		for _, want := range []string{
			"Mail quota</th>", `data-label="Here" class="long"><bdi title="100">100 MB</bdi>`, `<mark><bdi title="300">300 MB</bdi></mark>`,
			fmt.Sprintf(`href="/admin/sync/jobs/%d">Resolve the conflict`, conflict.ID), "Mail quota 100 MB → 500 MB", "conflict; last in sync ",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page of an object in conflict lacks %s:\n%s", want, page)
			}
		}
		if strings.Contains(page, ">Refresh") {
			t.Error("the page offers a viewer to refresh the object")
		}
		page = text(h.get("viewer", objectPath(address(1))).body)
		if !strings.Contains(page, "in sync, ") || strings.Contains(page, "Pending</th>") || strings.Contains(page, "On the server") {
			t.Errorf("the page of a synced object:\n%s", page)
		}
		noError(t, h.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "x", Reason: "a test"}))
		job, err := h.boxes.Update(t.Context(), h.row(address(1)), func(m *mailboxes.Mailbox) { m.Quota = 700 }, nawasync.Options{By: "Ann"})
		noError(t, err)
		page = text(h.get("viewer", objectPath(address(1))).body)
		if !strings.Contains(page, `→ <ins><bdi title="700">700 MB</bdi></ins>`) || !strings.Contains(page, fmt.Sprintf(`/jobs/%d">`, job.ID)) {
			t.Errorf("the page of an object with a pending change:\n%s", page)
		}
	})
}

func TestOperatorRefreshesAnObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 1)
		h.server.Set(address(0), 250)
		form := []string{"service", "whm", "type", "box", "instance", "main", "id", address(0)}
		if page := h.get("operator", objectPath(address(0))).body; !strings.Contains(page, `action="/admin/sync/target/refresh"`) {
			t.Errorf("the page has no form to refresh the object:\n%s", page)
		}
		if got := h.post("viewer", "/target/refresh", form...); got.status != http.StatusForbidden {
			t.Errorf("a viewer refreshes the object: %d", got.status)
		}
		if got := h.post("operator", "/target/refresh", form...); got.status != http.StatusSeeOther {
			t.Errorf("the operator refreshes the object: %d %s", got.status, got.body)
		}
		newest, err := h.engine.Reader().
			Search(t.Context(), tracker.Search{Targets: []tracker.Target{{Service: "whm", Type: "box", Instance: "main", ID: address(0)}}, Limit: 2})
		noError(t, err)
		h.await(newest.Jobs[0].ID, tracker.StatusSuccess)
		if got := h.row(address(0)).Quota; len(newest.Jobs) != 1 || got != 250 {
			t.Errorf("%d jobs, and the row has the quota %d", len(newest.Jobs), got)
		}
		entries, err := h.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "refresh", Limit: 10})
		noError(t, err)
		if len(entries) != 2 || entries[0].Outcome != tracker.AuditDone || entries[0].JobID != newest.Jobs[0].ID ||
			entries[1].Outcome != tracker.AuditRefused {
			t.Errorf("the audit log has %+v", entries)
		}
		form[7] = "nobody@example.org"
		if h.post("operator", "/target/refresh", form...); h.count("type = 'box' AND target_id = 'nobody@example.org'") != 0 {
			t.Error("an object without a row was refreshed")
		}
	})
}

// A refreshed page of an object that has no repository in this process shows its history only.
func TestObjectWithoutARepositoryHasNoFields(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	page := s.get("operator", "/target?service=whm&type=mailbox&instance=main&id=a").body
	if !strings.Contains(page, "Job 1") || strings.Contains(page, ">Fields<") || strings.Contains(page, "Refresh\n") ||
		strings.Contains(page, "/target/refresh") {
		t.Errorf("the page shows:\n%s", page)
	}
}
