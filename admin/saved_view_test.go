package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// saveView saves a view on the list and returns the page after that.
func (s *site) saveView(browser *http.Client, name, q string, form ...string) string {
	return s.follow(browser, "/views", append([]string{"name", name, "q", q, "back", s.prefix + "/jobs?q=" + url.QueryEscape(q)}, form...)...)
}

// viewsMenu returns the texts of the links to saved views.
func viewsMenu(page string) (names []string) {
	_, menu, _ := strings.Cut(page, `class="menu saved-views"`)
	menu, _, _ = strings.Cut(menu, "</details>")
	for _, link := range regexp.MustCompile(`<li><a href="[^"]*"[^>]*><bdi>([^<]*)</bdi>`).FindAllStringSubmatch(menu, -1) {
		names = append(names, link[1])
	}
	return names
}

// viewNamed returns the stored view with a name.
func (s *site) viewNamed(owner, name string) (found tracker.SavedView) {
	s.t.Helper()
	own, _, err := s.engine.Reader().SavedViews(s.t.Context(), owner)
	noError(s.t, err)
	for _, v := range own {
		if v.Name == name {
			found = v
		}
	}
	return found
}

func TestSavedViewOpensItsQueryAndCanBeChangedByItsOwnerOnly(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/admin/sync", nil)
		s.dispatch(chore{ID: "ours@example.org"})
		s.dispatch(elsewhere{ID: "theirs.example.org"})
		viewer := s.browser("viewer")
		page := s.saveView(viewer, "  My\n jobs ", "service:whm  status:queued", "group", "object", "unknown", "x")
		stored := s.viewNamed("viewer", "My jobs")
		if stored.Query != "status:queued service:whm" || stored.Options != "group=object" || stored.Shared ||
			!strings.Contains(page, "The view “My jobs” was saved.") {
			t.Fatalf("stored %+v\n%s", stored, page)
		}
		if names := viewsMenu(page); !slices.Equal(names, []string{"My jobs"}) ||
			!strings.Contains(page, `href="/admin/sync/jobs?group=object&amp;q=status%3Aqueued+service%3Awhm"`) {
			t.Errorf("the menu has %q", names)
		}
		page = s.get("viewer", "/jobs?group=object&q="+url.QueryEscape(stored.Query)).body
		if !strings.Contains(page, "<title>Jobs: My jobs") || !strings.Contains(page, "Delete view “My jobs”") || strings.Contains(page, "Save view") ||
			!strings.Contains(page, "ours@example.org") || strings.Contains(page, "theirs.example.org") {
			t.Error("the page of the view shows other jobs, or not its forms")
		}
		if names := viewsMenu(s.get("operator", "/jobs").body); names != nil {
			t.Errorf("another person sees %q", names)
		}
		path := fmt.Sprintf("/views/%d/", stored.ID)
		for _, action := range []string{"change", "delete", "unshare"} {
			if got := s.post("operator", path+action, "name", "stolen"); got.status != http.StatusNotFound {
				t.Errorf("%s by another person: status %d", action, got.status)
			}
		}
		s.follow(viewer, path+"change", "name", "Renamed")
		if now := s.viewNamed("viewer", "Renamed"); now.ID != stored.ID || now.Query != stored.Query || now.Options != stored.Options {
			t.Errorf("after the change: %+v", now)
		}
		if page := s.follow(viewer, path+"delete"); !strings.Contains(page, "The view “Renamed” was deleted.") || viewsMenu(page) != nil {
			t.Errorf("after the deletion the menu has %q", viewsMenu(page))
		}
		if page := s.get("operator", "/audit").body; !strings.Contains(page, "save view") || !strings.Contains(page, "change view") ||
			!strings.Contains(page, "delete view") {
			t.Error("the audit log lacks a change of a view")
		}
	})
}

func TestViewsThatCannotBeStoredAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	browser := s.browser("operator")
	for i := range tracker.MaxViews {
		if page := s.saveView(browser, fmt.Sprint("view ", i), "is:stuck", "shared", "yes"); !strings.Contains(page, "was saved") {
			t.Fatalf("view %d is refused", i)
		}
		if i%20 == 0 {
			s.renew()
		}
	}
	for _, c := range []struct{ by, name, q, shared, want string }{
		{"operator", "one more", "is:stuck", "", "You have 50 views, which is the maximum."},
		{"operator", "view 3", "is:stuck", "", "You have a view with this name."},
		{"operator", " \n", "is:stuck", "", "Enter a name for the view."},
		{"operator", strings.Repeat("ö", 61), "is:stuck", "", "The name of a view may have 60 characters."},
		{"operator", "wrong", "servise:whm", "", "The view was not saved because its query has an error."},
		{"other", "shared", "service:cloudflare", "yes", "50 views are shared, which is the maximum."},
	} {
		by := browser
		if c.by != "operator" {
			s.dispatch(elsewhere{ID: "b"})
			by = s.browser(c.by)
		}
		if page := s.saveView(by, c.name, c.q, "shared", c.shared); !strings.Contains(page, c.want) {
			t.Errorf("%q: the page lacks %q", c.name, c.want)
		}
	}
}

// The audit log says that somebody changed a private view to that person and to those who manage everything, and never
// which service the view is about.
func TestChangesOfAPrivateViewAreNotListedForOtherViewers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		for subject, role := range map[string]string{"colleague": admin.RoleViewer, "author": admin.RoleOperator} {
			noError(t, policy.Grant(t.Context(), db.DB, subject, role))
		}
		noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "narrow", Service: "whm", Permission: admin.PermissionView}))
		s.dispatch(chore{ID: "a"})
		s.dispatch(elsewhere{ID: "b"})
		for _, form := range [][]string{
			{"name", "mine", "q", "service:whm"},
			{"name", "ours", "q", "service:whm", "shared", "yes"},
		} {
			if got := s.post("author", "/views", form...); got.status != http.StatusSeeOther {
				t.Fatalf("%q: status %d", form, got.status)
			}
		}
		mine, ours := s.viewNamed("author", "mine").ID, s.viewNamed("author", "ours").ID
		s.post("author", fmt.Sprintf("/views/%d/change", mine), "name", "renamed")
		for subject, lists := range map[string][2]bool{"author": {true, true}, "operator": {true, true}, "colleague": {false, true}, "narrow": {false, true}} {
			for _, path := range []string{"/audit", "/audit.csv"} {
				page := s.get(subject, path).body
				private, shared := strings.Contains(page, fmt.Sprintf("view %d", mine)), strings.Contains(page, fmt.Sprintf("view %d, shared", ours))
				if private != lists[0] || shared != lists[1] {
					t.Errorf("%s of %s lists the private view: %t, the shared one: %t; want %v\n%s", path, subject, private, shared, lists, page)
				}
			}
		}
		entries, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Subject: "author"})
		noError(t, err)
		for _, e := range entries {
			if !strings.HasSuffix(e.Action, "_view") {
				continue
			}
			want := map[bool]string{true: "whm", false: "*"}[e.Detail == fmt.Sprintf("view %d, shared", ours)]
			if e.Service != want {
				t.Errorf("%s of %s has the service %s, want %s", e.Action, e.Detail, e.Service, want)
			}
		}
		s.post("author", fmt.Sprintf("/views/%d/change", ours), "name", "ours") // now private, which those who had it may know
		if page := s.get("narrow", "/audit").body; !strings.Contains(page, "change view") {
			t.Error("who was offered a shared view does not see that it is private now")
		}
	})
}

// A shared view shows its query, so it is offered to those only who may see what the query names.
func TestSharedViewIsOfferedToWhoMaySeeWhatItNamesAndGivesNoRights(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		shared := map[string]string{
			"all":      "status:queued",
			"host":     "service:qhost",
			"beta":     "service:qhost instance:qbeta",
			"not beta": "-instance:qbeta",
			"dns":      "service:qdns",
		}
		for name, q := range shared {
			if got := w.post("operator", "/views", "name", name, "q", q, "shared", "yes"); got.status != http.StatusSeeOther {
				t.Fatalf("%s: status %d", name, got.status)
			}
		}
		for person, want := range map[string][]string{
			"viewer":         {"all", "beta", "dns", "host", "not beta"},
			"dns-operator":   {"all", "dns"},
			"alpha-operator": {"all", "host"},
			"not-beta":       {"all", "dns", "host"},
			"beta-reader":    {"all", "beta", "dns", "host", "not beta"},
		} {
			page := w.get(person, "/jobs").body
			if got := viewsMenu(page); !slices.Equal(got, want) {
				t.Errorf("%s is offered %q, want %q", person, got, want)
			}
			list := w.get(person, "/jobs?q="+url.QueryEscape(shared["all"])).body
			for _, at := range w.places {
				for _, p := range w.persons {
					if p.name == person && strings.Contains(list, targetOf(at, "queued")) != p.views(at) {
						t.Errorf("%s opens the shared view and sees %s/%s: %t", person, at.service, at.instance, !p.views(at))
					}
				}
			}
		}
		id := w.viewNamed("operator", "host").ID
		for person, want := range map[string]int{"dns-operator": 404, "alpha-operator": 403, "viewer": 403, "not-beta": 403, "beta-reader": 403} {
			if got := w.post(person, fmt.Sprintf("/views/%d/unshare", id)); got.status != want {
				t.Errorf("%s stops sharing: status %d, want %d", person, got.status, want)
			}
			if got := w.post(person, fmt.Sprintf("/views/%d/delete", id)); got.status != want {
				t.Errorf("%s deletes: status %d, want %d", person, got.status, want)
			}
		}
		noError(t, policy.Grant(t.Context(), db.DB, "second", admin.RoleOperator))
		page := w.get("second", "/jobs?q=service:qhost").body
		if !strings.Contains(page, "Stop sharing “host”") {
			t.Error("who may share the view is not offered to stop sharing it")
		}
		if got := w.post("second", fmt.Sprintf("/views/%d/unshare", id)); got.status != http.StatusSeeOther {
			t.Errorf("stop sharing: status %d", got.status)
		}
		if v := w.viewNamed("operator", "host"); v.ID != id || v.Shared {
			t.Errorf("afterwards its owner has %+v, want the view unshared", v)
		}
	})
}

func TestViewWhoseQueryHasAnErrorSaysSoAndListsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "someone@example.org"})
	s.saveView(s.browser("operator"), "Old", "status:queued", "shared", "yes")
	noError(t, s.db.Exec("UPDATE nawasync_saved_views SET query = 'colour:red'").Error)
	page := s.get("operator", "/jobs").body
	link := regexp.MustCompile(`href="([^"]*)"><bdi>Old</bdi></a> <span class="muted">shared</span> <span class="badge bad">query has an error</span>`).
		FindStringSubmatch(page)
	if link == nil {
		t.Fatalf("the menu does not mark the view:\n%s", page)
	}
	got := s.get("operator", strings.ReplaceAll(link[1], "&amp;", "&"))
	if got.status != http.StatusUnprocessableEntity || strings.Contains(got.body, "someone@example.org") || !strings.Contains(got.body, "Delete view “Old”") {
		t.Errorf("the view answers %d and lists jobs, or cannot be deleted", got.status)
	}
	if names := viewsMenu(s.get("other", "/jobs").body); names != nil {
		t.Errorf("who does not see everything is offered %q", names)
	}
}

func TestListIsShownWithoutTheSavedViewsIfTheyCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "someone@example.org"})
	noError(t, s.db.Exec("DROP TABLE nawasync_saved_views").Error)
	got := s.get("operator", "/jobs?q=status:queued")
	if got.status != http.StatusOK || !strings.Contains(got.body, "someone@example.org") ||
		!strings.Contains(got.body, "The saved views could not be read in time.") ||
		strings.Contains(got.body, "Save view") {
		t.Errorf("status %d\n%s", got.status, got.body)
	}
}
