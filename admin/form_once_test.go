package admin_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	internal "github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

const formToken = "token-of-a-form-0001"

// result is what a browser does with the answer to a form.
func (a answer) result() string {
	flash := ""
	for _, cookie := range a.header["Set-Cookie"] {
		if strings.HasPrefix(cookie, "nawasync_flash=") {
			flash = cookie
		}
	}
	return fmt.Sprint(a.status, " ", a.header.Get("Location"), " ", flash)
}

// actions returns the number of audit entries and of jobs.
func (s *site) actions() (n [2]int) {
	s.t.Helper()
	noError(s.t, s.db.Raw("SELECT (SELECT COUNT(*) FROM nawasync_acts), (SELECT COUNT(*) FROM nawasync_jobs)").Row().Scan(&n[0], &n[1]))
	return n
}

// manyConnections lets a subject send several requests at the same time.
func manyConnections(c *admin.Config) { c.Connections = 8 }

// The forms are those of the matrix, so a new route is covered as soon as it is in the matrix.
func TestEveryFormThatIsSentTwiceIsHandledOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		cells := append(w.actionCells(), w.placeCells(w.places[0])...)
		cells = slices.DeleteFunc(cells, func(c cell) bool { return c.method != http.MethodPost })
		through := fmt.Sprint(w.places[0].queued.ID)
		at := w.engine.Reader().Now().Format(time.RFC3339Nano)
		bulk := url.Values{"action": {"cancel"}, "q": {"status:queued"}, "reason": {"x"}, "through": {through}, "at": {at}}
		cells = append(cells, cell{http.MethodPost, "/bulk?" + bulk.Encode(), nil})
		for _, route := range routes(t) {
			if !slices.ContainsFunc(cells, func(c cell) bool { return route.answers(access{method: c.method, path: c.path}) }) && route.method == http.MethodPost {
				t.Errorf("no form covers %s", route.path)
			}
		}
		accepted := 0
		for i, c := range cells {
			w.renew() // forms that are refused again and again get 429
			path, query, _ := strings.Cut(c.path, "?")
			form, err := url.ParseQuery(query)
			noError(t, err)
			form.Set("token", fmt.Sprintf("%s-%d", formToken, i))
			form.Set("back", "/health")
			before := w.actions()
			first := w.request("operator", http.MethodPost, path, form, nil)
			once := w.actions()
			second := w.request("operator", http.MethodPost, path, form, nil)
			if twice := w.actions(); twice != once || first.result() != second.result() || first.status == http.StatusSeeOther && first.header.Get("Location") == "" {
				t.Errorf("POST %s: first %s with %v entries and jobs, then %s with %v", c.path, first.result(), once, second.result(), twice)
			}
			if once[0] == before[0]+1 {
				accepted++
			}
		}
		if accepted < 14 {
			t.Errorf("only %d forms left an audit entry", accepted)
		}
	})
}

func TestSecondPostWaitsForTheFirstOneAndReturnsItsAnswer(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var looks formLooks
		s := newSiteOf(t, db, "/sync", looks.count, manyConnections)
		path := fmt.Sprintf("/jobs/%d/cancel", s.dispatch(chore{ID: "a"}).ID)
		form := []string{"token", formToken, "back", "/sync/health"}
		first, after := s.post("operator", path, form...), s.actions()
		var answer string
		noError(t, db.Raw("SELECT answer FROM nawasync_forms").Row().Scan(&answer))
		noError(t, db.Exec("UPDATE nawasync_forms SET answer = NULL").Error) // as if the first one were running
		var second answerList
		second.start(2, func() string { return s.post("operator", path, form...).result() })
		s.until(func() bool { return looks.n.Load() >= 4 || len(second.so()) > 0 })
		if got := second.so(); len(got) != 0 {
			t.Errorf("the second post did not wait: %q", got)
		}
		noError(t, db.Exec("UPDATE nawasync_forms SET answer = ?", answer).Error)
		if got := second.all(); got[0] != first.result() || got[1] != first.result() || first.status != http.StatusSeeOther {
			t.Errorf("the second posts got %q, want %q", got, first.result())
		}
		if now := s.actions(); now != after {
			t.Errorf("%v audit entries and jobs, want %v", now, after)
		}
	})
}

// formLooks counts how often requests have looked for the answer of a form that was sent before: each does so once,
// and again and again while it waits.
type formLooks struct{ n atomic.Int32 }

func (l *formLooks) count(c *nawasync.Config) {
	c.SetTuning(internal.Tuning{At: func(m jobstore.Moment) {
		if m == jobstore.MomentFormRead {
			l.n.Add(1)
		}
	}})
}

// answerList collects the results of requests that run at the same time.
type answerList struct {
	mu   sync.Mutex
	wg   sync.WaitGroup
	list []string
}

func (a *answerList) start(n int, send func() string) {
	for range n {
		a.wg.Go(func() {
			result := send()
			a.mu.Lock()
			defer a.mu.Unlock()
			a.list = append(a.list, result)
		})
	}
}

func (a *answerList) so() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

func (a *answerList) all() []string {
	a.wg.Wait()
	return a.list
}

// A browser gives the first request up when somebody presses the button again.
func TestActionGoesOnWhenTheBrowserGivesTheFirstPostUp(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		if db.Dialect == "sqlite" {
			t.Skip("SQLite has no lock of one row")
		}
		var looks formLooks
		s := newSiteOf(t, db, "", looks.count, manyConnections)
		job := s.dispatch(chore{ID: "a"})
		path, form := fmt.Sprintf("/jobs/%d/cancel", job.ID), url.Values{"token": {formToken}, "back": {"/health"}}
		ctx, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		var first, second answerList
		noError(t, db.Transaction(func(tx *gorm.DB) error {
			noError(t, tx.Exec("UPDATE nawasync_jobs SET updated_at = updated_at WHERE id = ?", job.ID).Error)
			first.start(1, func() string {
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL+path, strings.NewReader(form.Encode()))
				noError(t, err)
				request.Header.Set("X-Subject", "operator")
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				response, err := http.DefaultTransport.RoundTrip(request)
				if err == nil {
					_ = response.Body.Close()
				}
				return fmt.Sprint(err)
			})
			s.until(func() bool { return s.forms() == 1 })
			giveUp()
			if got := first.all(); !strings.Contains(got[0], "canceled") {
				t.Errorf("the first post ended with %q before the job was free", got)
			}
			second.start(1, func() string { return s.request("operator", http.MethodPost, path, form, nil).result() })
			s.until(func() bool { return looks.n.Load() >= 2 || len(second.so()) > 0 })
			if got := second.so(); len(got) != 0 {
				t.Errorf("the second post did not wait: %q", got)
			}
			return nil
		}))
		if got := second.all(); !strings.HasPrefix(got[0], "303 /health") {
			t.Errorf("the second post got %q", got)
		}
		s.await(job.ID, tracker.StatusCancelled)
		if log, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{}); err != nil || len(log) != 1 || log[0].Outcome != tracker.AuditDone {
			t.Errorf("the audit log has %+v, %v", log, err)
		}
	})
}

func (s *site) forms() (n int) {
	noError(s.t, s.db.Raw("SELECT COUNT(*) FROM nawasync_forms").Row().Scan(&n))
	return n
}

func TestTokenIsGoodForOneFormOfOneSubject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		noError(t, policy.Grant(t.Context(), db.DB, "second", admin.RoleOperator))
		job := s.dispatch(chore{ID: "a"})
		path := fmt.Sprintf("/jobs/%d", job.ID)
		if got := s.post("operator", path+"/cancel", "token", formToken); got.status != http.StatusSeeOther {
			t.Fatalf("the first post: %s", got.result())
		}
		after := s.actions()
		for name, send := range map[string]func() answer{
			"another subject": func() answer { return s.post("second", path+"/cancel", "token", formToken) },
			"another action":  func() answer { return s.post("operator", path+"/delete", "token", formToken) },
			"another reason":  func() answer { return s.post("operator", path+"/cancel", "token", formToken, "reason", "x") },
			"another page":    func() answer { return s.post("operator", "/services/whm/pause", "token", formToken, "reason", "x") },
		} {
			if got := send(); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "sent before with other values") {
				t.Errorf("%s: %s", name, got.result())
			} else if told := strings.Contains(got.body, "The first time: "); told != (name == "another reason") {
				t.Errorf("%s: the page tells the first result: %t\n%s", name, told, got.body)
			}
		}
		if now := s.actions(); now != after {
			t.Errorf("%v audit entries and jobs, want %v", now, after)
		}
	})
}

func TestFormWithoutAValidTokenDoesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/sync", nil)
	job := s.dispatch(chore{ID: "a"})
	for _, token := range []string{"", "short", strings.Repeat("x", 65), "sixteen letters and a space", "../../../../../etc"} {
		form := url.Values{"token": {token}, "back": {"/sync/health"}}.Encode()
		got := s.send("operator", fmt.Sprintf("/jobs/%d/cancel", job.ID), "application/x-www-form-urlencoded", strings.NewReader(form))
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "Reload the page and send the form again.") ||
			!strings.Contains(got.body, `href="/sync/health"`) {
			t.Errorf("token %q: %s\n%s", token, got.result(), got.body)
		}
	}
	s.await(job.ID, tracker.StatusQueued)
	if n := s.forms(); n != 0 {
		t.Errorf("%d forms are recorded, want 0", n)
	}
}

func TestPostsWithoutPermissionRecordNoForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	path := fmt.Sprintf("/jobs/%d", s.dispatch(chore{ID: "a"}).ID)
	for _, form := range []string{path + "/cancel", path + "/delete", "/services/whm/pause", "/bulk", "/preferences"} {
		s.post("viewer", form, "reason", "x")
	}
	if n := s.forms(); n != 0 {
		t.Errorf("%d forms are recorded, want 0", n)
	}
}

// Two processes share the table, so it does not matter which one answers.
func TestSecondPostToAnotherProcessIsHandledOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		a := newSite(t, db, "", manyConnections)
		b := newSite(t, db, "", manyConnections)
		job := a.dispatch(chore{ID: "a", How: "fail"})
		noError(t, db.Exec("UPDATE nawasync_jobs SET status = 'failed', open_lane = NULL, wake_at = NULL, finished_at = 1 WHERE id = ?", job.ID).Error)
		form := []string{"token", formToken, "back", fmt.Sprintf("/jobs/%d", job.ID)}
		var results answerList
		for i := range 8 {
			at := []*site{a, b}[i%2]
			results.start(1, func() string { return at.post("operator", fmt.Sprintf("/jobs/%d/retry", job.ID), form...).result() })
		}
		list := results.all()
		for _, got := range list {
			if got != list[0] || !strings.HasPrefix(got, "303 ") {
				t.Errorf("the answers are %q", list)
				break
			}
		}
		if n := a.count("retry_of IS NOT NULL"); n != 1 {
			t.Errorf("%d retries, want 1", n)
		}
	})
}

func TestSecondPostSaysThatTheResultIsUnknownAfterTheProcessDied(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/sync", func(c *admin.Config) { c.Timeout = time.Second })
		job := s.dispatch(chore{ID: "a"})
		path, form := fmt.Sprintf("/jobs/%d/cancel", job.ID), []string{"token", formToken, "back", "/sync/health"}
		s.post("operator", path, form...)
		after := s.actions()
		noError(t, db.Exec("UPDATE nawasync_forms SET answer = NULL").Error)
		if got := s.post("operator", path, form...); got.status != http.StatusAccepted || !strings.Contains(got.body, "still being worked on") ||
			!strings.Contains(got.body, ` href="/sync/health">`) {
			t.Errorf("while the first post may run: %s\n%s", got.result(), got.body)
		}
		noError(t, db.Exec("UPDATE nawasync_forms SET started_at = started_at - ?", (2*time.Second).Microseconds()).Error)
		if got := s.post("operator", path, form...); got.status != http.StatusConflict || !strings.Contains(got.body, "unknown whether the first request took effect") {
			t.Errorf("after the process died: %s\n%s", got.result(), got.body)
		}
		if now := s.actions(); now != after {
			t.Errorf("%v audit entries and jobs, want %v", now, after)
		}
	})
}

func TestBulkRunThatIsSentTwiceIsOneRun(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", manyConnections)
		noError(t, admin.Register(s.engine, s.enforcer))
		for i := range 5 {
			s.dispatch(chore{ID: fmt.Sprint(i)})
		}
		form := url.Values{
			"token": {formToken}, "action": {"cancel"}, "q": {"status:queued"}, "reason": {"x"},
			"through": {"5"}, "at": {s.engine.Reader().Now().Format(time.RFC3339Nano)},
		}
		var results answerList
		results.start(3, func() string { return s.request("operator", http.MethodPost, "/bulk", form, nil).result() })
		list := results.all()
		if !strings.HasPrefix(list[0], "303 /bulk/") || list[1] != list[0] || list[2] != list[0] {
			t.Errorf("the answers are %q", list)
		}
		// Also without the table there is one run, until it ends.
		noError(t, db.Exec("DELETE FROM nawasync_forms").Error)
		if got := s.request("operator", http.MethodPost, "/bulk", form, nil); got.result() != list[0] {
			t.Errorf("without the table: %s, want %s", got.result(), list[0])
		}
		var n int
		noError(t, db.Raw("SELECT COUNT(*) FROM nawasync_jobs WHERE service = 'nawasync'").Row().Scan(&n))
		if n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
	})
}

// A form without the component would have no token.
func TestEveryFormOfThePagesHasAToken(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.templ")
	noError(t, err)
	forms := 0
	for _, name := range files {
		source, err := os.ReadFile(name)
		noError(t, err)
		for _, after := range regexp.MustCompile(`(?s)method="post"[^\n]*\n\s*(\S+)`).FindAllStringSubmatch(string(source), -1) {
			if forms++; !strings.HasPrefix(after[1], "@backField(") {
				t.Errorf("a form in %s begins with %s and not with @backField", name, after[1])
			}
		}
	}
	if forms < 10 {
		t.Errorf("the templates have %d forms", forms)
	}
	s := newSite(t, testdb.SQLite(t), "", nil)
	page := s.get("operator", fmt.Sprintf("/jobs/%d", s.dispatch(chore{ID: "a"}).ID)).body
	tokens := regexp.MustCompile(`name="token" value="(\w+)"`).FindAllString(page, -1)
	slices.Sort(tokens)
	if n := len(tokens); n < 2 || n != strings.Count(page, `method="post"`) || len(slices.Compact(tokens)) != n {
		t.Errorf("the page has the tokens %q", tokens)
	}
}

func TestAnswersOfFormsContainNoSecretOfTheConfiguration(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		const credential = "credential-of-the-client"
		s := newSiteOf(t, db, "", func(c *nawasync.Config) { c.Secrets = []nawasync.Secret{nawasync.NewSecret(credential)} }, nil)
		s.dispatch(chore{ID: "a"})
		noError(t, s.engine.Pause(t.Context(), "whm", credential, nawasync.PauseOptions{}))
		got := s.post("operator", "/services/whm/resume", "instance", credential)
		_, cookie, _ := strings.Cut(got.result(), "nawasync_flash=")
		cookie, _, _ = strings.Cut(cookie, ";")
		flash, err := base64.RawURLEncoding.DecodeString(cookie)
		noError(t, err)
		var answer string
		noError(t, db.Raw("SELECT answer FROM nawasync_forms").Row().Scan(&answer))
		for _, text := range []string{string(flash), answer} {
			if strings.Contains(text, credential) || !strings.Contains(text, "has been resumed") {
				t.Errorf("the answer is %s", text)
			}
		}
	})
}

// waitsForLock reports whether a claim of a form waits for a lock of another transaction.
func (s *site) waitsForLock() bool {
	query := "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	if s.db.Name() == "mysql" {
		query = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'INSERT%nawasync_forms%'"
	}
	var n int
	noError(s.t, s.db.Raw(query).Row().Scan(&n))
	return n > 0
}

// browserGone returns a channel that is closed once the server knows that the browser has given a form up. No
// request may be running.
func (s *site) browserGone() <-chan struct{} {
	gone := make(chan struct{})
	tell, pages := sync.OnceFunc(func() { close(gone) }), s.handlers
	s.handlers = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			context.AfterFunc(r.Context(), tell)
		}
		pages.ServeHTTP(w, r)
	})
	return gone
}

// The browser gives the first post up while the form is claimed, because somebody presses the button again.
func TestFormIsDoneAlthoughItsClaimWasGivenUp(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.Openers()[1:] {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			s := newSite(t, db, "", func(c *admin.Config) { c.Connections, c.Timeout = 8, 3*time.Second })
			job := s.dispatch(chore{ID: "a"})
			s.get("operator", "/jobs")
			gone := s.browserGone()
			path, form := fmt.Sprintf("/jobs/%d/cancel", job.ID), url.Values{"token": {formToken}, "back": {"/health"}}
			// The claim waits for a lock, as for a slow disk.
			tx := db.Begin()
			noError(t, tx.Exec("INSERT INTO nawasync_forms (token, request, started_at) VALUES (?, 'x', 1)", formToken).Error)
			ctx, giveUp := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				request, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL+path, strings.NewReader(form.Encode()))
				request.Header.Set("X-Subject", "operator")
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				response, err := http.DefaultTransport.RoundTrip(request)
				if err == nil {
					_ = response.Body.Close()
				}
				done <- err
			}()
			s.until(func() bool { return s.waitsForLock() })
			giveUp()
			<-done
			<-gone // the server learns later than the browser
			noError(t, tx.Rollback().Error)
			s.until(func() bool { return s.forms() == 1 })
			got := s.request("operator", http.MethodPost, path, form, nil)
			if got.status != http.StatusSeeOther {
				t.Errorf("the second post: %d, still being worked on: %v", got.status, strings.Contains(got.body, "still being worked on"))
			}
			if n := s.count("status = 'cancelled'"); n != 1 {
				t.Errorf("%d jobs are cancelled, want 1", n)
			}
		})
	}
}
