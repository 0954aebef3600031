package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestPagesNameTheLimitScopeAndWhatItAffects(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		contains := func(what, page string, texts ...string) {
			t.Helper()
			for _, text := range texts {
				if !strings.Contains(page, text) {
					t.Errorf("%s does not contain %q:\n%s", what, text, page)
				}
			}
		}
		store := enginetest.Store(w.engine)
		_, err := store.Park(t.Context(), jobstore.Refusal{Service: "qhost", Instance: "qgroup", Class: fault.ClassCredentials, Reason: "HTTP 401"})
		noError(t, err)
		contains("the overview", w.get("operator", "/").body, "qhost on qgroup is parked because the remote refuses the credentials: credentials: HTTP 401",
			"in 2 instances. Running jobs continue.", "Renew the credentials, then resume.")
		for _, path := range []string{"/services/qhost", "/services/qhost?instance=qgroup%2Fone", "/services/qhost?instance=qgroup"} {
			contains(path, w.get("operator", path).body, "qhost on qgroup is parked because the remote refuses the credentials.", "in 2 instances",
				"One job tries the credentials at", "HTTP 401", `name="instance" value="qgroup"`)
		}
		for _, path := range []string{"/services/qhost?instance=qgroup2", "/services/qhost?instance=qalpha"} {
			if body := w.get("operator", path).body; strings.Contains(body, "is parked") {
				t.Errorf("%s shows the park of another limit scope:\n%s", path, body)
			}
		}

		if got := w.post("operator", "/services/qhost/resume", "instance", "qgroup"); got.status != 303 {
			t.Fatalf("resume: %d %s", got.status, got.body)
		}
		_, err = store.Park(
			t.Context(),
			jobstore.Refusal{Service: "qhost", Instance: "qgroup", Class: fault.ClassRateLimited, Reason: "HTTP 429", Wait: time.Hour, Asked: true},
		)
		noError(t, err)
		contains("the overview", w.get("operator", "/").body, "qhost on qgroup is parked until", "HTTP 429", "which Resume does not end")
		contains("the service", w.get("operator", "/services/qhost").body, "The remote has asked to wait until")
		noError(t, w.engine.Pause(t.Context(), "qhost", "qgroup", nawasync.PauseOptions{By: "ann", Reason: "the rack moves"}))
		_, err = w.engine.Resume(t.Context(), "qhost", "qgroup", nawasync.OperatorOptions{})
		noError(t, err)
		contains("the service after a pause", w.get("operator", "/services/qhost").body, "qhost on qgroup is parked until")
	})
}

func TestLimitScopeOfAnInstanceCanBePausedOnItsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	noError(t, w.engine.Pause(t.Context(), "qhost", "qgroup/one", nawasync.PauseOptions{Reason: "x"}))
	_, err := w.engine.Resume(t.Context(), "qhost", "qgroup/one", nawasync.OperatorOptions{})
	noError(t, err)
	const page = "/services/qhost?instance=qgroup%2Fone"
	if body := w.get("operator", page).body; !strings.Contains(body, `<option value="qgroup">qhost on qgroup</option>`) {
		t.Errorf("the page offers no pause of the group:\n%s", body)
	}
	if body := w.get("one-operator", page).body; strings.Contains(body, `<option value="qgroup">`) {
		t.Errorf("the page offers a pause of the group to an operator of one instance:\n%s", body)
	}
	for name, want := range map[string]int{"one-operator": 404, "operator": 303} {
		if got := w.post(name, "/services/qhost/pause", "instance", "qgroup", "reason", "the rack moves"); got.status != want {
			t.Errorf("pause by %s: %d, want %d\n%s", name, got.status, want, got.body)
		}
	}
	if got := w.post("operator", "/services/qhost/pause", "instance", "qgro", "reason", "x"); got.status != 404 {
		t.Errorf("pause of a scope without instances: %d, want 404", got.status)
	}
}

func TestPagesSaySinceWhenARemoteIsUnreachableAndWhenAJobTriesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	store := enginetest.Store(w.engine)
	_, err := store.Park(t.Context(), jobstore.Refusal{Service: "qhost", Instance: "qgroup", Class: fault.ClassUnavailable, Reason: "connection refused"})
	noError(t, err)
	shows := func(subject, path string, texts ...string) {
		t.Helper()
		page := w.get(subject, path).body
		for _, text := range texts {
			if !strings.Contains(page, text) {
				t.Errorf("%s does not contain %q:\n%s", path, text, page)
			}
		}
	}
	i := slices.IndexFunc(w.places, func(p place) bool { return p.instance == "qgroup/one" })
	const again = "One job tries again at "
	shows(
		"operator",
		"/",
		"qhost on qgroup has been unreachable since ",
		": unavailable: connection refused",
		"or when you resume; the others start once the remote answers.",
	)
	shows("operator", "/health.json", "qhost on qgroup has been unreachable since ", again)
	shows("operator", "/services/qhost", "qhost on qgroup has been unreachable since ", again, "connection refused")
	shows("operator", "/services/qhost?instance=qgroup%2Fone", "unreachable", "The jobs wait until one of them gets an answer.")
	shows("operator", fmt.Sprintf("/jobs/%d", w.places[i].queued.ID), "The job is waiting because qhost on qgroup has been unreachable since ", again)
	got := w.post("operator", "/services/qhost/resume", "instance", "qgroup")
	if got.status != 303 {
		t.Fatalf("resume: %d %s", got.status, got.body)
	}
	scopes, err := store.Scopes(t.Context())
	if err != nil || len(scopes) != 1 || scopes[0].Until.After(store.Now()) {
		t.Errorf("after Resume the scopes are %+v, error %v; want a probe that may start", scopes, err)
	}
}
