package admin_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

var (
	linkPattern    = regexp.MustCompile(`<a[^>]* href="([^"]*)"`)
	formPattern    = regexp.MustCompile(`<form[^>]* method="post" action="([^"]*)"`)
	headingPattern = regexp.MustCompile(`<(h[1-6]|tbody|ul|ol|dl|nav)(?: [^>]*)?>\s*</`)
)

// The test follows every link of every page that each person sees. A link or a form that leads to an error tells about
// something that the person may not view, or offers what it may not do.
func TestNoLinkOrFormThatASubjectSeesIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	w.addRelations()
	w.renew() // which finds the services again
	for _, p := range w.persons {
		if !w.viewsSomething(p, "") {
			continue
		}
		w.crawl(p.name, crawlStart, func(path string, got answer) {
			if got.status >= http.StatusBadRequest && path != "/nothing" && path != "/jobs?q=servise:x" {
				t.Errorf("a page of %q links to %s, which answers %d", p.name, path, got.status)
			}
			if !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
				return
			}
			if empty := headingPattern.FindString(got.body); empty != "" {
				t.Errorf("%s shows %q an empty element: %s", path, p.name, empty)
			}
			w.checkForms(t, p, path, got.body)
		})
	}
}

// crawlStart has the pages from which links lead to all others.
var crawlStart = []string{"/jobs", "/", "/services", "/audit", "/bulk", "/jobs?q=is:deleted", "/jobs?q=status:cancelled&n=25", "/jobs?q=servise:x", "/nothing"}

// crawl visits the pages and all that they link to, each once.
func (s *site) crawl(subject string, start []string, visit func(path string, got answer)) {
	s.t.Helper()
	queue, seen := slices.Clone(start), map[string]bool{}
	for _, path := range queue {
		seen[path] = true
	}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		got := s.get(subject, path)
		visit(path, got)
		if !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, link := range linkPattern.FindAllStringSubmatch(got.body, -1) {
			next := strings.TrimPrefix(html.UnescapeString(link[1]), s.prefix)
			if strings.HasPrefix(path, "/jobs?") && strings.HasPrefix(next, "/jobs?") {
				continue // the filters of a list lead to many others
			}
			if strings.HasPrefix(next, "/") && !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
}

// Its only link skips the header.
func TestPageForASubjectWithoutRightsOffersNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	for _, subject := range []string{"", "nobody"} {
		for _, path := range []string{"/jobs", "/health", "/jobs/1"} {
			got := s.get(subject, path)
			links, forms := linkPattern.FindAllString(got.body, -1), strings.Count(got.body, "<form")
			if got.status != http.StatusForbidden || len(links) != 1 || forms != 0 {
				t.Errorf("GET %s of %q: status %d, links %v, %d forms", path, subject, got.status, links, forms)
			}
		}
	}
}

// The form for preferences on that page leads back as well, not to an address that takes only forms.
func TestPageForARefusedFormLeadsBackToWhereItWasSent(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	job := s.dispatch(chore{ID: "a"})
	for back, want := range map[string]string{"/jobs?q=status:queued": "/jobs?q=status:queued", "": "/jobs", "//evil.example/": "/jobs"} {
		got := s.post("viewer", fmt.Sprintf("/jobs/%d/cancel", job.ID), "back", back)
		if got.status != http.StatusForbidden || !strings.Contains(got.body, `href="`+want+`">Go back</a>`) ||
			!strings.Contains(got.body, `name="back" value="`+want+`"`) {
			t.Errorf("back to %q: status %d\n%s", back, got.status, got.body)
		}
	}
}

func TestPreviewOfALimitedOperatorKnowsTheWorkersOfBulkRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	noError(t, admin.Register(w.engine, w.enforcer))
	w.start()
	const warning = "No running process handles bulk runs"
	w.until(func() bool {
		return !strings.Contains(w.get("operator", "/bulk?action=cancel&all=1&q=status:queued").body, warning)
	})
	if got := w.get("alpha-operator", "/bulk?action=cancel&all=1&q=status:queued"); got.status != http.StatusOK || strings.Contains(got.body, warning) {
		t.Errorf("status %d\n%s", got.status, got.body)
	}
}

// checkForms reports the forms of a page that the person may not send. It sends none that would do something.
func (w *world) checkForms(t *testing.T, p person, path, body string) {
	t.Helper()
	for _, form := range formPattern.FindAllStringSubmatch(body, -1) {
		action := html.UnescapeString(form[1])
		service, name, isService := strings.Cut(strings.TrimPrefix(action, "/services/"), "/")
		switch {
		case action == "/preferences", strings.HasPrefix(action, "/views"): // of one's own
		case isService && strings.HasPrefix(action, "/services/"):
			if !p.mayAnywhere(w, admin.PermissionService) {
				t.Errorf("%s offers %q to %s %s", path, p.name, name, service)
			}
		case !p.mayAnywhere(w, admin.PermissionManage):
			t.Errorf("%s offers %q the form %s", path, p.name, action)
		}
	}
}

// mayAnywhere reports whether the person has a permission on any place that it may view.
func (p person) mayAnywhere(w *world, permission string) bool {
	for _, at := range w.places {
		if p.views(at) && p.may(permission, at.service, at.instance) || p.may(permission, at.service, admin.Every) {
			return true
		}
	}
	return false
}

// addRelations adds jobs, a schedule and audit entries that refer to jobs of other places.
func (w *world) addRelations() {
	w.t.Helper()
	ctx := w.t.Context()
	var alpha, beta place
	for _, at := range w.places {
		switch at.instance {
		case "qalpha":
			alpha = at
		case "qbeta":
			beta = at
		}
	}
	for _, text := range []string{
		"UPDATE nawasync_jobs SET retry_of = ?, open_lane = (SELECT open_lane FROM nawasync_jobs WHERE id = ?), lane = (SELECT lane FROM nawasync_jobs WHERE id = ?) WHERE id = ?",
	} {
		noError(w.t, w.db.Exec(text, beta.cancelled.ID, beta.queued.ID, beta.queued.ID, alpha.queued.ID).Error)
	}
	noError(w.t, w.engine.Pause(ctx, "qhost", "", nawasync.PauseOptions{By: "someone", Reason: "all of it"}))
	noError(w.t, w.engine.Pause(ctx, "qhost", "qbeta", nawasync.PauseOptions{By: "someone", Reason: "only beta"}))
	noError(w.t, admin.Register(w.engine, w.enforcer))
	w.startBulkRun(w.browser("operator"), "/bulk?action=cancel&all=1&q=instance:qbeta", url.Values{"reason": {"tidy"}})
	w.startBulkRun(w.browser("alpha-operator"), "/bulk?action=cancel&all=1&q=status:queued", url.Values{"reason": {"tidy"}})
	for _, name := range []string{"operator", "alpha-operator"} {
		w.post(name, "/services/qhost/pause", "instance", "qalpha", "reason", "x")
		w.post(name, "/services/qhost/sync", "instance", "qalpha", "type", "domain")
	}
}
