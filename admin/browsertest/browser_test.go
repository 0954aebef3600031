// Package browsertest tests the operator pages in Chromium. It checks for CSP violations and for
// accessibility problems that axe finds, and runs every flow by keyboard alone and with scripts off.
package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/nawasara/nawasync/tracker"
)

// screenshots names the environment variable with the directory for screenshots of every page at
// every window size. If the variable is unset, no screenshots are taken.
const screenshots = "NAWASYNC_SCREENSHOTS"

// browserTab is a browser tab with the problems that the browser reported.
type browserTab struct {
	context.Context
	mu       sync.Mutex
	problems []string
}

// newTab starts Chromium and opens a tab.
func newTab(t *testing.T) *browserTab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("find Chromium: it is not installed; run apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true))
	allocator, cancelAllocator := chromedp.NewExecAllocator(t.Context(), options...)
	inner, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		cancel()
		cancelAllocator()
	})
	limited, cancelLimit := context.WithTimeout(inner, 3*time.Minute)
	t.Cleanup(cancelLimit)
	b := &browserTab{Context: limited}
	noError(t, chromedp.Listen(limited, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded: // CSP violations and failed requests
			if e.Entry.Level != log.EntryLevelVerbose && !strings.Contains(e.Entry.Text, "status of 422") { // verbose entries are hints
				b.problems = append(b.problems, e.Entry.Text+" "+e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			b.problems = append(b.problems, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			b.problems = append(b.problems, fmt.Sprint("console: ", e.Type))
		}
	}))
	call(t, b, log.Enable, cdp.Empty{})
	call(t, b, runtime.Enable, cdp.Empty{})
	return b
}

func call[P, R any](t *testing.T, b *browserTab, command cdp.Command[P, R], params P) {
	t.Helper()
	_, err := chromedp.Call(b, command, params)
	noError(t, err)
}

func evaluate[T any](t *testing.T, b *browserTab, script string) T {
	t.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	noError(t, err)
	return value
}

type step = chromedp.Action[chromedp.Void]

func waitVisible(selector string) step    { return chromedp.WaitVisible(chromedp.CSS(selector)) }
func click(selector string) step          { return chromedp.Click(chromedp.CSS(selector)) }
func typeText(selector, text string) step { return chromedp.SendKeys(chromedp.CSS(selector), text) }

func setValue(selector, value string) step { return chromedp.SetValue(chromedp.CSS(selector), value) }
func pressKeys(keys string) step           { return chromedp.KeyEvent(keys) }

func (b *browserTab) do(t *testing.T, steps ...step) {
	t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		t.Fatal(err)
	}
}

// noProblems fails the test for each problem since the last call.
func (b *browserTab) noProblems(t *testing.T, where string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		t.Errorf("%s: %s", where, problem)
	}
	b.problems = nil
}

func (s *site) pages() map[string]string {
	job := func(id int64) string { return fmt.Sprintf("/jobs/%d", id) }
	return map[string]string{
		"jobs": "/jobs", "jobs-form": "/jobs?q=status:failed+error:quota", "jobs-wrong": "/jobs?q=status:failed+servise:whm", "jobs-none": "/jobs?q=target:nobody",
		"jobs-by-error": "/jobs?group=error", "jobs-by-object": "/jobs?group=object&q=status:failed", "jobs-by-service": "/jobs?group=service",
		"job": job(s.failed), "job-stack": job(s.panicked) + "?stack=full", "job-queued": job(s.queued), "conflict": job(s.conflict), "conflict-next": job(s.conflictID(0)), "conflicts": fmt.Sprintf("/conflicts?job=%d", s.conflict), "job-edit": job(s.failed) + "/edit", "job-running": job(s.running), "plan": job(s.plan), "overview": "/", "overview-week": "/?window=7d",
		"services": "/services", "service": "/services/whm",
		"target":          "/target?" + url.Values{"service": {"whm"}, "type": {"email_account"}, "instance": {"main"}, "id": {hostile[0]}}.Encode(),
		"target-mirrored": "/target?" + url.Values{"service": {"whm"}, "type": {"box"}, "instance": {"main"}, "id": {"info04@mirror.example"}}.Encode(),
		"bulk-run":        s.bulk,
		"audit":           "/audit", "audit-wrong": "/audit?outcome=lost", "audit-none": "/audit?subject=nobody&object=x", "workers": "/workers", "service-instance": "/services/whm?instance=main",
		"bulk": "/bulk", "bulk-preview": "/bulk?action=retry&all=1&q=status:failed", "missing": "/jobs/999999",
	}
}

type finding struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML string `json:"html"`
	} `json:"nodes"`
}

// The test opens every page with and without data, in both themes and in six widths. A window of 1,280
// pixels has 640 at 200 % zoom.
func TestEveryPageIsAccessibleInEverySizeAndTheme(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("%v: run npm install in this directory", err)
	}
	for _, full := range []bool{true, false} {
		t.Run(map[bool]string{true: "full", false: "empty"}[full], func(t *testing.T) {
			t.Parallel()
			s := newSite(t, full)
			b := newTab(t)
			for name, path := range s.pages() {
				if !full && (path == "" || strings.Contains(path, "/jobs/0") || name == "conflicts") {
					continue
				}
				t.Run(name, func(t *testing.T) {
					for _, theme := range []string{"light", "dark"} {
						for _, width := range map[string][]int64{"light": {1440, 1024, 860, 720, 640, 360}, "dark": {1440, 360}}[theme] {
							where := fmt.Sprintf("%s %s %d", name, theme, width)
							call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{
								Name:  "prefers-color-scheme",
								Value: theme,
							}}})
							b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Navigate(s.url+path), waitVisible("main"))
							if overflow := evaluate[int64](t, b, "document.documentElement.scrollWidth - innerWidth"); overflow > 0 {
								t.Errorf("%s: the page is %d px wider than the window", where, overflow)
							}
							if name != "missing" {
								b.noProblems(t, where)
							}
							b.problems = nil
							takeScreenshot(t, b, full, name, theme, width)
							if (width != 1440 && width != 360) || (width == 360 && theme == "dark") {
								continue // axe would see the same elements in the same colours
							}
							var found []finding
							evaluate[int](t, b, string(axe)+";0")
							text := evaluate[string](t, b, `axe.run().then((r) => JSON.stringify(r.violations.map((v) => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map((n) => ({html: n.html}))}))))`)
							noError(t, json.Unmarshal([]byte(text), &found))
							for _, f := range found {
								t.Errorf("%s: axe: %s: %s: %+v", where, f.ID, f.Help, f.Nodes)
							}
						}
					}
				})
			}
		})
	}
}

// takeScreenshot stores a screenshot of the tab if the environment names a directory for it.
func takeScreenshot(t *testing.T, b *browserTab, full bool, name, theme string, width int64) {
	t.Helper()
	directory := os.Getenv(screenshots)
	if directory == "" {
		return
	}
	if !full {
		name += "-empty"
	}
	png, err := chromedp.Run(b, chromedp.FullScreenshot(100))
	noError(t, err)
	noError(t, os.MkdirAll(directory, 0o755))
	noError(t, os.WriteFile(filepath.Join(directory, fmt.Sprintf("%s-%s-%d.png", name, theme, width)), png, 0o600))
}

// await waits until done returns true for the jobs that match the terms.
func (s *site) await(t *testing.T, done func(jobs []*tracker.Job) bool, terms ...tracker.Term) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		results, err := s.engine.Reader().Search(t.Context(), tracker.Search{Terms: terms, Limit: 100})
		noError(t, err)
		if done(results.Jobs) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the jobs did not reach the expected state: %+v", results.Jobs)
		}
	}
}

// tabTo presses Tab until the focused element matches the selector. It fails after 150 times.
func (b *browserTab) tabTo(t *testing.T, selector string) {
	t.Helper()
	for range 150 {
		b.do(t, pressKeys("\t"))
		if evaluate[bool](t, b, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	t.Fatalf("Tab does not reach %s", selector)
}

// The automatic refresh shows new jobs, but it changes neither a selection nor the focus.
func TestAutomaticRefreshShowsNewJobsAndKeepsSelectionAndFocus(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	b.do(t, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.url+"/jobs"), click(".preferences summary"), waitVisible("select[name=live]"), setValue("select[name=live]", "5"), click(".preferences button"),
		waitVisible("body[data-live='5']"))
	id := s.run(t, chore{ID: "fresh@site.example"}, tracker.StatusSuccess)
	b.do(t, waitVisible(fmt.Sprintf("td a[href$='/jobs/%d']", id)))
	// While a job is selected, the list does not change.
	b.do(t, click("input[name=id]"))
	later := s.run(t, chore{ID: "later@site.example"}, tracker.StatusSuccess)
	b.do(t, waitVisible(".live-note"))
	if evaluate[bool](t, b, fmt.Sprintf(`document.querySelector("td a[href$='/jobs/%d']") !== null`, later)) {
		t.Error("the list changed while a job was selected")
	}
	b.noProblems(t, "live")
	// If a refresh fails, the page says how old it is. It continues when the server answers again.
	s.unavailable.Store(true)
	b.do(t, click("input[name=id]"))
	b.until(t, `document.querySelector(".live-note:not([hidden])")?.textContent.startsWith("Connection lost. Last updated 20")`)
	s.unavailable.Store(false)
	b.do(t, waitVisible(fmt.Sprintf("td a[href$='/jobs/%d']", later)))
	b.until(t, `document.querySelector(".live-note").hidden`)
	b.problems = nil // the browser reported each failed request
	// The focused element keeps the focus.
	evaluate[int](t, b, fmt.Sprintf(`document.querySelector("td a[href$='/jobs/%d']").focus();0`, later))
	last := s.run(t, chore{ID: "last@site.example"}, tracker.StatusSuccess)
	b.do(t, waitVisible(fmt.Sprintf("td a[href$='/jobs/%d']", last)))
	if !evaluate[bool](t, b, fmt.Sprintf(`document.activeElement.matches("td a[href$='/jobs/%d']")`, later)) {
		t.Error("the focused element lost the focus in the refresh")
	}
	b.noProblems(t, "live")
}

// until waits until a script evaluates to true.
func (b *browserTab) until(t *testing.T, script string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !evaluate[bool](t, b, "!!("+script+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the script did not become true: %s", script)
		}
	}
}
