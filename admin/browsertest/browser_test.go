// Package browsertest looks at the operators' pages with a real Chromium: no CSP
// violation, nothing that axe finds, by keyboard alone, and with scripts off.
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

// screenshots names a folder that gets a picture of every page in every size.
const screenshots = "NAWASYNC_SCREENSHOTS"

// tab is a browser's tab, and what went wrong in it.
type tab struct {
	context.Context
	mu       sync.Mutex
	problems []string
}

// newTab opens a tab in a Chromium of its own.
func newTab(t *testing.T) *tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("no Chromium: apt-get install chromium")
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
	b := &tab{Context: limited}
	noError(t, chromedp.Listen(limited, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded: // CSP violations and requests that failed are here
			if !strings.Contains(e.Entry.Text, "status of 422") {
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

func call[P, R any](t *testing.T, b *tab, command cdp.Command[P, R], params P) {
	t.Helper()
	_, err := chromedp.Call(b, command, params)
	noError(t, err)
}

func evaluate[T any](t *testing.T, b *tab, script string) T {
	t.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	noError(t, err)
	return value
}

type step = chromedp.Action[chromedp.Void]

func visible(selector string) step       { return chromedp.WaitVisible(chromedp.CSS(selector)) }
func click(selector string) step         { return chromedp.Click(chromedp.CSS(selector)) }
func write(selector, text string) step   { return chromedp.SendKeys(chromedp.CSS(selector), text) }
func choose(selector, value string) step { return chromedp.SetValue(chromedp.CSS(selector), value) }
func key(keys string) step               { return chromedp.KeyEvent(keys) }

func (b *tab) do(t *testing.T, steps ...step) {
	t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		t.Fatal(err)
	}
}

// clean fails for what went wrong since the last call.
func (b *tab) clean(t *testing.T, where string) {
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
		"job": job(s.failed), "job-stack": job(s.panicked) + "?stack=full", "job-queued": job(s.q), "conflict": job(s.conflict), "health": "/health",
		"services": "/services", "service": "/services/whm",
		"target":          "/target?" + url.Values{"service": {"whm"}, "type": {"email_account"}, "instance": {"main"}, "id": {hostile[0]}}.Encode(),
		"target-mirrored": "/target?" + url.Values{"service": {"whm"}, "type": {"box"}, "instance": {"main"}, "id": {"info04@mirror.example"}}.Encode(),
		"bulk-run":        s.bulk,
		"activity":        "/activity", "bulk": "/bulk", "bulk-preview": "/bulk?act=retry&all=1&q=status:failed", "missing": "/jobs/999999",
	}
}

type finding struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML string `json:"html"`
	} `json:"nodes"`
}

// Every page, light and dark, wide and narrow, full and empty.
func TestEveryPageIsCleanInEverySizeAndTheme(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("%v: run npm install in this folder", err)
	}
	for _, full := range []bool{true, false} {
		t.Run(map[bool]string{true: "full", false: "empty"}[full], func(t *testing.T) {
			t.Parallel()
			s := newSite(t, full)
			b := newTab(t)
			for name, path := range s.pages() {
				if !full && (path == "" || strings.Contains(path, "/jobs/0")) {
					continue
				}
				for _, theme := range []string{"light", "dark"} {
					for _, width := range []int64{1440, 768, 360} {
						where := fmt.Sprintf("%s %s %d", name, theme, width)
						call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{
							Name:  "prefers-color-scheme",
							Value: theme,
						}}})
						b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Navigate(s.url+path), visible("main"))
						if overflow := evaluate[int64](t, b, "document.documentElement.scrollWidth - innerWidth"); overflow > 0 {
							t.Errorf("%s: %d px wider than the window", where, overflow)
						}
						if name != "missing" {
							b.clean(t, where)
						}
						b.problems = nil
						picture(t, b, full, name, theme, width)
						if width == 768 || (width == 360 && theme == "dark") {
							continue // the same nodes in the same colours
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
			}
		})
	}
}

// picture keeps what the tab shows, where a folder is named for it.
func picture(t *testing.T, b *tab, full bool, name, theme string, width int64) {
	t.Helper()
	folder := os.Getenv(screenshots)
	if folder == "" {
		return
	}
	if !full {
		name += "-empty"
	}
	png, err := chromedp.Run(b, chromedp.FullScreenshot(100))
	noError(t, err)
	noError(t, os.MkdirAll(folder, 0o755))
	noError(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%s-%d.png", name, theme, width)), png, 0o600))
}

func (s *site) await(t *testing.T, done func(jobs []*tracker.Job) bool, terms ...tracker.Term) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		results, err := s.engine.Reader().Search(t.Context(), tracker.Search{Terms: terms, Limit: 100})
		noError(t, err)
		if done(results.Jobs) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("nothing came of it")
		}
	}
}

// tabTo presses Tab until what has the focus fits, and fails when it never does.
func (b *tab) tabTo(t *testing.T, selector string) {
	t.Helper()
	for range 150 {
		b.do(t, key("\t"))
		if evaluate[bool](t, b, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	t.Fatalf("Tab does not reach %s", selector)
}

// A page that refreshes takes over what is new, and leaves alone what is being read.
func TestLivePageTakesOverWhatIsNew(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	b.do(t, chromedp.Navigate(s.url+"/jobs"), visible("select[name=live]"), choose("select[name=live]", "5"), click("footer button"),
		visible("body[data-live='5']"))
	id := s.run(t, chore{ID: "fresh@site.example"}, tracker.StatusSuccess)
	b.do(t, visible(fmt.Sprintf("td a[href$='/jobs/%d']", id)))
	// While a job is selected nothing moves.
	b.do(t, click("input[name=id]"))
	later := s.run(t, chore{ID: "later@site.example"}, tracker.StatusSuccess)
	b.do(t, visible(".live-note"))
	if evaluate[bool](t, b, fmt.Sprintf(`document.querySelector("td a[href$='/jobs/%d']") !== null`, later)) {
		t.Error("the list moved under a selection")
	}
	b.clean(t, "live")
	// One that cannot be had is said to be old, and comes back by itself.
	s.away.Store(true)
	b.do(t, click("input[name=id]"))
	b.until(t, `document.querySelector(".live-note:not([hidden])")?.textContent.startsWith("Not refreshed: what you see is as of 20")`)
	s.away.Store(false)
	b.do(t, visible(fmt.Sprintf("td a[href$='/jobs/%d']", later)))
	b.until(t, `document.querySelector(".live-note").hidden`)
	b.problems = nil // the browser notes each answer that was an error
	// What has the focus keeps it.
	evaluate[int](t, b, fmt.Sprintf(`document.querySelector("td a[href$='/jobs/%d']").focus();0`, later))
	last := s.run(t, chore{ID: "last@site.example"}, tracker.StatusSuccess)
	b.do(t, visible(fmt.Sprintf("td a[href$='/jobs/%d']", last)))
	if !evaluate[bool](t, b, fmt.Sprintf(`document.activeElement.matches("td a[href$='/jobs/%d']")`, later)) {
		t.Error("the refresh took the focus away")
	}
	b.clean(t, "live")
}

// until waits until a script says true.
func (b *tab) until(t *testing.T, script string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !evaluate[bool](t, b, "!!("+script+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never becomes true: %s", script)
		}
	}
}
