package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// placed has the arguments of a job of service qhost on any instance.
type placed struct{ Where, ID string }

func (p placed) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "qhost", Type: "domain", Action: "park"}
}
func (p placed) Target() nawasync.Target { return nawasync.Target{Instance: p.Where, ID: p.ID} }

// placedElsewhere has those of a job of service qdns, which has one instance only.
type placedElsewhere struct{ ID string }

func (p placedElsewhere) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "qdns", Type: "zone", Action: "park"}
}
func (p placedElsewhere) Target() nawasync.Target { return nawasync.Target{ID: p.ID} }

// place is an instance of a service with a queued job, a cancelled job and an open hold.
type place struct {
	service, instance string
	queued, cancelled *tracker.Job
	hold              int64
}

// person is a subject with its rights, written down independently of the policies.
type person struct {
	name string
	may  func(permission, service, instance string) bool
}

// world is a site with several instances and persons.
type world struct {
	*site
	places  []place
	persons []person
}

// The instances of service qhost. The names do not occur in the texts of the pages.
var placeNames = []string{"qalpha", "qbeta", "qgroup", "qgroup/one", "qgroup2"}

func newWorld(t *testing.T, db *testdb.Database) *world {
	t.Helper()
	return newWorldOf(t, db, nil)
}

// newWorldOf is newWorld with changes to the engine's configuration.
func newWorldOf(t *testing.T, db *testdb.Database, tune func(*nawasync.Config)) *world {
	t.Helper()
	w := &world{site: newSiteOf(t, db, "", tune, nil)}
	for _, instance := range placeNames {
		w.add(place{service: "qhost", instance: instance}, placed{instance, ""})
	}
	w.add(place{service: "qdns"}, placedElsewhere{})
	all := func(string, string, string) bool { return true }
	w.persons = []person{
		{"", func(string, string, string) bool { return false }},
		{"nobody", func(string, string, string) bool { return false }},
		{"viewer", func(permission, _, _ string) bool { return permission == admin.PermissionView }},
		{"operator", all},
		{"dns-operator", func(_, service, _ string) bool { return service == "qdns" }},
		{"alpha-operator", func(_, service, instance string) bool { return service == "qhost" && instance == "qalpha" }},
		{"group-operator", func(_, service, instance string) bool {
			return service == "qhost" && (instance == "qgroup" || strings.HasPrefix(instance, "qgroup/"))
		}},
		{"one-operator", func(_, service, instance string) bool { return service == "qhost" && instance == "qgroup/one" }},
		// May pause everything of a service of which it sees one instance.
		{"alpha-viewer", func(permission, service, instance string) bool {
			return service == "qhost" && (permission == admin.PermissionService || permission == admin.PermissionView && instance == "qalpha")
		}},
		{"not-beta", func(_, service, instance string) bool {
			return service != "qhost" || instance != "qbeta" && instance != admin.Every
		}},
		{"not-host", func(_, service, _ string) bool { return service != "qhost" }},
		{"beta-reader", func(permission, service, instance string) bool {
			return permission == admin.PermissionView || service != "qhost" || instance != "qbeta" && instance != admin.Every
		}},
		{"revoked", func(string, string, string) bool { return false }},
		{admin.RoleOperator, func(string, string, string) bool { return false }},
	}
	every := []string{admin.PermissionView, admin.PermissionManage, admin.PermissionService}
	ctx, rules := t.Context(), []policy.Rule{}
	rules = append(rules,
		policy.Rule{Subject: "alpha-viewer", Service: "qhost", Permission: admin.PermissionService},
		policy.Rule{Subject: "alpha-viewer", Service: "qhost", Instance: "qalpha", Permission: admin.PermissionView})
	for _, permission := range every {
		rules = append(rules,
			policy.Rule{Subject: "one-operator", Service: "qhost", Instance: "qgroup/one", Permission: permission},
			policy.Rule{Subject: "dns-operator", Service: "qdns", Permission: permission},
			policy.Rule{Subject: "alpha-operator", Service: "qhost", Instance: "qalpha", Permission: permission},
			policy.Rule{Subject: policy.Role("group"), Service: "qhost", Instance: "qgroup", Permission: permission},
			policy.Rule{Subject: "not-beta", Service: "qhost", Instance: "qbeta", Permission: permission, Deny: true},
			policy.Rule{Subject: "not-host", Service: "qhost", Permission: permission, Deny: true},
		)
		if permission != admin.PermissionView {
			rules = append(rules, policy.Rule{Subject: "beta-reader", Service: "qhost", Instance: "qbeta", Permission: permission, Deny: true})
		}
	}
	noError(t, policy.Add(ctx, db.DB, rules...))
	noError(t, policy.Grant(ctx, db.DB, "group-operator", "group"))
	for _, name := range []string{"not-beta", "not-host", "beta-reader", "revoked"} {
		noError(t, policy.Grant(ctx, db.DB, name, admin.RoleOperator))
	}
	if got := w.get("revoked", "/jobs"); got.status != http.StatusOK {
		t.Fatalf("GET /jobs before the right is revoked: status %d", got.status)
	}
	noError(t, policy.Revoke(ctx, db.DB, "revoked", admin.RoleOperator))
	return w
}

// add dispatches the jobs of a place. The arguments say where.
func (w *world) add(p place, where nawasync.Args) {
	w.t.Helper()
	name := func(what string) nawasync.Args {
		id := targetOf(p, what)
		if placed, ok := where.(placed); ok {
			placed.ID = id
			return placed
		}
		return placedElsewhere{id}
	}
	p.queued, p.cancelled = w.dispatch(name("queued")), w.dispatch(name("cancelled"))
	_, err := w.engine.Cancel(w.t.Context(), p.cancelled.ID, nawasync.OperatorOptions{By: "someone", Reason: "because of " + targetOf(p, "reason")})
	noError(w.t, err)
	noError(w.t, w.db.Exec(`INSERT INTO nawasync_held (service, type, instance, open_key, status, job_id, snap_table, rows_known, rows_absent, rows_limit, created_at, arguments)
 VALUES (?, 'domain', ?, ?, 'open', ?, 'rows', 10, 9, 1, ?, '{}')`, p.service, p.instance, p.service+p.instance, p.queued.ID, w.engine.Reader().Now().UnixMicro()).Error)
	noError(w.t, w.db.Raw("SELECT MAX(id) FROM nawasync_held").Row().Scan(&p.hold))
	noError(w.t, w.db.Exec("INSERT INTO nawasync_held_rows (held_id, snap_row, target_id) VALUES (?, 1, ?)", p.hold, targetOf(p, "row")).Error)
	noError(w.t, enginetest.Store(w.engine).SeeSchedule(w.t.Context(), tracker.Schedule{
		Name: scheduleOf(p), Service: p.service, Type: "domain", Action: "park", Instance: p.instance, Spec: "@hourly",
	}, w.engine.Reader().Now()))
	w.places = append(w.places, p)
}

// scheduleOf returns the name of the schedule of a place.
func scheduleOf(p place) string { return targetOf(p, "schedule") }

// targetOf returns a text that only the jobs of a place contain. Unlike the names of instances, none
// is part of another.
func targetOf(p place, what string) string {
	return fmt.Sprintf("%s.%s.%s.example", what, p.service, strings.ReplaceAll(p.instance, "/", "-"))
}

func (p person) views(at place) bool { return p.may(admin.PermissionView, at.service, at.instance) }

// viewsSomething reports whether the person may view a place of a service, or of any service if the name is "".
func (w *world) viewsSomething(p person, service string) bool {
	for _, at := range w.places {
		if p.views(at) && (service == "" || at.service == service) {
			return true
		}
	}
	return false
}

// managesSomething reports whether the person may manage any place.
func (w *world) managesSomething(p person) bool {
	for _, at := range w.places {
		if p.may(admin.PermissionManage, at.service, at.instance) {
			return true
		}
	}
	return false
}

// managesAll reports whether the person may view and manage all places of a service, or every one if the name is "".
func (w *world) managesAll(p person, service string) bool {
	every := admin.Every
	if service != "" {
		every = service
	}
	all := p.may(admin.PermissionManage, every, admin.Every) && p.may(admin.PermissionView, every, admin.Every)
	for _, at := range w.places {
		if service == "" || at.service == service {
			all = all && p.views(at) && p.may(admin.PermissionManage, at.service, at.instance)
		}
	}
	return all
}
