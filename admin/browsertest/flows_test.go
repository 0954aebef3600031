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

// flow is one thing that an operator does: on a page, fields are filled in, a button is
// pressed, and something shows.
type flow struct {
	name, path string
	fill       [][2]string // selectors and texts
	press      string
	then       string
}

const done = ".notice.good"

// flows are all that an operator can do, each with what it leaves behind for the next. A
// held sync is decided one way or the other.
func (s *site) flows(decide string) []flow {
	job := func(id int64) string { return fmt.Sprintf("/jobs/%d", id) }
	button := func(act string) string { return fmt.Sprintf("main form[action$='/%s'] button", act) }
	// Each ends with what only the next page has: the one before must not be left while it loads.
	return []flow{
		{"retry", job(s.failed), nil, button("retry"), done},
		{"cancel what waits", job(s.q), [][2]string{{"#reason-cancel", "not today"}}, button("cancel"), done},
		{"ask for the end of what runs", job(s.running), nil, button("cancel"), done},
		{"delete", job(s.panicked), [][2]string{{"#reason-delete", "tidy"}}, button("delete"), done},
		{"put back", job(s.panicked), nil, button("restore"), done},
		{"resync", job(s.conflicts[0]), nil, button("resync"), done},
		{"rebase", job(s.conflicts[1]), nil, button("rebase"), done},
		{"overwrite", job(s.conflicts[2]), nil, button("overwrite"), done},
		{"decide on a held sync", "/services/whm", nil, button(decide), done},
		{"sync now", "/services/whm", nil, button("sync"), done},
		{"resume an instance", "/services/whm?instance=backup", nil, button("resume"), done},
		{"pause", "/services/whm", [][2]string{{"form[action$='/pause'] input[name=reason]", "the rack moves"}}, button("pause"), done},
		{"resume", "/services/whm", nil, button("resume"), done},
		{"filter by query", "/jobs", [][2]string{{"#q", "target:bob@delta.example"}}, ".query button", "#q[value*='bob@delta.example']"},
		{"find a job by its number", "/health", [][2]string{{"#jump", fmt.Sprint(s.failed, "\r")}}, "", "#facts"},
		{"filter acts", "/activity", [][2]string{{"input[name=act]", "pause"}}, ".query button", "input[name=act][value=pause]"},
		{"preview an act on all", "/jobs?q=status:failed", nil, "input[name=all]", "input[name=all]:checked"},
		{
			"bulk run", "/bulk?act=delete&all=1&q=target:eve@delta.example",
			[][2]string{{"input[name=reason]", "tidy"}},
			"main form button.danger, main form button.main", ".totals",
		},
		{"stop a bulk run", "", nil, button("stop"), done},
		{"preferences", "/health", [][2]string{{"select[name=live]", "1"}}, "footer button", "body[data-live='15']"},
	}
}

// prepared lets a bulk run wait, so that there is one to stop.
func (s *site) prepared(t *testing.T) *site {
	t.Helper()
	noError(t, s.engine.Pause(t.Context(), "nawasync", "", nawasync.PauseOptions{By: "operator", Reason: "a test"}))
	return s
}

// cameOf checks what the flows have done, in the database and at the remote.
func (s *site) cameOf(t *testing.T) {
	t.Helper()
	s.await(t, func(jobs []*tracker.Job) bool { return len(jobs) == 1 }, tracker.Term{Field: tracker.FieldRetryOf, Values: []string{fmt.Sprint(s.failed)}})
	s.await(t, func(jobs []*tracker.Job) bool {
		return len(jobs) == 3 && jobs[0].Status == tracker.StatusCancelled && jobs[1].Status == tracker.StatusCancelled && jobs[2].Status == tracker.StatusFailed
	}, tracker.Term{Field: tracker.FieldID, Values: []string{fmt.Sprint(s.q), fmt.Sprint(s.running), fmt.Sprint(s.panicked)}})
	s.await(t, func(jobs []*tracker.Job) bool { return len(jobs) == 2 && jobs[0].Status == tracker.StatusCancelled },
		tracker.Term{Field: tracker.FieldService, Values: []string{"nawasync"}})
	for i, want := range []int{300, 500, 500} {
		s.until(t, func() bool { return s.server.Quota(fmt.Sprintf("info%02d@mirror.example", i)) == want })
	}
	acts, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Subject: "operator", Limit: 100})
	noError(t, err)
	for _, a := range acts {
		if a.Outcome != tracker.AuditDone {
			t.Errorf("%s: %s", a.Action, a.Detail)
		}
	}
	if len(acts) != 20 { // three of them of the run that fill began, and two pauses of the set-up
		t.Errorf("%d acts are noted: %+v", len(acts), acts)
	}
}

func (s *site) until(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to pass")
		}
	}
}

func TestEveryFlowGoesByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true).prepared(t), newTab(t)
	for _, f := range s.flows("release") {
		t.Log(f.name)
		if f.path != "" {
			b.do(t, chromedp.Navigate(s.url+f.path), visible("main"))
		}
		for _, field := range f.fill {
			b.tabTo(t, field[0])
			b.do(t, key(field[1]))
		}
		if f.press != "" {
			b.tabTo(t, f.press)
			b.do(t, key(map[bool]string{true: " ", false: "\r"}[f.then == f.press+":checked"]))
		}
		b.do(t, visible(f.then))
	}
	s.cameOf(t)
	b.clean(t, "by keyboard")
}

func TestEveryFlowGoesWithScriptsOff(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true).prepared(t), newTab(t)
	call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	for _, f := range s.flows("reject") {
		t.Log(f.name)
		if f.path != "" {
			b.do(t, chromedp.Navigate(s.url+f.path), visible("main"))
		}
		for _, field := range f.fill {
			b.do(t, visible(field[0]), write(field[0], field[1]))
		}
		if f.press != "" {
			b.do(t, visible(f.press), click(f.press))
		}
		b.do(t, visible(f.then))
	}
	s.cameOf(t)
	// The plain form, and colours of one's own.
	b.do(t, chromedp.Navigate(s.url+"/jobs"), click(".plain summary"), visible(".plain input[name=status][value=failed]"),
		click(".plain input[name=status][value=failed]"),
		write(".plain input[name=target]", "bob@delta.example\r"), visible("#q[value*='bob@delta.example']"),
		visible(fmt.Sprintf("td a[href$='/jobs/%d']", s.failed)))
	b.do(t, chromedp.Navigate(s.url+"/health"), visible("select[name=theme]"), choose("select[name=theme]", "dark"), click("footer button"),
		visible("html[data-theme=dark]"))
	b.clean(t, "without scripts")
}

// The keys that scripts add, and the switch that takes them away.
func TestKeysLeadThroughThePagesUnlessPutOff(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	focus := func(selector string) bool {
		return evaluate[bool](t, b, fmt.Sprintf("document.activeElement.matches(%q)", selector))
	}
	b.do(t, chromedp.Navigate(s.url+"/jobs?q=status:failed"), visible(".js #q"), key("j"), key("j"))
	if !focus("tbody tr:nth-child(2) td a") {
		t.Error("j j is not at the second job")
	}
	b.do(t, key("k"), key("x"), visible("tbody tr:first-child input[name=id]:checked"), key("/"))
	if !focus("#q") {
		t.Error("/ does not lead to the query")
	}
	b.do(t, chromedp.Navigate(s.url+"/jobs"), visible(".js #q"), key("/"))
	// A real keyboard's / is not written; these events are not tied to each other.
	b.do(t, key("\b"), key("status:failed target:bob@delta.example"), key("\r"), visible(`.tabs [aria-current] .bad`), visible(".js main"), key("j"), key("\r"),
		visible("#facts"))
	b.do(t, visible(".js main"), key("g"), key("s"), visible("header nav a[href$='/services'][aria-current]"))
	// The skip link leads to what matters.
	b.do(t, chromedp.Navigate(s.url+"/health"), visible("#services"), key("\t"), key("\r"))
	if !focus("#main") {
		t.Error("the skip link does not lead to the page")
	}
	b.do(t, choose("select[name=keys]", "off"), click("footer button"), visible("body[data-keys=off]"), chromedp.Navigate(s.url+"/jobs"), visible(".js #q"),
		key("/"))
	if focus("#q") {
		t.Error("keys that are off lead somewhere")
	}
	b.clean(t, "keys")
}
