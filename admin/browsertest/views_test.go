package browsertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// A view is saved, opened and deleted from the menu of the list, whose opened form and lists are accessible too.
func TestViewIsSavedOpenedAndDeletedFromTheMenu(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	noError(t, err)
	s, b := newSite(t, true), newTab(t)
	look := func(name string) {
		t.Helper()
		for _, width := range []int64{1440, 360} {
			b.do(t, chromedp.EmulateViewport(width, 900))
			if overflow := evaluate[int64](t, b, "document.documentElement.scrollWidth - innerWidth"); overflow > 0 {
				t.Errorf("%s at %d px is %d px wider than the window", name, width, overflow)
			}
			takeScreenshot(t, b, true, name, "light", width)
		}
		b.do(t, chromedp.EmulateViewport(1440, 900))
		evaluate[int](t, b, string(axe)+";0")
		if found := evaluate[string](t, b, `axe.run().then((r) => r.violations.map((v) => v.id + " " + v.nodes[0].html).join("\n"))`); found != "" {
			t.Errorf("%s: axe: %s", name, found)
		}
		b.noProblems(t, name)
	}
	b.do(t, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(s.url+"/jobs?group=error&q=status:failed+service:whm"), waitVisible("main"),
		click(".saved-views > summary"), waitVisible(".saved-views [name=name]"))
	look("views-save")
	b.do(t, typeText(".saved-views [name=name]", "Failed on WHM"), click(".saved-views [name=shared]"), click(".saved-views form button"),
		waitVisible("main > .notice.good"), chromedp.Navigate(s.url+"/jobs"), waitVisible("main"), click(".saved-views > summary"), waitVisible(".saved-views ul a"))
	look("views-open")
	b.do(t, click(".saved-views ul a"), waitVisible(".groups"), click(".saved-views > summary"), waitVisible(".saved-views button.danger"))
	if title := evaluate[string](t, b, "document.title"); title != "Jobs: Failed on WHM · Sync" {
		t.Errorf("the title of the view is %q", title)
	}
	look("views-change")
	b.do(t, click(".groups details > summary"), waitVisible(".groups details li a"))
	look("views-group-open")
	b.do(t, click(".saved-views > summary"), waitVisible(".saved-views button.danger"), click(".saved-views button.danger"), waitVisible("main > .notice.good"))
	if n := evaluate[int64](t, b, "document.querySelectorAll('.saved-views ul').length"); n != 0 {
		t.Errorf("%d lists of views are left", n)
	}
}
