package browsertest

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
)

// oneInstance allows everything on one instance of a service, and nothing else.
type oneInstance struct{ service, instance string }

func (e oneInstance) Enforce(rvals ...any) (bool, error) {
	return rvals[1] == e.service && rvals[2] == e.instance, nil
}

// nothing allows nothing.
type nothing struct{}

func (nothing) Enforce(...any) (bool, error) { return false, nil }

// backup has the arguments of a job on another instance.
type backup struct{ ID string }

func (backup) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "backup", Action: "run"}
}
func (b backup) Target() nawasync.Target { return nawasync.Target{Instance: "other", ID: b.ID} }

// serveAs serves the pages again for other rights, and returns their URL.
func (s *site) serveAs(t *testing.T, enforcer admin.Enforcer) string {
	t.Helper()
	handler, err := admin.New(s.engine, admin.Config{
		Prefix: "/admin/sync", Environment: "test", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Enforcer: enforcer,
		Subject: func(*http.Request) string { return "main-operator@delta.example" },
	})
	noError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/admin/sync"
}

// The pages of an operator of one instance, and those that refuse, fit the window, report no problem to the
// browser, and name no other instance.
func TestPagesOfALimitedOperatorFitAndNameNoOtherInstance(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	_, err := s.engine.Dispatch(t.Context(), backup{"hidden@other.example"}, nawasync.Options{By: "user:7"})
	noError(t, err)
	limited, refused, b := s.serveAs(t, oneInstance{"whm", "main"}), s.serveAs(t, nothing{}), newTab(t)
	pages := s.pages()
	delete(pages, "bulk-run") // of another operator
	pages["service-main"] = "/services/whm?instance=main"
	urls := map[string]string{"forbidden": refused + "/jobs"}
	for name, path := range pages {
		urls[name] = limited + path
	}
	for name, address := range urls {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1440, 390} {
				where := fmt.Sprintf("%s %s %d", name, theme, width)
				call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{
					Name:  "prefers-color-scheme",
					Value: theme,
				}}})
				b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Navigate(address), waitVisible("main"))
				if overflow := evaluate[int64](t, b, "document.documentElement.scrollWidth - innerWidth"); overflow > 0 {
					t.Errorf("%s: the page is %d px wider than the window", where, overflow)
				}
				if text := evaluate[string](t, b, "document.body.innerText"); strings.Contains(text, "hidden@other") || strings.Contains(text, "the rack moves") {
					t.Errorf("%s: the page names another instance:\n%s", where, text)
				}
				if name != "missing" && name != "forbidden" {
					b.noProblems(t, where)
				}
				b.problems = nil
				takeScreenshot(t, b, true, "limited-"+name, theme, width)
			}
		}
	}
	s.tooMany(t, b, limited)
}

// tooMany sends a form after the operator has sent as many as may be refused, and looks at the answer.
func (s *site) tooMany(t *testing.T, b *browserTab, limited string) {
	t.Helper()
	for range 50 {
		response, err := http.PostForm(limited+"/services/whm/pause", url.Values{"reason": {"all of it"}})
		noError(t, err)
		noError(t, response.Body.Close())
		if response.StatusCode != http.StatusForbidden {
			t.Fatalf("pause of the whole service: status %d, want 403", response.StatusCode)
		}
	}
	for _, width := range []int64{1440, 390} {
		b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Navigate(limited+"/services/whm?instance=main"), waitVisible("main"),
			click("[data-key=pause-menu] summary"), typeText(`form[action$="/pause"] [name="reason"]`, "the rack"), click(`form[action$="/pause"] button`), waitVisible(`h1`))
		for end := time.Now().Add(20 * time.Second); !strings.Contains(evaluate[string](t, b, "document.title"), "Too many refused forms"); {
			if time.Now().After(end) {
				t.Fatalf("the browser shows %s", evaluate[string](t, b, "document.body.innerText"))
			}
			time.Sleep(20 * time.Millisecond)
		}
		if overflow := evaluate[int64](t, b, "document.documentElement.scrollWidth - innerWidth"); overflow > 0 {
			t.Errorf("the refusal is %d px wider than the window of %d px", overflow, width)
		}
		takeScreenshot(t, b, true, "limited-too-many", "dark", width)
	}
}
