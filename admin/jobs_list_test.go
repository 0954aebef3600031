package admin_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/mailboxes"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

var (
	chipPattern   = regexp.MustCompile(`<li><a href="([^"]*)" aria-label="Remove filter ([^"]*)">`)
	headPattern   = regexp.MustCompile(`<th scope="col" class="c-(\w+)">`)
	rowPattern    = regexp.MustCompile(`<tr class="job [a-z]+" data-key="(\d+)">`)
	nextPattern   = regexp.MustCompile(`href="([^"]+)" rel="next"`)
	beforePattern = regexp.MustCompile(`href="([^"]+)" rel="prev"`)
)

func TestEachTermOfTheQueryIsAChipWithALinkThatRemovesItAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	terms := []string{`status:conflict,failed`, `-status:cancelled`, `service:whm`, `by:a,b,c,d,e,f`, `attempts:>3`, `"free text"`}
	texts := []string{"status: conflict or failed", "not status: cancelled", "service: whm", "by: a or b or c or d or 2 more", "attempts: &gt;3", "free text"}
	for _, end := range []string{"", "&n=25&sort=oldest"} {
		found := chipPattern.FindAllStringSubmatch(s.get("viewer", "/jobs?q="+url.QueryEscape(strings.Join(terms, " "))+end).body, -1)
		if len(found) != len(terms) {
			t.Fatalf("%d chips, want %d", len(found), len(terms))
		}
		for _, chip := range found {
			i := slices.Index(texts, chip[2])
			if i < 0 {
				t.Errorf("there is a chip %q", chip[2])
				continue
			}
			want, err := query.Parse(strings.Join(slices.Delete(slices.Clone(terms), i, i+1), " "), time.UTC)
			noError(t, err)
			u, err := url.Parse(html.UnescapeString(chip[1]))
			noError(t, err)
			if u.Query().Get("q") != want.String() || u.Query().Has("n") != (end != "") || u.Query().Has("sort") != (end != "") {
				t.Errorf("the chip %q leads to %s", chip[2], u)
			}
		}
	}
}

func TestAListWithoutMatchesOffersToClearTheFiltersAndAnEmptyOneSaysWhatFillsIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	const example = "engine.Dispatch("
	if page := s.get("viewer", "/jobs").body; !strings.Contains(page, "No jobs yet.") || !strings.Contains(page, example) {
		t.Error("the first use shows no example")
	}
	s.dispatch(chore{ID: "a"})
	page := s.get("viewer", "/jobs?q=status:failed").body
	if !strings.Contains(page, "No jobs match.") || !strings.Contains(page, `<a class="button" href="/jobs">Clear filters</a>`) || !chipPattern.MatchString(page) {
		t.Error("a list without matches shows no chips or no link that clears the filters")
	}
	for _, subject := range []string{"viewer", "other"} {
		if page := s.get(subject, "/jobs?q=status:failed").body; strings.Contains(page, example) || strings.Contains(page, "No jobs yet") {
			t.Errorf("a list without matches shows %s the text of the first use", subject)
		}
	}
	if page := s.get("other", "/jobs").body; strings.Contains(page, "No jobs yet") {
		t.Error("a list without visible jobs says that there are none")
	}
}

// Both orders have every job once, also when pages are turned back.
func TestBothOrdersHaveEveryJobOnceForwardsAndBackwards(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		var args []nawasync.Args
		for i := range 60 {
			args = append(args, chore{ID: fmt.Sprint("box", i)})
		}
		jobs, err := s.engine.DispatchMany(t.Context(), args, nawasync.Options{})
		noError(t, err)
		var want []string
		for _, job := range jobs {
			want = append(want, fmt.Sprint(job.ID))
		}
		for _, order := range []string{"&sort=oldest", ""} {
			path, last := "/jobs?q=status:queued&n=25"+order, ""
			var got []string
			for path != "" {
				body := s.get("viewer", path).body
				got = append(got, rowsOf(body)...)
				last, path = path, linkOf(nextPattern, body)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v", order, got)
			}
			got = nil
			for path = last; path != ""; {
				body := s.get("viewer", path).body
				got = append(rowsOf(body), got...)
				path = linkOf(beforePattern, body)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, backwards: %v", order, got)
			}
			slices.Reverse(want)
		}
	})
}

// The links to the first and the last page lead to the ends of the list in both orders.
func TestLinksToTheEndsOfTheListLeadThere(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	var args []nawasync.Args
	for i := range 60 {
		args = append(args, chore{ID: fmt.Sprint("box", i)})
	}
	jobs, err := s.engine.DispatchMany(t.Context(), args, nawasync.Options{})
	noError(t, err)
	for order, ends := range map[string][2]string{"": {"Newest", "Oldest"}, "&sort=oldest": {"Oldest", "Newest"}} {
		first := s.get("viewer", "/jobs?n=25"+order).body
		middle := s.get("viewer", linkOf(nextPattern, first)).body
		for _, end := range ends {
			rows := rowsOf(s.get("viewer", linkOf(regexp.MustCompile(`<a href="([^"]+)">`+end+`</a>`), middle)).body)
			want := fmt.Sprint(jobs[0].ID)
			if end == "Newest" {
				want = fmt.Sprint(jobs[59].ID)
			}
			if !slices.Contains(rows, want) || len(rows) != 25 {
				t.Errorf("%s of a list with %q has the jobs %v", end, order, rows)
			}
		}
	}
}

func rowsOf(body string) (ids []string) {
	for _, row := range rowPattern.FindAllStringSubmatch(body, -1) {
		ids = append(ids, row[1])
	}
	return ids
}

func linkOf(pattern *regexp.Regexp, body string) string {
	if found := pattern.FindStringSubmatch(body); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

func TestReaderChoosesColumnsAndDensity(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	browser := s.browser("viewer")
	columns := func(page string) string {
		var list []string
		for _, head := range headPattern.FindAllStringSubmatch(page, -1) {
			list = append(list, head[1])
		}
		return strings.Join(list, " ")
	}
	page := s.get("viewer", "/jobs").body
	if got := columns(page); got != "status action object service error attempt by created" || !strings.Contains(page, `data-density=""`) {
		t.Errorf("the default columns are %s", got)
	}
	page = s.postAll(browser, url.Values{"columns": {"1"}, "column": {"times", "id", "<script>"}, "density": {"compact"}, "back": {"/jobs"}})
	if got := columns(page); got != "id status action object times" || !strings.Contains(page, `data-density="compact"`) {
		t.Errorf("the chosen columns are %s", got)
	}
	page = s.postAll(browser, url.Values{"columns": {"1"}, "density": {"huge"}, "back": {"/jobs"}})
	if got := columns(page); got != "status action object" || !strings.Contains(page, `data-density=""`) {
		t.Errorf("without chosen columns there are %s", got)
	}
	// The form of the menu, which has no columns, keeps them.
	page = s.postAll(browser, url.Values{"theme": {"dark"}, "back": {"/jobs"}})
	if got := columns(page); got != "status action object" {
		t.Errorf("another preference changes the columns to %s", got)
	}
}

// postAll sends the preferences and returns the page after the redirect.
func (s *site) postAll(browser *http.Client, form url.Values) string {
	s.t.Helper()
	response, err := browser.PostForm(s.server.URL+s.prefix+"/preferences", withToken(form))
	noError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	noError(s.t, err)
	return string(data)
}

func TestRowsShowWhatAJobChangesAndHowFarARunningOneIs(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHostOf(t, db, 1, withQuota)
		job, err := h.boxes.Update(t.Context(), h.row(address(0)), func(m *mailboxes.Mailbox) {
			m.Quota, m.Password = 1024, nawasync.NewSecret("hunter2-secret")
		}, nawasync.Options{By: "Ann"})
		noError(t, err)
		h.await(job.ID, tracker.StatusSuccess)
		page := text(h.get("viewer", "/jobs").body)
		if want := ">Mail quota 100 MB → 1 GB, password ***</bdi>"; !strings.Contains(page, want) {
			t.Errorf("the list lacks %s:\n%s", want, page)
		}
		noError(t, db.Exec("UPDATE nawasync_jobs SET progress = ? WHERE id = ?", `{"done":120,"total":500}`, job.ID).Error)
		if page := h.get("viewer", "/jobs").body; strings.Contains(page, "120 of 500") {
			t.Error("a job that has ended still shows its progress")
		}
		noError(t, db.Exec("UPDATE nawasync_jobs SET status = 'running' WHERE id = ?", job.ID).Error)
		if page := h.get("viewer", "/jobs").body; !strings.Contains(page, ">120 of 500</bdi>") {
			t.Errorf("the row of a running job lacks its progress:\n%s", page)
		}
	})
}
