package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

// cell is one request of the matrix: what is asked, and the status of the answer to a person.
type cell struct {
	method, path string
	want         func(person) int
}

// The test sends every request to every route as every person, in every format, for a job, hold and service page
// of every instance. What is expected follows from the persons' rights alone.
func TestEveryRouteAnswersEachSubjectAsItsRightsSay(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		cells := append(w.listCells(), w.actionCells()...)
		for _, at := range w.places {
			cells = append(cells, w.placeCells(at)...)
		}
		for _, route := range routes(t) {
			if !slices.ContainsFunc(cells, func(c cell) bool { return route.answers(access{c.method, c.path}) }) {
				t.Errorf("no request covers %s %s", route.method, route.path)
			}
		}
		for _, c := range cells {
			w.renew() // forms that are refused again and again get 429
			for _, p := range w.persons {
				w.check(t, c, p)
			}
		}
	})
}

// check sends one request and compares the status and the content of the answer with the person's rights.
func (w *world) check(t *testing.T, c cell, p person) {
	t.Helper()
	path, query, _ := strings.Cut(c.path, "?")
	form, err := url.ParseQuery(query)
	noError(t, err)
	if c.method != http.MethodPost {
		path, form = c.path, nil
	}
	got := w.request(p.name, c.method, path, form, nil)
	if want := c.want(p); got.status != want {
		t.Errorf("%s %s by %q: status %d, want %d", c.method, c.path, p.name, got.status, want)
	}
	for _, at := range w.places {
		if p.views(at) {
			continue
		}
		for _, what := range []string{"queued", "cancelled", "reason", "row", "schedule"} {
			if text := targetOf(at, what); strings.Contains(got.body, text) && !strings.Contains(c.path, text) {
				t.Errorf("%s %s shows %q the text %s", c.method, c.path, p.name, text)
			}
		}
		if !w.viewsSomething(p, at.service) && containsWord(got.body, at.service) && !containsWord(c.path, at.service) {
			t.Errorf("%s %s shows %q the service %s", c.method, c.path, p.name, at.service)
		}
		if at.instance != "" && containsWord(got.body, at.instance) && !containsWord(c.path, at.instance) {
			t.Errorf("%s %s shows %q the instance %s", c.method, c.path, p.name, at.instance)
		}
	}
}

// containsWord reports whether a text contains a name that neither a longer name nor a target continues.
func containsWord(text, name string) bool {
	text = strings.ReplaceAll(text, "%2F", "/")
	for {
		i := strings.Index(text, name)
		if i < 0 {
			return false
		}
		before, after := byte(' '), byte(' ')
		if i > 0 {
			before = text[i-1]
		}
		if text = text[i+len(name):]; text != "" {
			after = text[0]
		}
		inName := func(b byte) bool {
			return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == '.' || b == '/'
		}
		if !inName(before) && !inName(after) {
			return true
		}
	}
}

// closed returns the status for a person without any right, and otherwise that of want.
func (w *world) closed(want func(p person) int) func(p person) int {
	return func(p person) int {
		if !w.viewsSomething(p, "") {
			return http.StatusForbidden
		}
		return want(p)
	}
}

func always(status int) func(person) int { return func(person) int { return status } }

// pick returns yes if ok is true, and no otherwise.
func pick(ok bool, yes, no int) int {
	if ok {
		return yes
	}
	return no
}

// listCells are requests whose answers have what the person may view.
func (w *world) listCells() (list []cell) {
	for _, path := range []string{
		"/jobs", "/jobs?q=status:cancelled", "/jobs?q=example", "/jobs?q=instance:qbeta", "/jobs?q=service:qhost+error:x", "/jobs?q=is:deleted",
		"/jobs?after=-1&n=25", "/jobs?group=error&q=status:cancelled", "/jobs?group=object", "/jobs?group=service&q=instance:qbeta",
		"/jobs.json", "/jobs.json?q=status:queued", "/jobs?sort=oldest", "/suggest.json?key=instance", "/suggest.json?key=type", "/suggest.json",
		"/jobs.csv", "/jobs.csv?q=status:cancelled", "/", "/?window=1h",
		"/health.json", "/services", "/metrics",
		"/audit", "/audit?subject=someone", "/audit?outcome=done&after=1", "/audit?object=x", "/audit?run=1", "/audit.csv", "/workers", "/bulk",
	} {
		list = append(list, cell{http.MethodGet, path, w.closed(always(http.StatusOK))})
	}
	return append(list,
		cell{http.MethodGet, "/health", w.closed(always(http.StatusMovedPermanently))},
		cell{http.MethodGet, "/livez", always(http.StatusOK)},
		cell{http.MethodGet, "/readyz", always(http.StatusOK)},
		cell{http.MethodGet, "/assets/none.css", always(http.StatusNotFound)},
		cell{http.MethodGet, "/nothing", always(http.StatusNotFound)},
	)
}

// actionCells are requests that concern no single place.
func (w *world) actionCells() []cell {
	manages := func(p person) int { return pick(w.managesSomething(p), http.StatusOK, http.StatusForbidden) }
	return []cell{
		{http.MethodGet, "/bulk?action=cancel&all=1&q=status:queued", w.closed(manages)},
		{http.MethodPost, "/bulk?action=cancel&q=status:queued&reason=x", w.closed(func(p person) int {
			return pick(w.managesSomething(p), http.StatusSeeOther, http.StatusForbidden)
		})},
		{http.MethodGet, "/bulk/1", w.closed(always(http.StatusNotFound))},
		{http.MethodPost, "/bulk/1/stop", w.closed(always(http.StatusNotFound))},
		{http.MethodPost, "/views?name=own&q=status:failed", w.closed(always(http.StatusSeeOther))},
		{http.MethodPost, "/views?name=shared&shared=yes&q=status:queued", w.closed(func(p person) int {
			return pick(w.managesAll(p, ""), http.StatusSeeOther, http.StatusForbidden)
		})},
		{http.MethodPost, "/views?name=host&shared=yes&q=service:qhost", w.closed(func(p person) int {
			return pick(w.managesAll(p, "qhost"), http.StatusSeeOther, http.StatusForbidden)
		})},
		{http.MethodPost, "/views?name=beta&shared=yes&q=service:qhost+instance:qbeta", w.closed(func(p person) int {
			return pick(w.managesAll(p, "qhost"), http.StatusSeeOther, http.StatusForbidden)
		})},
		{http.MethodGet, "/jobs", w.closed(always(http.StatusOK))}, // with the shared views
		{http.MethodPost, "/views/99/delete", w.closed(always(http.StatusNotFound))},
		{http.MethodPost, "/preferences", w.closed(always(http.StatusSeeOther))},
	}
}

// placeCells are the requests for one instance of a service.
func (w *world) placeCells(at place) (list []cell) {
	views := w.closed(func(p person) int { return pick(p.views(at), http.StatusOK, http.StatusNotFound) })
	service := w.closed(func(p person) int { return pick(w.viewsSomething(p, at.service), http.StatusOK, http.StatusNotFound) })
	manages := w.closed(func(p person) int {
		return pick(p.views(at), pick(p.may(admin.PermissionManage, at.service, at.instance), http.StatusSeeOther, http.StatusForbidden), http.StatusNotFound)
	})
	edits := func(p person) int { // a page for operators
		return pick(manages(p) == http.StatusSeeOther, http.StatusOK, manages(p))
	}
	// serves is the answer to a form on the service's page. A pause without an instance asks for every instance.
	serves := func(asked string) func(person) int {
		return w.closed(func(p person) int {
			may := p.may(admin.PermissionService, at.service, asked) && p.may(admin.PermissionView, at.service, asked)
			found := w.viewsSomething(p, at.service) && (asked == admin.Every || p.views(at))
			return pick(found, pick(may, http.StatusSeeOther, http.StatusForbidden), http.StatusNotFound)
		})
	}
	paused := at.instance
	if paused == "" {
		paused = admin.Every
	}
	query := url.Values{"service": {at.service}, "type": {at.cancelled.Type}, "instance": {at.instance}, "id": {at.cancelled.TargetID}}.Encode()
	id := fmt.Sprintf("/jobs/%d", at.cancelled.ID)
	list = append(list,
		cell{http.MethodGet, id, views},
		cell{http.MethodGet, id + ".json", views},
		cell{http.MethodGet, id + "/edit", edits},
		cell{http.MethodGet, "/target?" + query, views},
		cell{http.MethodGet, "/services/" + at.service, service},
		cell{http.MethodGet, "/services/" + at.service + "?" + url.Values{"instance": {at.instance}}.Encode(), func(p person) int {
			return pick(at.instance == "", service(p), views(p))
		}},
	)
	for _, action := range []string{"retry", "cancel", "delete", "restore", "restore_row", "edit", "keep_theirs", "accept", "apply_mine", "overwrite"} {
		list = append(list, cell{http.MethodPost, id + "/" + action + "?reason=x", manages})
	}
	list = append(list, cell{http.MethodPost, "/target/refresh?" + query, manages},
		cell{http.MethodGet, fmt.Sprintf("/conflicts?job=%d", at.cancelled.ID), edits},
		cell{http.MethodPost, fmt.Sprintf("/conflicts?job=%d&id=%d&answer=keep_theirs", at.cancelled.ID, at.cancelled.ID), manages})
	for _, action := range []string{"pause", "resume"} {
		form := url.Values{"reason": {"x"}, "instance": {at.instance}}.Encode()
		list = append(list, cell{http.MethodPost, "/services/" + at.service + "/" + action + "?" + form, serves(paused)},
			cell{http.MethodPost, "/services/" + at.service + "/" + action + "?reason=x", serves(admin.Every)})
	}
	form := url.Values{"reason": {"x"}, "type": {"domain"}, "instance": {at.instance}}.Encode()
	for _, action := range []string{"sync", "plan"} {
		list = append(list, cell{http.MethodPost, "/services/" + at.service + "/" + action + "?" + form, serves(at.instance)})
	}
	schedule := url.Values{"reason": {"x"}, "schedule": {scheduleOf(at)}}.Encode()
	for _, action := range []string{"pause_schedule", "run_schedule", "resume_schedule"} {
		list = append(list, cell{http.MethodPost, "/services/" + at.service + "/" + action + "?" + schedule, w.closed(func(p person) int {
			found := w.viewsSomething(p, at.service) && p.views(at)
			return pick(found, pick(p.may(admin.PermissionService, at.service, at.instance), http.StatusSeeOther, http.StatusForbidden), http.StatusNotFound)
		})})
	}
	for _, action := range []string{"release", "reject"} {
		list = append(list, cell{http.MethodPost, fmt.Sprintf("/held/%d/%s?reason=x", at.hold, action), manages})
	}
	return list
}
