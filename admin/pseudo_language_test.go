package admin_test

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// The test shows every page in a language that puts each text of the catalogue in brackets. What is outside of
// brackets and no data was not translated.
func TestEveryTextOfThePagesIsInTheCatalogue(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", testEveryText)
}

func testEveryText(t *testing.T) {
	t.Parallel()
	h := newHostOf(t, testdb.SQLite(t), 24, func(c *admin.Config) { c.Language, c.Messages = "qps", bracketed(t) })
	h.fill()
	name, err := os.Hostname()
	noError(t, err)
	worker := regexp.MustCompile(regexp.QuoteMeta(name) + `-\d+-[A-Z0-9]+`)
	pages, found := 0, map[string]bool{}
	check := func(path, body string) {
		pages++
		for _, text := range untranslated(worker.ReplaceAllString(body, "")) {
			if !found[text] {
				t.Errorf("%s shows %q, which is not in the catalogue", path, text)
			}
			found[text] = true
		}
	}
	visit := func(path string, got answer) {
		if strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			check(path, got.body)
		}
	}
	for _, subject := range []string{"operator", "viewer"} {
		h.crawl(subject, h.pseudoPages(), visit)
	}
	for _, subject := range []string{"nobody", ""} {
		visit("/jobs of nobody", h.get(subject, "/jobs"))
	}
	browser := h.browser("operator")
	for _, form := range h.pseudoForms() {
		check(form[0], h.follow(browser, form[0], append(form[1:], "back", "/admin/sync/jobs")...))
	}
	if pages < 150 {
		t.Errorf("the test has seen only %d pages", pages)
	}
}

// Without it, the test above could pass because it overlooks what pages show.
func TestUntranslatedTextsOfAPageAreFound(t *testing.T) {
	t.Parallel()
	page := `<html lang="qps"><title>⟦Jobs⟧ · Sync</title><p title="⟦all ⟦3 min⟧⟧ ago">⟦Job 7⟧ 12:30 <bdi>some data</bdi> on <code>code</code></p>
		<select><option value="en" lang="en">English</option><option value="x">dark</option></select><input placeholder="Reason" value="typed"><a aria-label="Next &gt;" data-label="When">→</a>`
	want := []string{"12:30   on", "Next >", "Reason", "Sync", "When", "ago", "dark"}
	got := untranslated(page)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// bracketed returns the translations of a language in which each text is in brackets.
func bracketed(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("messages.txt")
	noError(t, err)
	texts := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		texts[line] = "⟦" + line + "⟧"
	}
	texts["1,234.5"] = "1'234·5"
	return texts
}

var (
	dataPattern      = regexp.MustCompile(`(?s)<(bdi|pre|code|kbd|style|script|q)\b[^>]*>.*?</(bdi|pre|code|kbd|style|script|q)>`)
	classPattern     = regexp.MustCompile(`<a href="[^"]*q=class%3A[^"]*">[^<]*</a>`)
	otherLanguage    = regexp.MustCompile(`<option value="[^"]*" lang="[^"]*"[^>]*>[^<]*</option>`)
	tagPattern       = regexp.MustCompile(`<(?:[^>"]|"[^"]*")*>`)
	spokenPattern    = regexp.MustCompile(`\s(?:aria-label|aria-description|title|placeholder|alt|label|data-label|data-copy|data-updated|data-paused|data-lost|data-sending)="([^"]*)"`)
	bracketedPattern = regexp.MustCompile(`⟦[^⟦⟧]*⟧`)
	termPattern      = regexp.MustCompile(`\b[a-z]+:[^\s⟧]+`) // of a query
	wordPattern      = regexp.MustCompile(`\pL{2,}|\d,\d{3}|\d\.\d [a-z%]`)
	// pseudoData has the words of the test's jobs that pages show as data: names of services, types, actions, and
	// classes of errors, and the words of the query language.
	pseudoData = regexp.MustCompile(`^(?:UTC|CSV|JSON|whm|mailbox|box|main|cloudflare|record|update|create|delete|sync|refresh|confirm|plan|rows|purge|all|boxes|quota|address|default|` +
		`nawasync|bulk|run|operator|viewer|user|someone|permanent|conflict|held|gone|missing|nightly|quotas?|mailboxes|status|queued|id)$`)
)

// untranslated returns the texts that a page shows or that a screen reader speaks, and that are neither in brackets
// nor data.
func untranslated(page string) (found []string) {
	page = otherLanguage.ReplaceAllString(classPattern.ReplaceAllString(dataPattern.ReplaceAllString(page, " "), " "), " ")
	texts := tagPattern.Split(page, -1)
	for _, attribute := range spokenPattern.FindAllStringSubmatch(page, -1) {
		texts = append(texts, attribute[1])
	}
	seen := map[string]bool{}
	for _, text := range texts {
		text = html.UnescapeString(text)
		text = termPattern.ReplaceAllString(text, " ")
		for bracketedPattern.MatchString(text) {
			text = bracketedPattern.ReplaceAllString(text, " ")
		}
		if words := wordPattern.FindAllString(text, -1); slices.ContainsFunc(words, func(word string) bool { return !pseudoData.MatchString(word) }) {
			seen[strings.Trim(text, " ·\n\t")] = true
		}
	}
	return slices.Collect(maps.Keys(seen))
}

// fill makes jobs of every status, a conflict, a held sync, a bulk run, a schedule and a pause.
func (h *host) fill() {
	h.t.Helper()
	ctx := h.t.Context()
	for i, how := range []string{"", "broken", "fail", "broken"} {
		job := h.dispatch(chore{ID: fmt.Sprint("c", i), How: how})
		h.await(job.ID, map[bool]tracker.Status{true: tracker.StatusSuccess, false: tracker.StatusFailed}[how == ""])
	}
	failed := h.dispatch(chore{ID: "c1", How: "broken"}) // a later job of the same object
	h.await(failed.ID, tracker.StatusFailed)
	h.post("operator", fmt.Sprintf("/jobs/%d/retry", failed.ID))
	h.conflict(20)
	h.conflict(21)
	gone, err := h.boxes.Delete(ctx, h.row(address(22)), nawasync.Options{By: "user:7"})
	noError(h.t, err)
	h.await(gone.ID, tracker.StatusSuccess)
	h.server.Set(address(1), 350)
	h.sync(tracker.StatusSuccess) // which finds a change
	for i := range 15 {
		h.server.Remove(address(i))
	}
	h.sync(tracker.StatusConflict)
	h.dispatch(chore{ID: "running", How: "wait"})
	h.dispatch(chore{ID: "running"}) // waits for the job before it
	noError(h.t, h.engine.Pause(ctx, "cloudflare", "", nawasync.PauseOptions{By: "someone", Reason: "because"}))
	h.dispatch(elsewhere{ID: "paused"})
	cancelled := h.dispatch(elsewhere{ID: "c9"})
	h.post("operator", fmt.Sprintf("/jobs/%d/cancel", cancelled.ID), "reason", "because")
	h.post("operator", fmt.Sprintf("/jobs/%d/delete", failed.ID))
	h.startBulkRun(h.browser("operator"), "/bulk?action=retry&all=1&q=status:failed", url.Values{"reason": {"because"}})
}

// pseudoPages returns the pages to begin with: also those of invalid queries.
func (h *host) pseudoPages() []string {
	pages := append(slices.Clone(crawlStart), "/health?window=15m", "/health?window=7d", "/jobs?q=target:none", "/jobs?q=box03@example.org",
		"/bulk?action=retry&all=1&q=status:failed", "/bulk?action=cancel&all=1&q=status:queued", "/bulk?action=delete&all=1&q=status:failed",
		"/bulk?action=restore&all=1&q=is:deleted", "/bulk?action=cancel&all=1&q=status:skipped", "/bulk?action=retry", "/bulk?action=none&all=1",
		"/jobs?q=error:quota", "/jobs?q=error:quota&after=-1", "/jobs?q=is:stuck", "/jobs/1?stack=full", "/jobs?q=ended:24h", "/jobs?q=created:2026-01-01..")
	for _, field := range []string{"status", "is", "source", "group", "id", "run", "attempts", "duration", "since", "created", "ended"} {
		pages = append(pages, "/jobs?q="+field+":!")
	}
	for _, query := range []string{
		`"open`, "status:", "servise:x", "unknownfield:x", "service:>x", "-since:1h", "since:1h,2h", strings.Repeat("text ", 500),
		"service:" + strings.Repeat("x,", 200) + "x", strings.Repeat("by:x by:y ", 100), strings.Repeat("error:a,b,c ", 60),
	} {
		pages = append(pages, "/jobs?q="+url.QueryEscape(query))
	}
	return pages
}

// pseudoForms returns forms, most of which are refused, with their fields.
func (h *host) pseudoForms() [][]string {
	h.t.Helper()
	results, err := h.engine.Reader().Search(h.t.Context(), tracker.Search{Limit: 100})
	noError(h.t, err)
	forms := [][]string{
		{"/preferences", "zone", "Mars/Olympus"},
		{"/services/whm/pause"},
		{"/services/whm/pause", "reason", "because", "minutes", "15"},
		{"/services/whm/resume"},
		{"/services/whm/resume"},
		{"/services/whm/sync", "type", "box", "instance", "main"},
		{"/services/whm/plan", "type", "box", "instance", "main"},
		{"/services/whm/sync", "type", "none", "instance", "main"},
		{"/services/whm/none"},
		{"/held/1/release"},
		{"/held/1/reject"},
		{"/held/1/reject"},
		{"/bulk", "action", "retry"},
		{"/jobs/1/none"},
		{"/jobs/1/retry", "token", "short"},
	}
	kinds := map[string]bool{}
	for _, job := range results.Jobs {
		if kind := job.Action + string(job.Status) + fmt.Sprint(job.RetriedAs > 0); !kinds[kind] {
			kinds[kind] = true
			for _, action := range []string{"retry", "keep_theirs", "overwrite", "restore_row", "restore", "cancel", "delete", "delete", "restore"} {
				forms = append(forms, []string{fmt.Sprintf("/jobs/%d/%s", job.ID, action)})
			}
		}
	}
	return forms
}

func TestPagesFollowTheLanguageOfTheBrowserAndOfTheMenu(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	page := func(accept, cookie string) string {
		return s.request("viewer", http.MethodGet, "/jobs", nil, map[string]string{"Accept-Language": accept, "Cookie": "nawasync_language=" + cookie}).body
	}
	for _, c := range []struct{ accept, cookie, lang, title, chosen string }{
		{"", "", "en", "Jobs", ""},
		{"id-ID,id;q=0.9,en;q=0.8", "", "id", "Pekerjaan", ""},
		{"id", "en", "en", "Jobs", "en"},
		{"en", "id", "id", "Pekerjaan", "id"},
		{"en", "%3Cscript%3E", "en", "Jobs", ""},
	} {
		body := page(c.accept, c.cookie)
		if !strings.Contains(body, `<html lang="`+c.lang+`"`) || !strings.Contains(body, "<h1>"+c.title+"</h1>") {
			t.Errorf("%+v: the page is in another language:\n%s", c, body)
		}
		if selected := regexp.MustCompile(`<option value="([^"]*)" lang="[^"]*" selected`).FindStringSubmatch(body); (selected != nil) != (c.chosen != "") || selected != nil && selected[1] != c.chosen {
			t.Errorf("%+v: the menu shows the choice %q", c, selected)
		}
	}
	browser := s.browser("viewer")
	for _, c := range [][2]string{{"id", "<h1>Pekerjaan</h1>"}, {"", "<h1>Jobs</h1>"}} {
		if body := s.follow(browser, "/preferences", "language", c[0], "back", "/jobs"); !strings.Contains(body, c[1]) {
			t.Errorf("after choosing %q: %s", c[0], body)
		}
	}
}
