package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/internal/mailboxes"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// host is a site with a repository that mirrors the mailboxes of a fake server.
type host struct {
	*site
	boxes  nawasync.SyncedRepository[mailboxes.Mailbox]
	server *mailboxes.Server
}

func newHost(t *testing.T, db *testdb.Database, n int) *host {
	t.Helper()
	return newHostOf(t, db, n, nil)
}

// newHostOf is newHost with changes to the pages' configuration.
func newHostOf(t *testing.T, db *testdb.Database, n int, change func(*admin.Config)) *host {
	t.Helper()
	h := &host{site: newSite(t, db, "/admin/sync", change)}
	h.boxes, h.server = mailboxes.New(t, h.engine, db.DB)
	for i := range n {
		h.server.Set(address(i), 100)
	}
	h.start()
	h.sync(tracker.StatusSuccess)
	return h
}

func address(i int) string { return fmt.Sprintf("box%02d@example.org", i) }

// sync sends the form of the service's page that starts a sync, and waits for the job.
func (h *host) sync(want tracker.Status) {
	h.t.Helper()
	got := h.post("operator", "/services/whm/sync", "type", "box", "instance", "main", "back", "/admin/sync/services/whm")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/admin/sync/services/whm" {
		h.t.Fatalf("sync now: %d to %s", got.status, got.header.Get("Location"))
	}
	newest, err := h.engine.Reader().Search(h.t.Context(), tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldAction, Values: []string{"sync"}}}, Limit: 1})
	noError(h.t, err)
	h.await(newest.Jobs[0].ID, want)
}

func (h *host) row(address string) mailboxes.Mailbox {
	h.t.Helper()
	row, err := h.boxes.FindKey(h.t.Context(), mailboxes.Mailbox{Instance: "main", Address: address})
	noError(h.t, err)
	return row
}

// conflict returns a job in conflict: it wanted to set the quota to 500, but the remote changed it
// to 300.
func (h *host) conflict(i int) *tracker.Job {
	h.t.Helper()
	seen := h.row(address(i))
	h.server.Set(address(i), 300)
	job, err := h.boxes.Update(h.t.Context(), seen, func(m *mailboxes.Mailbox) { m.Quota = 500 }, nawasync.Options{By: "user:7"})
	noError(h.t, err)
	return h.await(job.ID, tracker.StatusConflict)
}

func TestConflictIsResolvedOnTheJobsPage(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 4)
		for i, c := range []struct {
			action string
			quota  int
		}{{"keep_theirs", 300}, {"accept", 300}, {"apply_mine", 500}, {"overwrite", 500}} {
			job := h.conflict(i)
			page := h.get("operator", fmt.Sprintf("/jobs/%d", job.ID)).body
			for _, want := range []string{"<bdi>100</bdi>", "<ins><bdi>500</bdi></ins>", "<mark><bdi>300</bdi></mark>", "/" + c.action + `"`} {
				if !strings.Contains(page, want) {
					t.Errorf("the conflict's page lacks %s", want)
				}
			}
			if viewed := h.get("viewer", fmt.Sprintf("/jobs/%d", job.ID)).body; strings.Contains(viewed, "/"+c.action+`"`) {
				t.Errorf("the page offers %s to a viewer", c.action)
			}
			before := len(h.related(job))
			path := fmt.Sprintf("/jobs/%d/%s", job.ID, c.action)
			if c.action != "keep_theirs" { // an answer that writes to the remote
				if h.post("operator", path); len(h.related(job)) != before {
					t.Errorf("%s was not confirmed, and made a job", c.action)
				}
			}
			h.post("operator", path, "confirm", "yes", "reason", "agreed with Ann")
			answers := h.related(job)
			if len(answers) != before+1 {
				t.Fatalf("%s made %d jobs", c.action, len(answers)-before)
			}
			h.await(answers[0].ID, tracker.StatusSuccess)
			row := h.row(address(i))
			if row.State != nawasync.StateSynced || row.Quota != c.quota || h.server.Quota(address(i)) != c.quota {
				t.Errorf("after %s the row is %+v, the server has %d", c.action, row, h.server.Quota(address(i)))
			}
		}
	})
}

func TestDeletedRowIsRestoredOnTheJobsPage(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 3)
		row := h.row(address(0))
		job, err := h.boxes.Delete(h.t.Context(), row, nawasync.Options{By: "user:7"})
		noError(t, err)
		job = h.await(job.ID, tracker.StatusSuccess)
		h.server.Set(address(0), 300) // it was made again on the remote
		path := fmt.Sprintf("/jobs/%d", job.ID)
		if viewed := h.get("viewer", path).body; strings.Contains(viewed, `/restore_row"`) {
			t.Error("the page offers to restore the row to a viewer")
		}
		if page := h.get("operator", path).body; !strings.Contains(page, `/restore_row"`) {
			t.Error("the page does not offer to restore the row")
		}
		h.post("operator", path+"/restore_row", "reason", "by mistake")
		reading := h.related(job)[0]
		h.await(reading.ID, tracker.StatusSuccess)
		if restored := h.row(address(0)); restored.ID != row.ID || restored.State != nawasync.StateSynced || restored.Quota != 300 {
			t.Errorf("row = %+v, want row %d with a quota of 300", restored, row.ID)
		}
		h.post("operator", path+"/restore_row")
		if n := len(h.related(job)); n != 2 {
			t.Errorf("%d jobs after the second click, want 2", n)
		}
		entries, err := h.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "restore_row"})
		if err != nil || len(entries) != 2 || entries[0].Outcome != tracker.AuditFailed || entries[1].Reason != "by mistake" || entries[1].Subject != "operator" {
			t.Errorf("audit log = %+v, %v, want a failed and a successful entry", entries, err)
		}
	})
}

// related returns all jobs of the job's target, the newest first.
func (h *host) related(job *tracker.Job) []*tracker.Job {
	h.t.Helper()
	found, err := h.engine.Reader().Search(h.t.Context(), tracker.Search{Targets: []tracker.Target{job.Target()}, Limit: 100})
	noError(h.t, err)
	return found.Jobs
}

func TestHeldSyncIsDecidedOnTheServicesPage(t *testing.T) {
	t.Parallel()
	for action, left := range map[string]int{"release": 5, "reject": 20} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.Database) { decideHeldSync(t, newHost(t, db, 20), action, left) })
		})
	}
}

// decideHeldSync holds a sync of 20 rows, releases or rejects it, and expects left rows afterwards.
func decideHeldSync(t *testing.T, h *host, action string, left int) {
	t.Helper()
	for i := range 15 {
		h.server.Remove(address(i))
	}
	h.sync(tracker.StatusConflict)
	page := h.get("operator", "/services/whm").body
	if !strings.Contains(page, "15 of 20 rows are missing from the listing") || !strings.Contains(page, address(3)) || !strings.Contains(page, "/held/1/"+action) {
		t.Errorf("the held sync is not shown: %s", page)
	}
	held := h.related(&tracker.Job{Service: "whm", Type: "box", Instance: "main", TargetID: "all"})[0]
	if page := h.get("operator", fmt.Sprintf("/jobs/%d", held.ID)).body; !strings.Contains(page, "the sync is held until an operator releases or rejects it") ||
		!strings.Contains(page, "/services/whm?instance=main") || strings.Contains(page, "/overwrite") {
		t.Errorf("the held job's page does not link to the service's page: %s", page)
	}
	if page := h.get("viewer", "/services/whm").body; strings.Contains(page, "/held/1/") {
		t.Error("the page offers the decision to a viewer")
	}
	if health := h.get("operator", "/").body; !strings.Contains(health, "A sync of whm/box on main is held: 15 of 20") {
		t.Error("the health page does not show the held sync")
	}
	for subject, want := range map[string]int{"viewer": http.StatusForbidden, "other": http.StatusNotFound, "nobody": http.StatusForbidden} {
		if got := h.post(subject, "/held/1/"+action); got.status != want {
			t.Errorf("%s by %s: %d", action, subject, got.status)
		}
	}
	browser := h.browser("operator")
	if action == "release" {
		page := h.follow(browser, "/held/1/release", "back", "/admin/sync/services/whm")
		if !strings.Contains(page, "Tick the box") || !strings.Contains(page, "/held/1/") {
			t.Errorf("after a release that was not confirmed: %s", page)
		}
	}
	page = h.follow(browser, "/held/1/"+action, "back", "/admin/sync/services/whm", "confirm", "yes", "reason", "agreed")
	if strings.Contains(page, "Not done") || strings.Contains(page, "/held/1/") {
		t.Errorf("after %s: %s", action, page)
	}
	h.until(func() bool {
		all, err := h.boxes.List(t.Context(), nawasync.Query{Limit: 100})
		noError(t, err)
		open, err := enginetest.Store(h.engine).CountOpen(t.Context(), nil, "whm", 10)
		noError(t, err)
		return len(all.Items) == left && open == 0
	})
	entries, err := h.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: action})
	if err != nil || len(entries) == 0 || !slices.ContainsFunc(entries, func(e tracker.AuditEntry) bool { return e.Reason == "agreed" }) {
		t.Errorf("the audit log lacks the reason: %+v, %v", entries, err)
	}
	if page := h.follow(browser, "/held/1/"+action, "confirm", "yes"); !strings.Contains(page, "This held sync was already decided") {
		t.Errorf("a second decision shows: %s", page)
	}
}

func (h *host) until(done func() bool) {
	h.t.Helper()
	enginetest.Eventually(h.t, 30*time.Second, "done", done)
}

// The history of a target shows what syncs found, beside its jobs and audit entries.
func TestTargetHistoryShowsWhatSyncsFound(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 3)
		h.server.Set(address(1), 350)
		h.server.Remove(address(2))
		h.sync(tracker.StatusSuccess)
		history := func(subject, address string) answer {
			return h.get(subject, "/target?"+url.Values{"service": {"whm"}, "type": {"box"}, "instance": {"main"}, "id": {address}}.Encode())
		}
		for _, want := range []string{"changed on the remote", "quota <del><bdi>100</bdi></del> → <ins><bdi>350</bdi></ins>"} {
			if page := history("viewer", address(1)).body; !strings.Contains(page, want) {
				t.Errorf("the history lacks %s: %s", want, page)
			}
		}
		if page := history("viewer", address(2)).body; !strings.Contains(page, "missing from the listing") {
			t.Errorf("the page shows:\n%s", page)
		}
		if page := history("viewer", address(0)).body; !strings.Contains(page, "This object has no history yet.") {
			t.Errorf("the page shows:\n%s", page)
		}
		if got := history("other", address(1)); got.status != http.StatusNotFound {
			t.Errorf("the history for a subject that must not view it: %d", got.status)
		}
	})
}
