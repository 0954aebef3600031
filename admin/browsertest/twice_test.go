package browsertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/nawasara/nawasync/tracker"
)

const retryButton = "main form[action$='/retry'] button"

// checkOneRetry checks that the button was pressed with effect once.
func (s *site) checkOneRetry(t *testing.T) {
	t.Helper()
	s.await(t, func(jobs []*tracker.Job) bool { return len(jobs) == 1 }, tracker.Term{Field: tracker.FieldRetryOf, Values: []string{fmt.Sprint(s.failed)}})
	entries, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "retry"})
	noError(t, err)
	if len(entries) != 1 {
		t.Errorf("the audit log has %d retries, want 1", len(entries))
	}
}

func TestButtonIsDisabledWhileItsFormIsSent(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	s.posts.Store(0)
	s.slow.Store(int64(2 * time.Second))
	b.do(t, chromedp.Navigate(fmt.Sprintf("%s/jobs/%d", s.url, s.failed)), waitVisible(".js "+retryButton))
	pressed := evaluate[string](t, b, `(async () => {
		const button = document.querySelector("`+retryButton+`");
		button.click();
		await new Promise((resolve) => setTimeout(resolve, 100));
		button.form.requestSubmit();
		const note = document.querySelector(".live-note");
		return [button.disabled, button.form.ariaBusy, note.hidden, note.innerText.trim()].join(" ");
	})()`)
	if pressed != "true true false Sending…" {
		t.Errorf("while the form is sent, the button is disabled, the form busy, the status hidden: %s", pressed)
	}
	b.do(t, waitVisible(done))
	if n := s.posts.Load(); n != 1 {
		t.Errorf("%d forms were sent, want 1", n)
	}
	s.checkOneRetry(t)
	b.noProblems(t, "disabled")
}

func TestTwoPressesWithoutScriptsAreOneJob(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	s.posts.Store(0)
	s.slow.Store(int64(2 * time.Second))
	b.do(t, chromedp.Navigate(fmt.Sprintf("%s/jobs/%d", s.url, s.failed)), waitVisible(retryButton))
	b.tabTo(t, retryButton)
	b.do(t, pressKeys("\r"))
	s.until(t, func() bool { return s.posts.Load() == 1 })
	b.do(t, pressKeys("\r")) // while the browser waits for the answer
	s.until(t, func() bool { return s.posts.Load() == 2 })
	b.do(t, waitVisible(done))
	s.checkOneRetry(t)
}
