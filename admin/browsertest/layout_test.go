package browsertest

import (
	"testing"

	"github.com/chromedp/chromedp"
)

func TestFirstJobIsWithin260PixelsOfTheTop(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	b.do(t, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.url+"/jobs"), waitVisible("tbody tr"))
	if top := evaluate[float64](t, b, `document.querySelector("tbody tr").getBoundingClientRect().top`); top > 260 {
		t.Errorf("the first row begins %.0f pixels below the top", top)
	}
}

func TestMenuClosesByEscapeAndByAClickElsewhere(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, false), newTab(t)
	b.do(t, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.url+"/jobs"), click(".preferences summary"), waitVisible("select[name=theme]"), pressKeys("\x1b"))
	b.until(t, `!document.querySelector(".preferences").open && document.activeElement.matches(".preferences summary")`)
	b.do(t, click(".preferences summary"), waitVisible("select[name=theme]"), click("h1"))
	b.until(t, `!document.querySelector(".preferences").open`)
	b.noProblems(t, "menu")
}
