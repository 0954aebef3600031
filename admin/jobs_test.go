package admin_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestInvalidQueryListsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "someone@example.org"})
	for path, status := range map[string]int{"/jobs": 422, "/jobs.json": 422, "/jobs.csv": 422} {
		got := s.get("operator", path+"?q=status:queued+servise:whm")
		if got.status != status || strings.Contains(got.body, "someone@example.org") || !strings.Contains(got.body, "service") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if page := s.get("operator", "/jobs?q=status:queued+servise:whm").body; !strings.Contains(page, "did you mean service:?") ||
		!strings.Contains(page, strings.Repeat(" ", 14)+"^") {
		t.Error("the page shows no caret or no suggestion")
	}
}

func TestPlainFormRedirectsToTheCanonicalQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", nil)
	got := s.get("viewer", "/jobs?form=1&status=failed&status=conflict&service=whm&target="+url.QueryEscape("a b")+"&by=&rest="+url.QueryEscape("attempts:>2"))
	want := "/admin/sync/jobs?" + url.Values{"q": {`status:conflict,failed service:whm target:"a b" attempts:>2`}}.Encode()
	if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
		t.Errorf("%d %s", got.status, got.header.Get("Location"))
	}
	if got := s.get("viewer", "/jobs?form=1&rest=42"); got.header.Get("Location") != "/admin/sync/jobs/42" {
		t.Errorf("a job ID in the search field redirects to %s", got.header.Get("Location"))
	}
}

func TestExportEscapesFormulasAndIsComplete(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.ExportRows = 1200 })
	var args []nawasync.Args
	for i := range 1100 {
		args = append(args, elsewhere{ID: fmt.Sprintf("=HYPERLINK(%d)", i)})
	}
	for part := range slices.Chunk(args, 100) { // the race detector makes SQLite's driver very slow
		_, err := s.engine.DispatchMany(t.Context(), part, nawasync.Options{By: "@user"})
		noError(t, err)
	}
	rows, err := csv.NewReader(strings.NewReader(s.get("viewer", "/jobs.csv").body)).ReadAll()
	noError(t, err)
	if rows[0][0] != "\ufeffid" {
		t.Errorf("the export begins with %q, want a byte order mark", rows[0][0])
	}
	if len(rows) != 1101 || rows[1][6] != "'=HYPERLINK(1099)" || rows[1][7] != "'@user" {
		t.Errorf("the export has %d rows, the first job is %q", len(rows), rows[1])
	}
	_, err = s.engine.DispatchMany(t.Context(), args[:200], nawasync.Options{})
	noError(t, err)
	all := s.get("viewer", "/jobs.csv").body
	if !strings.Contains(all, "more than 1200 jobs: narrow the query") {
		t.Error("an export with too many jobs does not say that it is incomplete")
	}
}

func TestExportEndsAfterItsTimeAndSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.ExportTime = time.Nanosecond })
	var args []nawasync.Args
	for i := range 600 {
		args = append(args, chore{ID: fmt.Sprint(i)})
	}
	var jobs []*tracker.Job
	for part := range slices.Chunk(args, 100) {
		list, err := s.engine.DispatchMany(t.Context(), part, nawasync.Options{})
		noError(t, err)
		jobs = append(jobs, list...)
	}
	rows, err := csv.NewReader(strings.NewReader(s.get("viewer", "/jobs.csv").body)).ReadAll()
	noError(t, err)
	last := rows[len(rows)-1][6]
	if len(rows) != 1+500+1 || !strings.Contains(last, "stopped here after 1ns") ||
		!strings.Contains(last, fmt.Sprintf("ids below %d are missing", jobs[100].ID)) {
		t.Errorf("%d rows; the last one says %q", len(rows), last)
	}
}

// A wrong term that is ignored would list all jobs.
func TestWrongTermIsAnErrorWithACaretWhereverItIsEntered(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/sync", nil)
	job := s.dispatch(chore{ID: "someone@example.org"})
	boxes := 0
	for _, page := range []string{
		"/jobs", "/", "/services", "/services/whm", "/audit", "/bulk", "/bulk?action=cancel&all=1", fmt.Sprintf("/jobs/%d", job.ID), "/jobs/99", "/nothing",
	} {
		if strings.Contains(s.get("operator", page).body, `<input id="search" type="search" name="rest"`) {
			boxes++
		}
	}
	if boxes != 10 {
		t.Errorf("%d of 10 pages have the search box that the test enters a query in", boxes)
	}
	const text = "status:queued servise:whm"
	for _, path := range []string{
		"/jobs?q=", "/jobs?form=1&rest=", "/jobs?form=1&target=&status=queued&rest=", "/jobs.csv?q=", "/bulk?action=cancel&all=1&q=", "/bulk?action=cancel&id=1&q=",
	} {
		response, err := s.browser("operator").Get(s.server.URL + "/sync" + path + url.QueryEscape(text))
		noError(t, err)
		data, err := io.ReadAll(response.Body)
		noError(t, err)
		noError(t, response.Body.Close())
		page := string(data)
		for _, want := range []string{
			"status:queued <mark>servise:whm</mark>", strings.Repeat(" ", 14) + "^", "did you mean service:?", "The error is at character ", ": servise:whm",
			`aria-describedby="query-error"`, text + `" placeholder`, `name="rest" value="` + text,
		} {
			if strings.Contains(path, "form=1&target") {
				want = strings.NewReplacer(text, "status:queued "+text, strings.Repeat(" ", 14), strings.Repeat(" ", 28)).Replace(want)
			}
			if !strings.Contains(page, want) {
				t.Errorf("%s shows no %q", path, want)
			}
		}
		if response.StatusCode != http.StatusUnprocessableEntity || strings.Contains(page, "someone@example.org<") {
			t.Errorf("%s: status %d, want 422 without a job", path, response.StatusCode)
		}
	}
	got := s.get("operator", "/jobs.json?q="+url.QueryEscape(text))
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "At byte 14") {
		t.Errorf("JSON: %d %s", got.status, got.body)
	}
	form := []string{"action", "cancel", "q", text, "reason", "x", "through", "1", "at", s.engine.Reader().Now().Format(time.RFC3339Nano)}
	if page := s.follow(s.browser("operator"), "/bulk", form...); !strings.Contains(page, "there is no field") {
		t.Error("a bulk run with a wrong query says nothing about it")
	}
}

func TestFilterFormKeepsWhatItCannotShow(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	page := s.get("viewer", "/jobs?q="+url.QueryEscape(`service:cloudflare,whm -service:x target:"a,b",c error:one error:two`)).body
	for _, want := range []string{
		`<option value="cloudflare,whm" selected>`, `name="target" value="&#34;a,b&#34;,c"`, `name="error" value="one"`, `name="rest" value="-service:x error:two"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the form has no %s", want)
		}
	}
}
