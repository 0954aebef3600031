package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func TestPrintedPageHasNoControlsAndShowsFullTimes(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	b.do(t, chromedp.Navigate(fmt.Sprintf("%s/jobs/%d", s.url, s.failed)), chromedp.WaitReady(chromedp.CSS("main")))
	if n := evaluate[int](t, b, `[...document.querySelectorAll("button, input, select, header nav a")].filter((e) => e.checkVisibility()).length`); n != 0 {
		t.Errorf("the printed page shows %d controls", n)
	}
	if text := evaluate[string](t, b, `getComputedStyle(document.querySelector("main time"), "::after").content`); len(text) < 20 {
		t.Errorf("a printed time has only %q beside it", text)
	}
	if background := evaluate[string](t, b, `getComputedStyle(document.body).backgroundColor`); background != "rgb(255, 255, 255)" {
		t.Errorf("the printed page has the background %s", background)
	}
}
