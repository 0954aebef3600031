package admin_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

// A sync has found box01; no job was ever dispatched for it.
func TestSearchFindsAnObjectThatNeverHadAJob(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 3)
		link := `/admin/sync/target?id=box01%40example.org&amp;instance=main&amp;service=whm&amp;type=box`
		for _, q := range []string{address(1), "target:" + address(1), "service:whm+" + address(1)} {
			if page := h.get("viewer", "/jobs?q="+q).body; !strings.Contains(page, link) {
				t.Errorf("the search %q does not show the object:\n%s", q, page)
			}
		}
		for subject, q := range map[string]string{"viewer": "box0@example.org", "operator": "service:cloudflare+" + address(1)} {
			if page := h.get(subject, "/jobs?q="+q).body; strings.Contains(page, `id="objects"`) {
				t.Errorf("the search %q shows an object", q)
			}
		}
		if page := h.get("viewer", strings.ReplaceAll(strings.TrimPrefix(link, "/admin/sync"), "&amp;", "&")); page.status != 200 {
			t.Errorf("the object's page: %d", page.status)
		}
	})
}

type yearly struct{}

func (yearly) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "report", Action: "write"}
}
func (yearly) Target() nawasync.Target { return nawasync.Target{Instance: "planned", ID: "report"} }

func TestInstanceIsShownBeforeItsFirstJob(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newSite(t, db, "/admin/sync", nil)
		noError(t, h.engine.Schedule(nawasync.Schedule{Name: "yearly", Spec: "@yearly", Args: yearly{}}))
		noError(t, h.engine.Pause(t.Context(), "whm", "paused", nawasync.PauseOptions{}))
		h.start()
		enginetest.Eventually(t, 20*time.Second, "the schedule is stored", func() bool {
			schedules, err := h.engine.Reader().Schedules(t.Context())
			return err == nil && len(schedules) == 1
		})
		page := h.get("operator", "/services/whm").body
		for _, instance := range []string{"paused", "planned"} {
			if !strings.Contains(page, fmt.Sprintf(`instance=%s"`, instance)) {
				t.Errorf("the service's page does not show the instance %s", instance)
			}
		}
		if !strings.Contains(page, "never") {
			t.Error("the schedule does not say that it never ran")
		}
	})
}

// A sync button without a process that handles the sync would only add to the queue.
func TestSyncButtonIsShownWhileAProcessHandlesTheSync(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	h := newHost(t, db, 1)
	const button, none = `action="/admin/sync/services/whm/sync"`, "No running process can sync this."
	if page := h.get("operator", "/services/whm").body; !strings.Contains(page, button) || strings.Contains(page, none) {
		t.Error("the page has no sync button while a process runs")
	}
	noError(t, h.engine.Stop(context.Background()))
	enginetest.NoError(t, db.Exec("DELETE FROM nawasync_processes").Error)
	if page := h.get("operator", "/services/whm").body; strings.Contains(page, button) || !strings.Contains(page, none) {
		t.Error("the page has a sync button, but no process handles the sync")
	}
}

func TestTitlesNameWhatThePageShows(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	h := newHost(t, db, 1)
	for path, want := range map[string]string{
		"/jobs": "Jobs",
		"/jobs?q=status:conflict,failed+-is:repaired+-is:retried": "Jobs: Unresolved",
		"/jobs?q=service:whm":         "Jobs: service:whm",
		"/services/whm?instance=main": "whm on main",
		"/jobs/1":                     "Job 1: sync all, success",
	} {
		if _, rest, _ := strings.Cut(h.get("operator", path).body, "<title>"); !strings.HasPrefix(rest, want+" · Sync<") {
			t.Errorf("%s has the title %.60q, want %q", path, rest, want)
		}
	}
}

// The host may drop a table, or lock it. The list of jobs does not need it.
func TestSearchShowsJobsAlthoughObjectsCannotBeRead(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 1)
		noError(t, db.DB.Exec("DROP TABLE mailboxes").Error)
		if page := h.get("viewer", "/jobs?q=sync"); page.status != 200 {
			t.Errorf("status %d, want 200 and the jobs", page.status)
		}
	})
}
