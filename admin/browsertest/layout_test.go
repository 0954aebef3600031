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

func TestFormInAMenuOfAServiceClosesByEscapeAndKeepsWhatWasEntered(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, false), newTab(t)
	const menu, reason = "[data-key=pause-menu]", "[data-key=pause-menu] [name=reason]"
	b.do(t, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.url+"/services/whm"), click(menu+" > summary"), waitVisible(reason), typeText(reason, "upgrade"), pressKeys("\x1b"))
	b.until(t, `!document.querySelector("`+menu+`").open && document.activeElement.matches("`+menu+` > summary")`)
	b.do(t, pressKeys("\r"), waitVisible(reason))
	b.until(t, `document.querySelector("`+reason+`").value === "upgrade"`)
	b.do(t, click("h1"))
	b.until(t, `!document.querySelector("`+menu+`").open`)
	b.noProblems(t, "menu of a service")
}
