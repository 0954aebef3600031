package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

func TestRetryRunsTheJobAgainWithItsSecret(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/admin/sync", nil)
		s.start()
		job := s.await(s.dispatch(chore{ID: "a", How: "fail", Password: nawasync.NewSecret(secretText)}).ID, tracker.StatusFailed)
		s.mu.Lock()
		s.healthy, s.calls = true, nil
		s.mu.Unlock()
		back := "/admin/sync/jobs?q=status%3Afailed&n=25"
		got := s.post("operator", fmt.Sprintf("/jobs/%d/retry", job.ID), "back", back)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != back {
			t.Fatalf("%d to %s", got.status, got.header.Get("Location"))
		}
		retry := s.await(job.ID+1, tracker.StatusSuccess)
		if retry.RetryOf != job.ID || retry.TriggeredBy != "operator" {
			t.Errorf("the retry is %+v", retry)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.calls) != 1 || s.calls[0] != "a "+secretText {
			t.Errorf("the remote received %q", s.calls)
		}
		if page := s.get("viewer", "/jobs?q="+url.QueryEscape("status:conflict,failed -is:repaired")); !strings.Contains(page.body, "No jobs match.") {
			t.Error("a job that a later job repaired is still listed as unresolved")
		}
	})
}

// After a key rotation, the old key still decrypts, and the new key encrypts.
func TestRetryDecryptsASecretSealedWithAnOlderKey(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		before := newSite(t, db, "", nil)
		noError(t, before.engine.Start(t.Context()))
		job := before.await(before.dispatch(chore{ID: "a", How: "fail", Password: nawasync.NewSecret(secretText)}).ID, tracker.StatusFailed)
		noError(t, before.engine.Stop(context.Background()))
		ring, err := secret.NewKeyring([]byte("another-key-of-thirty-two-bytes!"), []byte(sealingKey))
		noError(t, err)
		after := newSiteOf(t, db, "", func(c *nawasync.Config) { c.Sealer = ring }, nil)
		after.healthy = true
		after.start()
		after.post("operator", fmt.Sprintf("/jobs/%d/retry", job.ID))
		after.await(job.ID+1, tracker.StatusSuccess)
		after.mu.Lock()
		defer after.mu.Unlock()
		if len(after.calls) != 1 || after.calls[0] != "a "+secretText {
			t.Errorf("the remote received %q", after.calls)
		}
	})
}

func TestCancelOfARunningJobIsShownAsRequestedUntilItStops(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	job := s.await(s.dispatch(chore{ID: "a", How: "wait"}).ID, tracker.StatusRunning)
	path := fmt.Sprintf("/jobs/%d", job.ID)
	browser := s.browser("operator")
	if page := s.follow(browser, path+"/delete"); !strings.Contains(page, "has not ended. Cancel the job first.") {
		t.Error("a running job was deleted")
	}
	if now, err := s.engine.Reader().Get(t.Context(), job.ID); err != nil || !now.DeletedAt.IsZero() {
		t.Errorf("the running job is %+v, %v", now, err)
	}
	page := s.follow(browser, path+"/cancel")
	if !strings.Contains(page, "Cancelling job") {
		t.Errorf("cancel:\n%s", page)
	}
	s.await(job.ID, tracker.StatusCancelled)
	if page := s.get("viewer", path).body; !strings.Contains(page, "Cancelled by operator.") {
		t.Error("the page does not show who cancelled the job")
	}
	if page := s.follow(browser, path+"/delete", "reason", "it was a mistake"); !strings.Contains(page, "was deleted. To restore the job") {
		t.Errorf("delete:\n%s", page)
	}
	if page := s.get("viewer", "/jobs").body; strings.Contains(page, path+`"`) {
		t.Error("a deleted job is on the list")
	}
	if page := s.get("viewer", "/jobs?q=is:deleted").body; !strings.Contains(page, path+`"`) {
		t.Error("the query is:deleted does not find the deleted job")
	}
	if page := s.get("viewer", "/audit").body; !strings.Contains(page, "it was a mistake") {
		t.Error("the audit log does not show the reason")
	}
	if page := s.follow(browser, path+"/restore"); !strings.Contains(page, "was restored") {
		t.Error("the job was not restored")
	}
}

func TestServiceIsPausedAndResumedWithAReason(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	s.await(s.dispatch(chore{ID: "first"}).ID, tracker.StatusSuccess)
	browser := s.browser("operator")
	if page := s.follow(browser, "/services/whm/pause"); !strings.Contains(page, "Enter a reason") {
		t.Errorf("the service was paused without a reason:\n%s", page)
	}
	page := s.follow(browser, "/services/whm/pause", "reason", "the rack moves")
	if !strings.Contains(page, "is paused by operator until an operator resumes the service") {
		t.Errorf("the service is not paused:\n%s", page)
	}
	job := s.dispatch(chore{ID: "second"})
	if page := s.get("viewer", fmt.Sprintf("/jobs/%d", job.ID)).body; !strings.Contains(page, "because operator paused whm") {
		t.Error("the job's page does not show what the job waits for")
	}
	if page := s.get("viewer", "/").body; !strings.Contains(page, "the rack moves") {
		t.Error("the health page does not show the pause")
	}
	if page := s.follow(browser, "/services/whm/resume"); !strings.Contains(page, "has been resumed") {
		t.Errorf("the service is not resumed:\n%s", page)
	}
	s.await(job.ID, tracker.StatusSuccess)
	if page := s.follow(browser, "/services/whm/sync", "type", "mailbox"); !strings.Contains(page, "because this process has no repository") {
		t.Errorf("syncing an unknown repository shows:\n%s", page)
	}
	if page := s.follow(browser, "/services/whm/resume"); !strings.Contains(page, "is not paused") {
		t.Errorf("resuming a second time shows:\n%s", page)
	}
	log, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{})
	noError(t, err)
	var outcomes []string
	for _, entry := range log {
		outcomes = append([]string{fmt.Sprint(entry.Action, " ", entry.Outcome)}, outcomes...)
	}
	if want := []string{"pause failed", "pause done", "resume done", "sync failed", "resume failed"}; !slices.Equal(outcomes, want) {
		t.Errorf("the audit log has %q, want %q", outcomes, want)
	}
}
