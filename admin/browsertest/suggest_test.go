package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const optionCount = `document.querySelectorAll("#suggestions:not([hidden]) [role=option]").length`

// shownQuery waits until the input of the query has a text.
func (b *browserTab) shownQuery(t *testing.T, want string) {
	t.Helper()
	b.until(t, fmt.Sprintf(`document.querySelector("#q").value === %q`, want))
}

// takeMarked presses Enter. The emulated key press would also submit the form, which that of a real keyboard does not
// if the script prevents it.
func (b *browserTab) takeMarked(t *testing.T) {
	t.Helper()
	if evaluate[bool](t, b, `document.querySelector("#q").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}))`) {
		t.Error("Enter submits the form although an option is marked")
	}
}

func TestSuggestionsCompleteTheQueryByKeyboard(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	b.do(t, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.url+"/jobs"), waitVisible("#q[role=combobox]"), click("#q"), pressKeys("sta"))
	b.until(t, optionCount+" > 0")
	b.do(t, pressKeys("\u0301")) // Arrow Down
	b.until(t, `document.querySelector("#q").getAttribute("aria-activedescendant") === document.querySelector("[role=option][aria-selected=true]").id`)
	b.takeMarked(t)
	b.shownQuery(t, "status:")
	b.until(t, optionCount+" === 7")
	// Escape closes the list and keeps the query. Up from the input marks the last option.
	b.do(t, pressKeys("\x1b"))
	b.until(t, optionCount+` === 0 && document.querySelector("#q").getAttribute("aria-expanded") === "false"`)
	b.do(t, pressKeys("\u0301"))
	b.until(t, optionCount+" === 7")
	b.do(t, pressKeys("\u0304"))
	b.takeMarked(t)
	b.shownQuery(t, "status:cancelled")
	// The last of several values, and a term in the middle of the query.
	b.do(t, pressKeys(",fa"))
	b.until(t, optionCount+" === 1")
	b.do(t, pressKeys("\u0301"))
	b.takeMarked(t)
	b.shownQuery(t, "status:cancelled,failed")
	evaluate[int](t, b, `document.querySelector("#q").value = 'by:"a b" service: error:x'; document.querySelector("#q").setSelectionRange(17, 17); 0`)
	b.do(t, pressKeys("w"))
	b.until(t, optionCount+" >= 1")
	b.do(t, pressKeys("\u0301"), pressKeys("\u0304"), pressKeys("\u0301"))
	evaluate[int](t, b, `document.querySelectorAll("[role=option]").forEach((o) => { if (o.dataset.insert === "whm") { o.dispatchEvent(new MouseEvent("mousedown", {bubbles: true, cancelable: true})); } }); 0`)
	b.shownQuery(t, `by:"a b" service:whm error:x`)
	// Without a marked option, Enter searches.
	evaluate[int](t, b, `document.querySelector("#q").value = "status:failed"; document.querySelector("#q").setSelectionRange(13, 13); 0`)
	b.do(t, pressKeys(" s"))
	b.until(t, optionCount+" > 0")
	b.do(t, pressKeys("\r"), waitVisible(".terms li a[aria-label='Remove filter status: failed']"))
	b.noProblems(t, "suggestions")
}

// The bar of the selection covers neither the row in focus nor the checkbox that selects all.
func TestBarOfTheSelectionCountsAndCoversNothingInFocus(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	b.do(t, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.url+"/jobs"), waitVisible(".js tbody tr"))
	top := evaluate[float64](t, b, `document.querySelector("tbody tr").getBoundingClientRect().top`)
	b.do(t, click("tbody tr:nth-child(2) input[name=id]"), waitVisible(".bulk strong"))
	b.until(t, `document.querySelector(".bulk strong").textContent === "1 selected"`)
	if now := evaluate[float64](t, b, `document.querySelector("tbody tr").getBoundingClientRect().top`); now != top {
		t.Errorf("the bar moves the first row from %.0f to %.0f", top, now)
	}
	b.do(t, click("thead input[name=page]"))
	b.until(t, `document.querySelector(".bulk strong").textContent === "50 selected"`)
	const covered = `(() => { scrollTo(0, 100000); const rows = [...document.querySelectorAll("tbody tr")]; const link = rows[5].querySelector("a"); link.focus();
		const bar = document.querySelector(".bulk > div").getBoundingClientRect(); return link.getBoundingClientRect().top < bar.bottom; })()`
	if evaluate[bool](t, b, covered) {
		t.Error("the bar covers the focused row")
	}
	b.do(t, click(".bulk button[type=reset]"))
	b.until(t, `!document.querySelector(".selection input:checked") && !document.querySelector(".bulk").checkVisibility()`)
	call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.do(t, chromedp.Navigate(s.url+"/jobs?q=status:failed"), click("tbody tr:nth-child(2) input[name=id]"), waitVisible(".bulk strong"))
	if text := evaluate[string](t, b, `document.querySelector(".bulk strong").textContent`); text != "Act on the selected jobs" {
		t.Errorf("without scripts the bar says %q", text)
	}
	b.do(t, click(".bulk button[value=retry]"), waitVisible("input[name=reason]"))
	b.noProblems(t, "selection")
}

func TestFirstJobIsWithin260PixelsOfTheTopWithChips(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	b.do(t, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.url+"/jobs?q=status:failed,success+service:whm+-by:nobody"), waitVisible("tbody tr"))
	if top := evaluate[float64](t, b, `document.querySelector("tbody tr").getBoundingClientRect().top`); top > 260 {
		t.Errorf("the first row begins %.0f pixels below the top", top)
	}
}

func TestRowOnAPhoneHasThreeLinesAndALargeCheckbox(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, true), newTab(t)
	b.do(t, chromedp.EmulateViewport(390, 844), chromedp.Navigate(s.url+"/jobs?q=status:failed"), waitVisible("tbody tr"))
	const sizes = `[...document.querySelectorAll("tbody tr")].map((row) => { const box = row.querySelector(".pick").getBoundingClientRect();
		return Math.max(row.getBoundingClientRect().height - 96, 0) + Math.max(44 - Math.min(box.width, box.height), 0); }).reduce((a, b) => a + b)`
	if n := evaluate[float64](t, b, sizes); n != 0 {
		t.Errorf("a card is too high or its checkbox too small, by %.0f pixels in all", n)
	}
}
