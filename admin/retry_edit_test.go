package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// tuned has arguments of several types. The job fails unless its quota is 700.
type tuned struct {
	ID     string            `json:"id"`
	Quota  int               `json:"quota"`
	Active bool              `json:"active"`
	Note   string            `json:"note"`
	Limits map[string]string `json:"limits"`
	Token  nawasync.Secret   `json:"token"`
}

func (tuned) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "mailbox", Action: "tune"}
}
func (c tuned) Target() nawasync.Target      { return nawasync.Target{Instance: "main", ID: c.ID} }
func (c tuned) Options() nawasync.JobOptions { return nawasync.JobOptions{MaxAttempts: 1} }

type tuner struct {
	nawasync.AbstractJob[tuned]
	site *site
}

func (d *tuner) Execute(_ context.Context, run *nawasync.Run[tuned]) error {
	a := run.Args
	d.site.mu.Lock()
	defer d.site.mu.Unlock()
	d.site.calls = append(d.site.calls, fmt.Sprint(a.ID, a.Quota, a.Active, a.Note, a.Limits, a.Token.Reveal()))
	if a.Quota != 700 {
		return nawasync.Permanent(fmt.Errorf("quota %d is not possible", a.Quota))
	}
	return nil
}

// failTuned returns a site and its failed job.
func failTuned(t *testing.T, db *testdb.Database) (*site, *tracker.Job) {
	t.Helper()
	s := newSite(t, db, "", nil)
	noError(t, nawasync.Register(s.engine, &tuner{site: s}))
	s.start()
	job := s.dispatch(
		tuned{ID: "info", Quota: 900, Note: "line 1\nline 2", Limits: map[string]string{"in": "5"}, Token: nawasync.NewSecret("hunter2-secret")},
	)
	return s, s.await(job.ID, tracker.StatusFailed)
}

// submit sends a form as a browser does, and returns the page that follows.
func (s *site) submit(browser *http.Client, path string, form ...string) string {
	s.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	response, err := browser.PostForm(s.server.URL+s.prefix+path, withToken(values))
	noError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	noError(s.t, err)
	return string(body)
}

func edit(job *tracker.Job) string { return fmt.Sprintf("/jobs/%d/edit", job.ID) }

func TestRetryWithOtherArgumentsKeepsTheRestAndTheSecrets(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s, job := failTuned(t, db)
		if page := s.get("operator", fmt.Sprintf("/jobs/%d", job.ID)).body; !strings.Contains(page, `href="`+edit(job)+`"`) {
			t.Errorf("the job's page has no link to the form:\n%s", page)
		}
		page := s.get("operator", edit(job)).body
		for _, want := range []string{`name="arg:quota" value="900"`, `name="arg:active"`, `name="arg:limits"`, "\nline 1\nline 2</textarea>", "kept: not shown"} {
			if !strings.Contains(page, want) {
				t.Errorf("the form lacks %s:\n%s", want, page)
			}
		}
		if strings.Contains(page, "hunter2") || strings.Contains(page, `name="arg:token"`) {
			t.Error("the form shows the secret, or offers to replace it")
		}
		got := s.post("operator", edit(job), "arg:quota", "700", "arg:active", "true", "arg:note", "line 1\r\nline 2", "arg:limits", `{"in": "9"}`,
			"arg:token", "mine", "reason", "as agreed", "back", fmt.Sprintf("/jobs/%d", job.ID))
		if got.status != http.StatusSeeOther {
			t.Fatalf("the form: status %d:\n%s", got.status, got.body)
		}
		old, err := s.engine.Reader().Get(t.Context(), job.ID)
		noError(t, err)
		retry := s.await(old.RetriedAs, tracker.StatusSuccess)
		if strings.Contains(string(retry.Payload), "hunter2") || !strings.Contains(string(retry.Payload), "***") {
			t.Errorf("the retry's arguments are %s", retry.Payload)
		}
		s.mu.Lock()
		last := s.calls[len(s.calls)-1]
		s.mu.Unlock()
		if last != fmt.Sprint("info", 700, true, "line 1\nline 2", map[string]string{"in": "9"}, "hunter2-secret") {
			t.Errorf("the handler got %s", last)
		}
		entries, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{JobID: job.ID, Limit: 10})
		noError(t, err)
		if len(entries) != 1 || entries[0].Action != "retry" || entries[0].Detail != fmt.Sprintf("job %d, with other active, limits, quota", retry.ID) ||
			entries[0].Reason != "as agreed" {
			t.Errorf("the audit log has %+v", entries)
		}
		if page := s.get("operator", fmt.Sprintf("/jobs/%d", job.ID)).body; !strings.Contains(page, fmt.Sprintf("Retried as job %d: success.", retry.ID)) {
			t.Errorf("the job's page does not name the retry:\n%s", page)
		}
	})
}

func TestValuesThatTheHandlerCannotReadAreRefusedInPlace(t *testing.T) {
	t.Parallel()
	s, job := failTuned(t, testdb.SQLite(t))
	for _, c := range []struct{ key, value, want string }{
		{"quota", "much", "Enter a number"},
		{"quota", `"700"`, "Enter a number"},
		{"quota", "7.5", "The handler cannot read this value"},
		{"active", "yes", "Choose true or false."},
		{"limits", "[1]", "Enter a JSON object"},
		{"limits", `{"in": 5}`, "The handler cannot read this value"},
	} {
		got := s.post("operator", edit(job), "arg:"+c.key, c.value)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, c.want) || !strings.Contains(got.body, `aria-invalid="true"`) {
			t.Errorf("%s %q: status %d:\n%s", c.key, c.value, got.status, got.body)
		}
	}
	if n := s.count("retry_of IS NOT NULL"); n != 0 {
		t.Errorf("%d retries were added", n)
	}
}

func TestArgumentsThatDecideOverTheObjectCannotBeChanged(t *testing.T) {
	t.Parallel()
	s, job := failTuned(t, testdb.SQLite(t))
	browser := s.browser("operator")
	for _, c := range []struct {
		want string
		form []string
	}{
		{"would concern another object", []string{"arg:id", "other"}},
		{"No argument was changed.", []string{"arg:quota", "900"}},
		{"No argument was changed.", []string{"arg:token", "mine"}},
		{"No argument was changed.", []string{"arg:unknown", "1"}},
	} {
		if page := s.submit(browser, edit(job), c.form...); !strings.Contains(page, c.want) {
			t.Errorf("%q: the page shows:\n%s", c.form, page)
		}
	}
	if n := s.count("retry_of IS NOT NULL"); n != 0 {
		t.Errorf("%d retries were added", n)
	}
}

// A viewer sees no link and no form; and no one changes the arguments of a repository's job.
func TestWhoAndWhatCannotRetryWithOtherArguments(t *testing.T) {
	t.Parallel()
	s, job := failTuned(t, testdb.SQLite(t))
	if page := s.get("viewer", fmt.Sprintf("/jobs/%d", job.ID)).body; strings.Contains(page, edit(job)) {
		t.Error("the page offers the form to a viewer")
	}
	if got := s.get("viewer", edit(job)); got.status != http.StatusForbidden {
		t.Errorf("the form for a viewer: %d", got.status)
	}
	if got := s.post("viewer", edit(job), "arg:quota", "700"); got.status != http.StatusForbidden {
		t.Errorf("the viewer's form: %d", got.status)
	}
	noError(t, s.db.Exec("UPDATE nawasync_jobs SET sealed = '' WHERE id = ?", job.ID).Error)
	if page := s.get("operator", edit(job)).body; !strings.Contains(page, "no longer stored") || strings.Contains(page, "arg:quota") {
		t.Errorf("the form without stored arguments:\n%s", page)
	}
	h := newHost(t, testdb.SQLite(t), 1)
	conflict := h.conflict(0)
	if page := h.get("operator", edit(conflict)).body; !strings.Contains(page, "Change the object in the application.") ||
		strings.Contains(page, "<textarea") {
		t.Errorf("the form of a repository's job:\n%s", page)
	}
	if h.post("operator", edit(conflict), "arg:mask_keys", "[]"); len(h.related(conflict)) != 1 {
		t.Error("a job with other arguments was added for a repository's job")
	}
}

// An operator presses the button again, and has changed the value meanwhile, in vain: the first press counts.
func TestSecondPostOfAnEditTellsTheResultOfTheFirst(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s, job := failTuned(t, db)
		form := []string{"token", formToken, "arg:quota", "700"}
		first := s.post("operator", edit(job), form...)
		if first.status != http.StatusSeeOther {
			t.Fatalf("the form: status %d\n%s", first.status, first.body)
		}
		noError(t, db.Exec("UPDATE nawasync_jobs SET sealed = '' WHERE id = ?", job.ID).Error) // the values could not be checked any more
		if again := s.post("operator", edit(job), form...); again.result() != first.result() {
			t.Errorf("the same form again: %s, want %s", again.result(), first.result())
		}
		for _, value := range []string{"800", "much"} {
			got := s.post("operator", edit(job), "token", formToken, "arg:quota", value)
			if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "The first time: Retried with other arguments as job") {
				t.Errorf("with the value %s: status %d\n%s", value, got.status, got.body)
			}
		}
		if n := s.count("retry_of IS NOT NULL"); n != 1 {
			t.Errorf("%d retries were added, want 1", n)
		}
	})
}

// An operator adds a key to an argument whose name says that it is a secret.
func TestSecretThatAnOperatorAddsToAnArgumentIsStoredSealedOnly(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s, job := failTuned(t, db)
		got := s.post("operator", edit(job), "arg:quota", "700", "arg:limits", `{"in": "5", "password": "open-sesame-1"}`, "token", formToken)
		if got.status != http.StatusSeeOther {
			t.Fatalf("the form: status %d\n%s", got.status, got.body)
		}
		s.until(func() bool { return s.count("status = 'success'") == 1 })
		for _, table := range []string{"nawasync_jobs", "nawasync_attempts", "nawasync_acts", "nawasync_forms"} {
			var rows []map[string]any
			noError(t, db.Table(table).Find(&rows).Error)
			if text := fmt.Sprint(rows); len(rows) == 0 || strings.Contains(text, "open-sesame") {
				t.Errorf("%s has the secret in %s", table, text)
			}
		}
	})
}

// Two operators edit the same job; the second learns of the first one's retry, and nothing is lost.
func TestSecondEditOfAJobIsRefusedWhileTheFirstRuns(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s, job := failTuned(t, db)
		noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "x", Reason: "a test"}))
		s.post("operator", edit(job), "arg:quota", "700")
		s.post("operator", edit(job), "arg:quota", "800", "force", "yes")
		entries, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{JobID: job.ID, Limit: 10})
		noError(t, err)
		if n := s.count("retry_of IS NOT NULL"); n != 1 || len(entries) != 2 ||
			!slices.ContainsFunc(entries, func(e tracker.AuditEntry) bool { return e.Outcome == tracker.AuditFailed }) {
			t.Errorf("%d retries, and the audit log has %+v", n, entries)
		}
	})
}
