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
	"github.com/nawasara/nawasync/tracker"
)

// The attacker manages qhost/qalpha. Whatever it sends, nothing of qhost/qbeta is shown or changed.
func TestCraftedRequestsReachNoOtherInstance(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		noError(t, admin.Register(w.engine, w.enforcer))
		var alpha, beta place
		for _, at := range w.places {
			switch at.instance {
			case "qalpha":
				alpha = at
			case "qbeta":
				beta = at
			}
		}
		const attacker = "alpha-operator"
		before := w.rows()
		for _, action := range []string{"pause", "resume"} { // not even those who may do everything pause what does not exist
			got := w.post("operator", "/services/qhost/"+action, "instance", "qgroup/none", "reason", "x")
			if got.status != http.StatusNotFound {
				t.Errorf("%s of an instance that does not exist: status %d", action, got.status)
			}
		}
		names := []string{
			"qbeta", "QBETA", "Qbeta", "qbeta ", " qbeta", "qbeta/", "qalpha/../qbeta", "qbeta%00", "qb\u0435ta", "qbetá", "*", "%",
			"q_eta", "qalpha' OR '1'='1", "qalpha\nqbeta", "qalpha,qbeta", "qgroup", "qgroup/one", "", "ｑbeta",
		}
		for _, name := range names {
			for _, path := range []string{
				"/services/qhost?" + url.Values{"instance": {name}}.Encode(),
				"/services/qhost?instance=qalpha&" + url.Values{"instance": {name}}.Encode(),
				"/target?" + url.Values{"service": {"qhost"}, "type": {"domain"}, "instance": {name}, "id": {beta.queued.TargetID}}.Encode(),
				"/target?" + url.Values{"service": {"QHOST"}, "type": {"domain"}, "instance": {name}, "id": {beta.queued.TargetID}}.Encode(),
				"/jobs.json?" + url.Values{"q": {`instance:"` + name + `"`}}.Encode(),
				"/jobs.csv?" + url.Values{"q": {`instance:"` + name + `" status:queued`}}.Encode(),
			} {
				w.leaksNothing(t, path, w.get(attacker, path), beta)
			}
			for _, action := range []string{"pause", "resume", "sync", "plan"} {
				w.renew()
				got := w.request(attacker, http.MethodPost, "/services/qhost/"+action, url.Values{"instance": {name}, "reason": {"x"}, "type": {"domain"}}, nil)
				if got.status == http.StatusSeeOther && (action != "sync" && action != "plan" || !strings.HasPrefix(name, "qalpha/")) {
					t.Errorf("POST %s with the instance %q: status %d", action, name, got.status)
				}
				w.leaksNothing(t, action+" "+name, got, beta)
				// The field twice, and in the URL.
				w.request(attacker, http.MethodPost, "/services/qhost/"+action+"?instance=qalpha", url.Values{"instance": {name}, "reason": {"x"}}, nil)
				w.request(attacker, http.MethodPost, "/services/qhost/"+action, url.Values{"instance": {name, "qalpha"}, "reason": {"x"}}, nil)
			}
		}
		w.renew()
		for _, id := range []int64{beta.queued.ID, beta.cancelled.ID} {
			for _, form := range []string{"%d", "+%d", "0%d", "%d.json", "%d%%20", " %d", "%d/../" + fmt.Sprint(alpha.queued.ID)} {
				path := "/jobs/" + url.PathEscape(fmt.Sprintf(form, id))
				w.leaksNothing(t, path, w.get(attacker, path), beta)
				w.leaksNothing(t, path, w.post(attacker, path+"/cancel", "reason", "x", "service", "qhost", "instance", "qalpha"), beta)
			}
			for _, path := range []string{
				fmt.Sprintf("/jobs.json?q=id:%d", id), fmt.Sprintf("/jobs.csv?q=id:%d", id), fmt.Sprintf("/jobs.json?before=%d", id+1),
				fmt.Sprintf("/jobs.json?after=%d", id-1), fmt.Sprintf("/jobs.csv?before=%d", id+1),
				fmt.Sprintf("/jobs?before=%d", id+1), fmt.Sprintf("/jobs?q=retry:%d", id), fmt.Sprintf("/audit?before=%d", id+1000),
				fmt.Sprintf("/bulk?action=cancel&id=%d&id=%d", id, alpha.queued.ID), fmt.Sprintf("/bulk?action=delete&id=%d", id),
				fmt.Sprintf("/bulk/%d", id), "/audit?subject=someone", "/audit?action=cancel", "/jobs?q=by:user:7",
				"/jobs?q=" + url.QueryEscape("-instance:qalpha"), "/jobs?q=" + url.QueryEscape(beta.queued.TargetID),
				"/jobs?q=" + url.QueryEscape("target:"+beta.queued.TargetID),
				"/jobs.json?q=" + url.QueryEscape("target:"+beta.queued.TargetID+" is:deleted"), "/metrics", "/health.json?window=7d",
			} {
				w.leaksNothing(t, path, w.get(attacker, path), beta)
			}
		}
		for _, action := range []string{"release", "reject"} {
			if got := w.post(attacker, fmt.Sprintf("/held/%d/%s", beta.hold, action), "instance", "qalpha"); got.status != http.StatusNotFound {
				t.Errorf("%s of a hidden hold: status %d", action, got.status)
			}
		}
		if after := w.rows(); !slices.Equal(before, after) {
			t.Errorf("the attacker has changed something:\n%s\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
		// A bulk run over a list of ids with hidden ones changes only its own.
		w.start()
		_, _, path := w.startBulkRun(w.browser(attacker), fmt.Sprintf("/bulk?action=delete&id=%d&id=%d", beta.cancelled.ID, alpha.cancelled.ID), url.Values{
			"reason": {"x"}, "q": {fmt.Sprintf("id:%d,%d", beta.cancelled.ID, alpha.cancelled.ID)}, "through": {"1000000"},
		})
		w.until(func() bool { return endedWell(w.get(attacker, path).body) })
		w.leaksNothing(t, path, w.get(attacker, path), beta)
		for _, at := range []place{alpha, beta} {
			job, err := w.engine.Reader().Get(t.Context(), at.cancelled.ID)
			noError(t, err)
			if deleted := !job.DeletedAt.IsZero(); deleted != (at.instance == "qalpha") {
				t.Errorf("the job of %s is deleted: %v", at.instance, deleted)
			}
		}
	})
}

// leaksNothing reports texts of a hidden place that the request did not have itself.
func (w *world) leaksNothing(t *testing.T, request string, got answer, hidden place) {
	t.Helper()
	known, err := url.QueryUnescape(request)
	if err != nil {
		known = request
	}
	body := got.body
	if known != "" {
		body = strings.ReplaceAll(body, known, "")
	}
	for _, what := range []string{"queued", "cancelled", "reason", "row"} {
		if text := targetOf(hidden, what); strings.Contains(body, text) && !strings.Contains(known, text) {
			t.Errorf("%s shows the text %s", request, text)
		}
	}
	if strings.Contains(body, hidden.instance) && !strings.Contains(known, hidden.instance) {
		t.Errorf("%s shows the instance %s", request, hidden.instance)
	}
	if got.status >= http.StatusInternalServerError {
		t.Errorf("%s: status %d", request, got.status)
	}
}

// rows returns the state of everything but what concerns qhost/qalpha.
func (w *world) rows() (list []string) {
	w.t.Helper()
	for _, at := range w.places {
		if at.instance == "qalpha" {
			continue
		}
		for _, id := range []int64{at.queued.ID, at.cancelled.ID} {
			job, err := w.engine.Reader().Get(w.t.Context(), id)
			noError(w.t, err)
			list = append(list, fmt.Sprint(id, job.Status, job.DeletedAt, job.CancelAt))
		}
		hold, err := w.engine.Reader().Hold(w.t.Context(), at.hold)
		noError(w.t, err)
		list = append(list, fmt.Sprint(hold.ID, hold.Status))
	}
	scopes, err := w.engine.Reader().Scopes(w.t.Context())
	noError(w.t, err)
	scopes = slices.DeleteFunc(scopes, func(s tracker.Scope) bool { return s.Service == "qhost" && s.Instance == "qalpha" })
	return append(list, fmt.Sprint(scopes))
}
