package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

func TestPageOfAnOpenJobUpdatesItselfUntilTheJobEnds(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, false), newTab(t)
	id := s.run(t, chore{ID: "slow@site.example", How: "wait"}, tracker.StatusRunning)
	b.do(t, chromedp.Navigate(fmt.Sprintf("%s/jobs/%d", s.url, id)), waitVisible("body[data-live='2']"))
	_, err := s.engine.Cancel(t.Context(), id, nawasync.OperatorOptions{})
	noError(t, err)
	b.until(t, `document.querySelector("h1 .badge").textContent.toLowerCase().includes("cancelled") && document.body.dataset.live === "0"`)
	b.noProblems(t, "live")
}

// After Retry, the page of the failed job shows how its retry runs and ends.
func TestPageOfARetriedJobFollowsTheRetry(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, false), newTab(t)
	id := s.run(t, chore{ID: "bob@site.example", How: "fail"}, tracker.StatusFailed)
	noError(t, s.engine.Pause(t.Context(), "whm", "main", nawasync.PauseOptions{By: "operator"}))
	b.do(t, chromedp.Navigate(fmt.Sprintf("%s/jobs/%d", s.url, id)), click("main form[action$='/retry'] button"), waitVisible("body[data-live='2']"))
	_, err := s.engine.Resume(t.Context(), "whm", "main", nawasync.OperatorOptions{By: "operator"})
	noError(t, err)
	b.until(t, `document.body.dataset.live === "0" && document.querySelector("main").textContent.includes("failed")`)
	b.noProblems(t, "live")
}

// A live update must not take from the reader what the reader entered, opened or scrolled to.
func TestLiveUpdateKeepsTicksTextsDetailsScrollAndFocus(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	ticked := fmt.Sprintf("input[name=id][value='%d']", s.running)
	b.do(t, chromedp.Navigate(s.url+"/jobs?q=status:running"), click(ticked), click("input[name=all]"), pressKeys("r"))
	b.until(t, `document.querySelector(".live-note").textContent.includes("paused")`)
	// The ticked job ends and another one starts.
	_, err := s.engine.Cancel(t.Context(), s.running, nawasync.OperatorOptions{})
	noError(t, err)
	s.until(t, func() bool {
		job, err := s.engine.Reader().Get(t.Context(), s.running)
		noError(t, err)
		return job.Status.Terminal()
	})
	later := s.run(t, chore{ID: "later@site.example", How: "wait"}, tracker.StatusRunning)
	b.do(t, click(".live-note button"), waitVisible(fmt.Sprintf("td a[href$='/jobs/%d']", later)))
	b.until(t, fmt.Sprintf(`document.querySelector("input[name=all]").checked && document.querySelector(%q).checked`, ticked))

	b.do(t, chromedp.Navigate(fmt.Sprintf("%s/jobs/%d", s.url, later)), click("details.document:last-of-type summary"), typeText("#reason-cancel", "a reason"))
	evaluate[int](t, b, `document.styleSheets[0].insertRule("details pre { max-height: 20px !important }", document.styleSheets[0].cssRules.length); document.querySelector("details.document:last-of-type pre").scrollTop = 15; scrollTo(0, 40); 0`)
	before := evaluate[string](t, b, `document.querySelector("#main").textContent`)
	noError(t, s.engine.Pause(t.Context(), "whm", "main", nawasync.PauseOptions{By: "operator"}))
	evaluate[int](t, b, `document.querySelector(".live-note button").click(); 0`)
	b.until(t, fmt.Sprintf(`document.querySelector("#main").textContent !== %q`, before))
	const kept = `document.querySelector("#reason-cancel").value === "a reason" && document.activeElement.id === "reason-cancel" &&
		document.querySelector("details.document:last-of-type").open && document.querySelector("details.document:last-of-type pre").scrollTop === 15 && scrollY === 40`
	if !evaluate[bool](t, b, kept) {
		t.Error("the update changed what the reader entered, opened or scrolled to:", evaluate[string](t, b, `[document.querySelector("#reason-cancel")?.value, document.activeElement.id,
			document.querySelector("details.document:last-of-type").open, document.querySelector("details.document:last-of-type pre").scrollTop, scrollY].join()`))
	}
	b.noProblems(t, "live")
}

func TestLiveUpdatesArePausedWhileTheTabIsHidden(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, false), newTab(t)
	s.run(t, chore{ID: "slow@site.example", How: "wait"}, tracker.StatusRunning)
	b.do(t, chromedp.Navigate(s.url+"/jobs"), waitVisible("body[data-live='5']"))
	evaluate[int](t, b, `window.asked = 0; const real = window.fetch; window.fetch = (...a) => { window.asked++; return real(...a); };
		Object.defineProperty(document, "hidden", {configurable: true, get: () => true}); document.dispatchEvent(new Event("visibilitychange")); 0`)
	later := s.run(t, chore{ID: "later@site.example"}, tracker.StatusSuccess)
	b.do(t, pressKeys("r"))
	if n := evaluate[int](t, b, "window.asked"); n != 0 {
		t.Errorf("a hidden tab asked %d times", n)
	}
	evaluate[int](t, b, `Object.defineProperty(document, "hidden", {configurable: true, get: () => false}); document.dispatchEvent(new Event("visibilitychange")); 0`)
	b.do(t, waitVisible(fmt.Sprintf("td a[href$='/jobs/%d']", later)))
	b.noProblems(t, "live")
}

// What stands above a list can come and go: the counts' notice, for example. The list stays in place.
func TestLiveUpdateKeepsFocusWhenSomethingAboveItGoes(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	b.do(t, chromedp.Navigate(s.url+"/jobs"))
	b.until(t, `document.querySelector("[data-live-region] td a") !== null`)
	evaluate[int](t, b, `(() => { const region = document.querySelector("[data-live-region]"), note = document.createElement("p");
		note.className = "notice warn"; note.id = ""; note.textContent = "The counts could not be read in time.";
		region.insertBefore(note, [...region.children].find((c) => c.nodeName === "FORM"));
		region.querySelector("td a").focus(); return 0; })()`)
	b.do(t, pressKeys("r"))
	b.until(t, `document.querySelector("[data-live-region] > p.notice") === null`)
	if at := evaluate[string](t, b, `document.activeElement.nodeName`); at != "A" {
		t.Errorf("the focus is on %s, want the link", at)
	}
}

// Attempts that were not consumed have the same number. All stay, also when the reader opens one.
func TestLiveUpdateKeepsAttemptsOfTheSameNumber(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, false), newTab(t)
	job, err := s.engine.Dispatch(t.Context(), chore{ID: "limited@site.example", How: "limited"}, nawasync.Options{})
	noError(t, err)
	s.until(t, func() bool {
		list, err := s.engine.Reader().Attempts(t.Context(), job)
		noError(t, err)
		return len(list) == 2
	})
	b.do(t, chromedp.Navigate(fmt.Sprintf("%s/jobs/%d", s.url, job.ID)))
	b.until(t, `document.querySelectorAll("details.attempt").length === 2`)
	b.do(t, click("details.attempt:last-of-type summary"), pressKeys("r"))
	evaluate[int](t, b, `new Promise((r) => setTimeout(() => r(0), 3000))`)
	if n := evaluate[int](t, b, `document.querySelectorAll("details.attempt").length`); n != 2 {
		t.Errorf("%d attempts are shown after an update, want 2", n)
	}
}
