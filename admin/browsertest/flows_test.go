package browsertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// flow is a task of an operator: open a page, fill in fields, press a button, and wait for the result.
type flow struct {
	name   string
	path   string      // "" means the page on which the flow before ended
	fill   [][2]string // pairs of a selector and a text
	press  string      // the selector of the button
	result string      // a selector that only matches on the page after the button
}

// done matches the flash of a successful action.
const done = ".notice.good"

// flows returns all tasks of an operator, in order: some depend on the ones before. Decide is
// "release" or "reject".
func (s *site) flows(decide string) []flow {
	job := func(id int64) string { return fmt.Sprintf("/jobs/%d", id) }
	button := func(action string) string { return fmt.Sprintf("main form[action$='/%s'] button", action) }
	confirm := func(action string) [2]string {
		return [2]string{fmt.Sprintf("main form[action$='/%s'] input[name=confirm]", action), " "}
	}
	open := func(menu string) [2]string { return [2]string{fmt.Sprintf("[data-key^='%s'] summary", menu), " "} }
	decision := [][2]string{open("release-"), confirm("release")}
	if decide == "reject" {
		decision = [][2]string{open("reject-")}
	}
	return []flow{
		{"retry", job(s.failed), nil, button("retry"), done},
		{"cancel a queued job", job(s.queued), [][2]string{{"#reason-cancel", "not today"}}, button("cancel"), done},
		{"cancel a running job", job(s.running), nil, button("cancel"), done},
		{"delete", job(s.panicked), [][2]string{{".job-actions summary", " "}, {"#reason-delete", "tidy"}}, button("delete"), done},
		{"restore", job(s.panicked), nil, button("restore"), done},
		{"keep_theirs", job(s.conflicts[0]), nil, button("keep_theirs"), done},
		{"apply_mine", job(s.conflicts[1]), [][2]string{{"#reason-apply_mine", "agreed"}, confirm("apply_mine")}, button("apply_mine"), done},
		{"overwrite", job(s.conflicts[2]), [][2]string{confirm("overwrite")}, button("overwrite"), done},
		{"decide on a held sync", "/services/whm", decision, button(decide), done},
		{"sync now", "/services/whm", [][2]string{open("sync-menu")}, button("sync"), done},
		{"plan a sync", "/services/whm", [][2]string{open("sync-menu")}, "main form[action$='/sync'] button[formaction$='/plan']", done},
		{"resume an instance", "/services/whm?instance=backup", nil, button("resume"), done},
		{"pause", "/services/whm", [][2]string{open("pause-menu"), {"form[action$='/pause'] input[name=reason]", "the rack moves"}}, button("pause"), done},
		{"resume", "/services/whm", nil, button("resume"), done},
		{"filter by query", "/jobs", [][2]string{{"#q", "target:bob@delta.example"}}, ".query button", "#q[value*='bob@delta.example']"},
		{"find a job by its number", "/", [][2]string{{"#search", fmt.Sprint(s.failed, "\r")}}, "", "#details"},
		{"filter the audit log", "/audit", [][2]string{open("filters"), {"input[name=action]", "pause"}}, ".filters button", "input[name=action][value=pause]"},
		{"select all jobs of a query", "/jobs?q=status:failed", [][2]string{{"input[name=id]", " "}}, "input[name=all]", "input[name=all]:checked"},
		{
			"bulk run", "/bulk?action=delete&all=1&q=target:eve@delta.example",
			[][2]string{{"input[name=reason]", "tidy"}},
			"main form button.danger, main form button.main", ".totals",
		},
		{"stop a bulk run", "", nil, button("stop"), done},
		{"preferences", "/", [][2]string{{".preferences summary", " "}, {"select[name=live]", "1"}}, ".preferences button", "body[data-live='15']"},
	}
}

// pauseBulkRuns keeps bulk runs queued, so that one of the flows can stop one.
func (s *site) pauseBulkRuns(t *testing.T) *site {
	t.Helper()
	noError(t, s.engine.Pause(t.Context(), "nawasync", "", nawasync.PauseOptions{By: "operator", Reason: "a test"}))
	return s
}

// checkResults checks the results of the flows in the database and on the remote.
func (s *site) checkResults(t *testing.T) {
	t.Helper()
	s.await(t, func(jobs []*tracker.Job) bool { return len(jobs) == 1 }, tracker.Term{Field: tracker.FieldRetryOf, Values: []string{fmt.Sprint(s.failed)}})
	s.await(t, func(jobs []*tracker.Job) bool {
		return len(jobs) == 3 && jobs[0].Status == tracker.StatusCancelled && jobs[1].Status == tracker.StatusCancelled && jobs[2].Status == tracker.StatusFailed
	}, tracker.Term{Field: tracker.FieldID, Values: []string{fmt.Sprint(s.queued), fmt.Sprint(s.running), fmt.Sprint(s.panicked)}})
	s.await(t, func(jobs []*tracker.Job) bool { return len(jobs) == 2 && jobs[0].Status == tracker.StatusCancelled },
		tracker.Term{Field: tracker.FieldService, Values: []string{"nawasync"}})
	for i, want := range []int{300, 500, 500} {
		s.until(t, func() bool { return s.server.Quota(fmt.Sprintf("info%02d@mirror.example", i)) == want })
	}
	entries, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Subject: "operator", Limit: 100})
	noError(t, err)
	for _, a := range entries {
		if a.Outcome != tracker.AuditDone {
			t.Errorf("%s: %s", a.Action, a.Detail)
		}
	}
	if len(entries) != 21 { // including three of the bulk run in fill, and two pauses before the flows
		t.Errorf("the audit log has %d entries, want 21: %+v", len(entries), entries)
	}
}

func (s *site) until(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the condition did not become true within 20 seconds")
		}
	}
}

func TestEveryFlowWorksByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true).pauseBulkRuns(t), newTab(t)
	for _, f := range s.flows("release") {
		t.Log(f.name)
		if f.path != "" {
			b.do(t, chromedp.Navigate(s.url+f.path), waitVisible("main"))
		}
		for _, field := range f.fill {
			b.tabTo(t, field[0])
			b.do(t, pressKeys(field[1]))
		}
		if f.press != "" {
			b.tabTo(t, f.press)
			b.do(t, pressKeys(map[bool]string{true: " ", false: "\r"}[f.result == f.press+":checked"]))
		}
		b.do(t, waitVisible(f.result))
	}
	s.checkResults(t)
	b.noProblems(t, "by keyboard")
}

func TestEveryFlowWorksWithScriptsOff(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true).pauseBulkRuns(t), newTab(t)
	call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	for _, f := range s.flows("reject") {
		t.Log(f.name)
		if f.path != "" {
			b.do(t, chromedp.Navigate(s.url+f.path), waitVisible("main"))
		}
		for _, field := range f.fill {
			b.do(t, waitVisible(field[0]), typeText(field[0], field[1]))
		}
		if f.press != "" {
			b.do(t, waitVisible(f.press), click(f.press))
		}
		b.do(t, waitVisible(f.result))
	}
	s.checkResults(t)
	// The plain form and the theme work without scripts too.
	b.do(t, chromedp.Navigate(s.url+"/jobs"), click(".filters summary"), waitVisible(".filters input[name=status][value=failed]"),
		click(".filters input[name=status][value=failed]"),
		typeText(".filters input[name=target]", "bob@delta.example\r"), waitVisible("#q[value*='bob@delta.example']"),
		waitVisible(fmt.Sprintf("td a[href$='/jobs/%d']", s.failed)))
	b.do(t, chromedp.Navigate(s.url+"/"), click(".preferences summary"), waitVisible("select[name=theme]"), setValue("select[name=theme]", "dark"), click(".preferences button"),
		waitVisible("html[data-theme=dark]"))
	b.noProblems(t, "without scripts")
}

// Scripts add keyboard shortcuts. A preference turns them off.
func TestKeyboardShortcutsNavigateUnlessTurnedOff(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	focus := func(selector string) bool {
		return evaluate[bool](t, b, fmt.Sprintf("document.activeElement.matches(%q)", selector))
	}
	b.do(t, chromedp.Navigate(s.url+"/jobs?q=status:failed"), waitVisible(".js #q"), pressKeys("j"), pressKeys("j"))
	if !focus("tbody tr:nth-child(2) td a") {
		t.Error("pressing j twice does not focus the second job")
	}
	b.do(t, pressKeys("k"), pressKeys("x"), waitVisible("tbody tr:first-child input[name=id]:checked"), pressKeys("/"))
	if !focus("#q") {
		t.Error("pressing / does not focus the query")
	}
	b.do(t, chromedp.Navigate(s.url+"/jobs"), waitVisible(".js #q"), pressKeys("/"))
	// The emulated key press also types the / into the query, which a real keyboard does not. Delete it.
	b.do(t, pressKeys("\b"), pressKeys("status:failed target:bob@delta.example"), pressKeys("\r"),
		waitVisible(`.tabs [aria-current] .bad`), waitVisible(".js main"), pressKeys("j"), pressKeys("\r"),
		waitVisible("#details"))
	b.do(t, waitVisible(".js main"), pressKeys("g"), pressKeys("s"), waitVisible("header nav a[href$='/services'][aria-current]"))
	// The skip link jumps over the navigation.
	b.do(t, chromedp.Navigate(s.url+"/"), waitVisible("#services"), pressKeys("\t"), pressKeys("\r"))
	if !focus("#main") {
		t.Error("the skip link does not focus the main content")
	}
	b.do(t, click(".preferences summary"), setValue("select[name=keys]", "off"), click(".preferences button"), waitVisible("body[data-keys=off]"),
		chromedp.Navigate(s.url+"/jobs"), waitVisible(".js #q"),
		pressKeys("/"))
	if focus("#q") {
		t.Error("a shortcut works although shortcuts are off")
	}
	b.noProblems(t, "keys")
}
