package admin_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestListsExportsAndCountsHaveExactlyWhatEachSubjectMayView(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		for _, p := range w.persons {
			if !w.viewsSomething(p, "") {
				continue
			}
			visible := 0
			for _, at := range w.places {
				if p.views(at) {
					visible++
				}
				for path, what := range map[string]string{
					"/jobs": "queued", "/jobs.json": "cancelled", "/jobs.csv": "queued", "/jobs?q=status:queued": "queued", "/audit": "reason",
				} {
					if got := strings.Contains(w.get(p.name, path).body, targetOf(at, what)); got != p.views(at) {
						t.Errorf("GET %s of %s contains %s: %v", path, p.name, targetOf(at, what), got)
					}
				}
			}
			for _, count := range countsOf(w.get(p.name, "/jobs").body) {
				if count > 2*visible {
					t.Errorf("/jobs of %s counts %d jobs, but %d are visible", p.name, count, 2*visible)
				}
			}
			var health struct {
				Totals struct {
					Ended int `json:"ended"`
				} `json:"totals"`
				Alerts []struct {
					Text string `json:"text"`
				} `json:"alerts"`
			}
			noError(t, json.Unmarshal([]byte(w.get(p.name, "/health.json").body), &health))
			if health.Totals.Ended != visible {
				t.Errorf("/health.json of %s counts %d ended jobs, want %d", p.name, health.Totals.Ended, visible)
			}
			held := 0
			for _, a := range health.Alerts {
				if strings.Contains(a.Text, "is held") {
					held++
				}
			}
			if held != visible {
				t.Errorf("the health page of %s reports %d held syncs, want %d", p.name, held, visible)
			}
			metrics := w.get(p.name, "/metrics").body
			if got := sumMetric(t, metrics, `nawasync_jobs_ended_total{outcome="cancelled"`); got != visible {
				t.Errorf("/metrics of %s counts %d ended jobs, want %d", p.name, got, visible)
			}
			if got := sumMetric(t, metrics, "nawasync_jobs_queued{"); got != visible {
				t.Errorf("/metrics of %s counts %d queued jobs, want %d", p.name, got, visible)
			}
			if got := sumMetric(t, metrics, "nawasync_syncs_held{"); got != visible {
				t.Errorf("/metrics of %s counts %d held syncs, want %d", p.name, got, visible)
			}
		}
	})
}

// countsOf returns the counts of the tabs of a list.
func countsOf(page string) (list []int) {
	for _, found := range regexp.MustCompile(`<span class="count">(\d+)</span>`).FindAllStringSubmatch(page, -1) {
		n, _ := strconv.Atoi(found[1])
		list = append(list, n)
	}
	return list
}

// sumMetric adds up the samples whose lines begin with a text.
func sumMetric(t *testing.T, metrics, begin string) (sum int) {
	t.Helper()
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, begin) {
			n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]))
			noError(t, err)
			sum += n
		}
	}
	return sum
}

// The test compares random queries of persons with a look at all jobs in memory.
func TestRandomQueriesFindExactlyTheVisibleJobsThatMatch(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 40 {
			w.dispatch(placed{placeNames[random.IntN(len(placeNames))], fmt.Sprintf("more-%d.example", i)})
		}
		page, err := w.engine.Reader().Search(t.Context(), tracker.Search{Limit: 500})
		noError(t, err)
		persons := slices.DeleteFunc(slices.Clone(w.persons), func(p person) bool { return !w.viewsSomething(p, "") })
		for range 400 {
			p, q := persons[random.IntN(len(persons))], randomQuery(random)
			var want []int64
			for _, job := range page.Jobs {
				if p.may(admin.PermissionView, job.Service, job.Instance) && q.matches(job) {
					want = append(want, job.ID)
				}
			}
			if got := w.pagedIDs(p.name, q.text()); !slices.Equal(got, want) {
				t.Fatalf("%q of %s finds %v, want %v", q.text(), p.name, got, want)
			}
		}
	})
}

// pagedIDs returns the ids of all pages of a query, newest first.
func (w *world) pagedIDs(subject, query string) (ids []int64) {
	w.t.Helper()
	for before := int64(0); ; {
		var page struct {
			Jobs []struct {
				ID int64 `json:"id"`
			} `json:"jobs"`
			Older int64 `json:"older"`
		}
		path := "/jobs.json?" + url.Values{"q": {query}, "n": {"25"}, "before": {fmt.Sprint(before)}}.Encode()
		answer := w.get(subject, path)
		if answer.status != http.StatusOK {
			w.t.Fatalf("GET %s: status %d", path, answer.status)
		}
		noError(w.t, json.Unmarshal([]byte(answer.body), &page))
		for _, job := range page.Jobs {
			ids = append(ids, job.ID)
		}
		if before = page.Older; before == 0 {
			return ids
		}
		if len(page.Jobs) != 25 { // hidden jobs take no place on a page
			w.t.Fatalf("GET %s: %d jobs on a page before the last one", path, len(page.Jobs))
		}
	}
}

// randomTerm is a term of a query, with the property of a job that it tests.
type randomTerm struct {
	field  string
	values []string
	not    bool
	value  func(*tracker.Job) string
}

type randomTerms []randomTerm

func randomQuery(random *rand.Rand) (list randomTerms) {
	fields := []randomTerm{
		{field: "status", values: []string{"queued", "cancelled", "failed"}, value: func(j *tracker.Job) string { return string(j.Status) }},
		{field: "service", values: []string{"qhost", "qdns", "other"}, value: func(j *tracker.Job) string { return j.Service }},
		{field: "instance", values: placeNames, value: func(j *tracker.Job) string { return j.Instance }},
		{field: "type", values: []string{"domain", "zone"}, value: func(j *tracker.Job) string { return j.Type }},
		{field: "target", values: []string{"queued.qhost.qbeta.example", "more-3.example", "more-4.example"}, value: func(j *tracker.Job) string { return j.TargetID }},
		{field: "by", values: []string{"user:7", "nobody"}, value: func(j *tracker.Job) string { return j.TriggeredBy }},
	}
	random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	for _, f := range fields[:random.IntN(4)] {
		values := slices.Clone(f.values)
		random.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		f.values, f.not = values[:1+random.IntN(min(2, len(values)))], random.IntN(4) == 0
		list = append(list, f)
	}
	return list
}

func (list randomTerms) text() string {
	var parts []string
	for _, f := range list {
		text := f.field + ":" + strings.Join(f.values, ",")
		if f.not {
			text = "-" + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func (list randomTerms) matches(j *tracker.Job) bool {
	return !slices.ContainsFunc(list, func(f randomTerm) bool { return slices.Contains(f.values, f.value(j)) == f.not })
}

func TestPauseOfAServiceIsShownWithoutReasonToThoseWhoMayViewOneInstance(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		noError(t, w.engine.Pause(t.Context(), "qhost", "", nawasync.PauseOptions{By: "someone", Reason: "qbeta moves"}))
		noError(t, w.engine.Pause(t.Context(), "qhost", "qbeta", nawasync.PauseOptions{By: "someone", Reason: "qbeta has moved"}))
		noError(t, w.engine.Pause(t.Context(), "qhost", "qgroup", nawasync.PauseOptions{By: "someone", Reason: "qgroup rests"}))
		const service, beta, group = "qhost is paused by someone", "qhost on qbeta is paused", "qhost on qgroup is paused"
		for name, want := range map[string][]string{
			"operator":       {service, beta, group, "qbeta moves", "qbeta has moved", "qgroup rests"},
			"alpha-operator": {service},
			"group-operator": {service, group, "qgroup rests"},
			"one-operator":   {service, group}, // which stops qgroup/one
			"not-beta":       {service, group, "qgroup rests"},
			"dns-operator":   {},
		} {
			for _, path := range []string{"/", "/services/qhost", "/audit"} {
				if path == "/audit" {
					w.renew() // which finds the instances again
				}
				body := w.get(name, path).body
				texts := []string{service, beta, group, "qbeta moves", "qbeta has moved", "qgroup rests"}
				if path == "/audit" {
					texts = texts[3:]
				}
				for _, text := range texts {
					if got := strings.Contains(body, text); got != slices.Contains(want, text) {
						t.Errorf("GET %s of %s contains %q: %v", path, name, text, got)
					}
				}
			}
		}
	})
}

func TestSearchTellsNothingAboutHiddenJobs(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		var hidden place
		for _, at := range w.places {
			if at.instance == "qbeta" {
				hidden = at
			}
		}
		for _, name := range []string{"alpha-operator", "dns-operator", "not-beta"} {
			missing := w.get(name, "/jobs.json?q=id:999999999").body
			if got := w.get(name, fmt.Sprintf("/jobs.json?q=id:%d", hidden.queued.ID)).body; got != missing {
				t.Errorf("the answer to %s about a hidden job differs from that about a missing one:\n%s\n%s", name, got, missing)
			}
			for _, q := range []string{"is:deleted", "ended:1d", "service:qhost", "type:domain", "status:queued", "error:x"} {
				if got := w.get(name, "/jobs.json?"+url.Values{"q": {q}}.Encode()).body; !strings.Contains(got, `"searched": 0`) {
					t.Errorf("the answer to %s about %s counts jobs:\n%s", name, q, got)
				}
			}
		}
	})
}

func TestBulkRunsOfOthersAreHiddenFromThoseWhoDoNotSeeEverything(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		noError(t, admin.Register(w.engine, w.enforcer))
		_, _, path := w.startBulkRun(w.browser("operator"), "/bulk?action=cancel&all=1&q=instance:qbeta", url.Values{"reason": {"qbeta is sold"}})
		id := strings.TrimPrefix(path, "/bulk/")
		for _, name := range []string{"not-beta", "alpha-operator"} {
			for _, path := range []string{path, "/jobs/" + id, "/jobs/" + id + ".json", "/jobs.json?q=id:" + id} {
				if got := w.get(name, path); strings.Contains(got.body, "qbeta is sold") || got.status == http.StatusOK && !strings.Contains(path, "q=") {
					t.Errorf("GET %s of %s: status %d\n%s", path, name, got.status, got.body)
				}
			}
			for _, path := range []string{"/bulk", "/audit", "/jobs.csv", "/"} {
				if got := w.get(name, path).body; strings.Contains(got, "qbeta is sold") || strings.Contains(got, "bulk cancel") {
					t.Errorf("GET %s of %s shows the run of another operator", path, name)
				}
			}
			if got := w.post(name, "/jobs/"+id+"/cancel", "reason", "x"); got.status != http.StatusNotFound {
				t.Errorf("%s cancels the run of another operator: status %d", name, got.status)
			}
		}
		own := w.startedBy("alpha-operator")
		if got := w.get("alpha-operator", own); got.status != http.StatusOK {
			t.Errorf("the own run: status %d", got.status)
		}
		if got := w.get("alpha-operator", "/bulk").body; !strings.Contains(got, own) {
			t.Errorf("the list of runs lacks the own one:\n%s", got)
		}
	})
}

// startedBy starts a run as a subject and returns the path of its page.
func (w *world) startedBy(subject string) string {
	w.t.Helper()
	_, _, path := w.startBulkRun(w.browser(subject), "/bulk?action=cancel&all=1&q=status:queued", url.Values{"reason": {"tidy"}})
	return path
}

func TestOpenHoldsOfAnInstanceAreListedHoweverManyOthersThereAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	for i := range 30 {
		noError(t, w.db.Exec(`INSERT INTO nawasync_held (service, type, instance, open_key, status, job_id, snap_table, rows_known, rows_absent, rows_limit, created_at, arguments)
 VALUES ('qhost', 'domain', 'qbeta', ?, 'open', 1, 'rows', 10, 9, 1, 0, '{}')`, fmt.Sprint("later", i)).Error)
	}
	if got := w.get("operator", "/services/qhost?instance=qalpha").body; !strings.Contains(got, "row.qhost.qalpha.example") {
		t.Error("the page of the instance lacks its open hold")
	}
}

func TestBulkRunChangesOnlyInstancesThatTheOperatorMayManage(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		noError(t, admin.Register(w.engine, w.enforcer))
		w.start()
		for _, name := range []string{"group-operator", "beta-reader"} {
			browser := w.browser(name)
			_, _, path := w.startBulkRun(browser, "/bulk?action=delete&all=1&q=status:cancelled", url.Values{"reason": {"tidy"}})
			w.until(func() bool { return endedWell(w.get(name, path).body) })
			for _, p := range w.persons {
				if p.name != name {
					continue
				}
				for _, at := range w.places {
					job, err := w.engine.Reader().Get(t.Context(), at.cancelled.ID)
					noError(t, err)
					if deleted := !job.DeletedAt.IsZero(); deleted != p.may(admin.PermissionManage, at.service, at.instance) {
						t.Errorf("the run of %s deleted the job of %s/%s: %v", name, at.service, at.instance, deleted)
					}
					noError(t, db.Exec("UPDATE nawasync_jobs SET deleted_at = NULL WHERE id = ?", at.cancelled.ID).Error)
				}
			}
		}
	})
}

func TestBulkRunLeavesOutInstancesThatWereDeniedMeanwhile(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		noError(t, admin.Register(w.engine, w.enforcer))
		w.start()
		noError(t, w.engine.Pause(t.Context(), "nawasync", "", nawasync.PauseOptions{By: "test", Reason: "not yet"}))
		_, _, path := w.startBulkRun(w.browser("operator"), "/bulk?action=delete&all=1&q=status:cancelled", url.Values{"reason": {"tidy"}})
		noError(t, policy.Add(t.Context(), db.DB,
			policy.Rule{Subject: "operator", Service: "qhost", Instance: "qalpha", Permission: admin.PermissionManage, Deny: true}))
		_, err := w.engine.Resume(t.Context(), "nawasync", "", nawasync.OperatorOptions{})
		noError(t, err)
		w.until(func() bool { return endedWell(w.get("operator", path).body) })
		for _, at := range w.places {
			job, err := w.engine.Reader().Get(t.Context(), at.cancelled.ID)
			noError(t, err)
			if deleted := !job.DeletedAt.IsZero(); deleted != (at.instance != "qalpha") {
				t.Errorf("the run deleted the job of %s/%s: %v", at.service, at.instance, deleted)
			}
		}
	})
}

func TestPolicyRulesCoverInstancesByWholeComponentsAndADenialWins(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		view := admin.PermissionView
		noError(t, policy.Add(t.Context(), db.DB,
			policy.Rule{Subject: "ann", Service: "whm", Instance: "web", Permission: view},
			policy.Rule{Subject: "bob", Service: admin.Every, Permission: view},
			policy.Rule{Subject: "bob", Service: "whm", Instance: "web/1", Permission: view, Deny: true},
			policy.Rule{Subject: policy.Role("team"), Service: "dns", Instance: admin.Every, Permission: view}))
		noError(t, policy.Grant(t.Context(), db.DB, "ann", "team"))
		enforcer, err := policy.NewEnforcer(t.Context(), db.DB)
		noError(t, err)
		for _, c := range []struct {
			subject, service, instance string
			want                       bool
		}{
			{"ann", "whm", "web", true},
			{"ann", "whm", "web/1", true},
			{"ann", "whm", "web/1/x", true},
			{"ann", "whm", "web2", false},
			{"ann", "whm", "we", false},
			{"ann", "whm", "", false},
			{"ann", "whm", admin.Every, false},
			{"ann", "dns", "", true},
			{"ann", "dns", "any", true},
			{"ann", "dns", admin.Every, true},
			{"ann", admin.Every, admin.Every, false},
			{"bob", "whm", "web", true},
			{"bob", "whm", "web/1", false},
			{"bob", "whm", "web/1/x", false},
			{"bob", "whm", "web/10", true},
			{"bob", "whm", admin.Every, false},
			{"bob", "dns", admin.Every, true},
			{"bob", admin.Every, admin.Every, false},
			{"team", "dns", "", false},
			{"role:team", "dns", "", false},
		} {
			if got, err := enforcer.Enforce(c.subject, c.service, c.instance, view); err != nil || got != c.want {
				t.Errorf("%s may view %s/%s: %v, %v, want %v", c.subject, c.service, c.instance, got, err, c.want)
			}
		}
		before, err := enforcer.Refresh(t.Context())
		noError(t, err)
		noError(t, policy.Remove(t.Context(), db.DB, policy.Rule{Subject: "bob", Service: "whm", Instance: "web/1", Permission: view, Deny: true}))
		if after, err := enforcer.Refresh(t.Context()); err != nil || after == before {
			t.Errorf("the version is still %s, %v", after, err)
		}
		if got, err := enforcer.Enforce("bob", "whm", "web/1", view); err != nil || !got {
			t.Errorf("bob may view whm/web/1 after the denial was removed: %v, %v", got, err)
		}
		for _, wrong := range []policy.Rule{
			{Subject: "ann", Service: "whm", Instance: "web*", Permission: view},
			{Subject: "ann", Service: "whm", Instance: "web/", Permission: view},
			{Subject: "ann", Service: "wh*", Permission: view},
			{Subject: "", Service: "whm", Permission: view},
			{Subject: "ann", Service: "whm"},
			{Subject: "ann", Service: "whm", Permission: "*", Deny: true},
		} {
			if err := policy.Add(t.Context(), db.DB, wrong); err == nil {
				t.Errorf("the rule %+v was added", wrong)
			}
		}
	})
}
