package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// newcomer is somebody who has started the example without flags, and opens its pages.
type newcomer struct {
	*running
	page string // the page that is open
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	out, dir := &output{}, t.TempDir()
	address := startExample(t, out, "-schedules=false", "-addr", "127.0.0.1:0", "-dsn", "sqlite:"+filepath.Join(dir, "whm.db"), "-key", filepath.Join(dir, "key"))
	return &newcomer{running: &running{t, address, nil, out}}
}

// open reads a page until it contains all texts, in any case.
func (n *newcomer) open(path string, texts ...string) {
	n.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, n.page = n.get(path)
		missing := slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return strings.Contains(strings.ToLower(n.page), strings.ToLower(text)) })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s does not show %q within a minute:\n%s\n%s", path, missing, n.page, n.out)
		}
	}
}

// follow opens the link with a text.
func (n *newcomer) follow(text string, texts ...string) {
	n.t.Helper()
	found := regexp.MustCompile(`href="([^"]+)"[^>]*>` + text).FindStringSubmatch(n.page)
	if found == nil {
		n.t.Fatalf("the page has no link %q:\n%s", text, n.page)
	}
	n.open(found[1], texts...)
}

var (
	formTag  = regexp.MustCompile(`(?s)<form method="post" action="([^"]+)".*?</form>`)
	inputTag = regexp.MustCompile(`<(?:input|textarea)[^>]*>`)
	nameOf   = regexp.MustCompile(` name="([^"]*)"`)
	valueOf  = regexp.MustCompile(` value="([^"]*)"`)
)

// press sends the form whose action ends with a path, with the values that the page gives it and further ones.
func (n *newcomer) press(action string, more ...string) {
	n.t.Helper()
	for _, form := range formTag.FindAllStringSubmatch(n.page, -1) {
		if !strings.HasSuffix(form[1], action) {
			continue
		}
		values := url.Values{}
		for _, input := range inputTag.FindAllString(form[0], -1) {
			name, value := nameOf.FindStringSubmatch(input), valueOf.FindStringSubmatch(input)
			if name != nil && value != nil && !strings.Contains(input, "checkbox") {
				values.Set(name[1], html.UnescapeString(value[1]))
			}
		}
		for i := 0; i < len(more); i += 2 {
			values.Set(more[i], more[i+1])
		}
		response, err := http.PostForm(n.url+form[1], values)
		noError(n.t, err)
		page, err := io.ReadAll(response.Body)
		noError(n.t, err)
		noError(n.t, response.Body.Close())
		if response.StatusCode != http.StatusOK {
			n.t.Fatalf("the form %s is answered with status %d:\n%s", form[1], response.StatusCode, page)
		}
		n.page = html.UnescapeString(string(page))
		return
	}
	n.t.Fatalf("the page has no form %s:\n%s", action, n.page)
}

// steps fails the test unless the guide says that n steps are done, and these are ticked.
func (n *newcomer) steps(texts ...string) {
	n.t.Helper()
	done := "All 5 steps are done"
	if len(texts) < 5 {
		done = fmt.Sprintf("%d of 5 steps are done", len(texts))
	}
	want := []string{done}
	for _, text := range texts {
		want = append(want, text+`<span class="hidden">, done`)
	}
	n.open("/", want...)
}

func TestGuideLeadsThroughChangeJobConflictHeldSyncAndRateLimit(t *testing.T) {
	t.Parallel()
	n := newNewcomer(t)
	n.open("/", "40 mailboxes", "0 of 5 steps are done") // nobody has pressed anything
	n.open("/accounts?instance=backup", "5 accounts")

	n.open("/")
	n.press("/try/change", "quota_mb", "333")
	n.open("/", "1 of 5 steps are done")
	n.follow("Open job", "ann@alpha.example", "success")
	n.steps("Change something", "Watch its job")

	n.press("/try/conflict")
	n.open("/", "Answer the conflict</a>")
	n.follow("Answer the conflict", "Conflict")
	n.press("/keep_theirs")
	n.steps("Change something", "Watch its job", "Answer a conflict")
	n.open("/?q=ann@alpha.example", ">50 MB<") // the server's value

	n.press("/try/listing")
	n.open("/", "38 of 40 rows are not in the listing")
	n.follow("Review the held sync", "Held syncs")
	n.press("/reject")
	n.steps("Change something", "Watch its job", "Answer a conflict", "Decide a held sync")
	n.open("/", "40 mailboxes", "The simulated server still lacks 38 mailboxes.")
	n.press("/try/restore")
	n.open("/", "Sync an almost empty listing")

	n.press("/try/limit")
	n.open("/", "jobs wait.")
	n.steps("Change something", "Watch its job", "Answer a conflict", "Decide a held sync", "Meet a rate limit")
	n.follow("audit log", "keep theirs")
	n.open("/?q=ann@alpha.example", ">900 MB<")
}

func TestGuideAndServerEditsNeedASimulatedServer(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	s.do("/sync")
	if _, page := s.get("/"); strings.Contains(page, "Try it") || strings.Contains(page, "/elsewhere") {
		t.Errorf("the pages of a real server have the guide, or a link to edits on the server:\n%s", page)
	}
	for _, step := range []string{"change", "conflict", "listing", "restore", "limit"} {
		if status, _, _ := s.post("/try/"+step, "email", "info@alpha.example", "quota_mb", "1"); status != http.StatusNotFound {
			t.Errorf("step %s on a real server: status %d, want 404", step, status)
		}
	}
}

func TestStepsThatNeedTheLostMailboxesSaySo(t *testing.T) {
	t.Parallel()
	n := newNewcomer(t)
	n.open("/", "40 mailboxes", "0 of 5 steps are done")
	n.press("/try/listing")
	for _, step := range []string{"conflict", "limit"} {
		status, page, _ := n.post("/try/"+step, "email", "info@alpha.example")
		if status != http.StatusUnprocessableEntity || !strings.Contains(page, "put the mailboxes back") {
			t.Errorf("step %s: status %d, want 422 and what to do first:\n%s", step, status, page)
		}
	}
}
