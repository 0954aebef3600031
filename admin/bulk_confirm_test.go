package admin_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestBulkRunOfASelectionThatGrewIsRefusedWithTheNewNumber(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start() // no process works bulk runs
	early := s.await(s.dispatch(chore{ID: "early"}).ID, tracker.StatusSuccess)
	s.failures(101)
	browser := s.browser("operator")
	const q = "/bulk?action=delete&all=1&q=status:failed"
	// The early job is not newer than the preview, and joins the selection after it.
	hide, show := "UPDATE nawasync_jobs SET status = 'success' WHERE id = ?", "UPDATE nawasync_jobs SET status = 'failed' WHERE id = ?"
	noError(t, s.db.Exec(show, early.ID).Error)
	preview, page, _ := s.startBulkRun(browser, q, url.Values{"reason": {"old"}, "typed": {"101"}, "must": {"101"}})
	if !strings.Contains(preview, "Delete 102 jobs") || !strings.Contains(page, "Type 102, the number of jobs, to confirm") {
		t.Errorf("with the number of an older preview the page shows:\n%s", page)
	}
	if n := s.count("1 = 2 OR type = 'bulk'"); n != 0 {
		t.Errorf("%d bulk runs were started, want none", n)
	}
	noError(t, s.db.Exec(hide, early.ID).Error)
	if _, _, path := s.startBulkRun(browser, q, url.Values{"reason": {"old"}, "typed": {"102"}}); !strings.HasPrefix(path, "/bulk/") {
		t.Errorf("after one job left the selection, the run was not started: %s", path)
	}
}
