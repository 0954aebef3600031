package admin_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// storeCalls stores calls of the service qhost, as a process that makes them does.
func storeCalls(t *testing.T, store *jobstore.Store, calls ...remotecall.Call) {
	t.Helper()
	const service = "qhost"
	l := remotecall.NewLedger(service, func(text string, _ int) string { return text })
	for _, call := range calls {
		l.Add(t.Context(), call)
	}
	_, err := store.InsertCalls(t.Context(), service, l.Take())
	noError(t, err)
	for {
		n, err := store.RollupCalls(t.Context(), 1000)
		noError(t, err)
		if n < 1000 {
			return
		}
	}
}

func TestPagesShowTheCallsOfTheLimitScopesThatASubjectMayView(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		store := enginetest.Store(w.engine)
		now := w.engine.Reader().Now()
		var calls []remotecall.Call
		for minute := range 6 {
			for i := range 50 {
				call := remotecall.Call{
					Scope: "qalpha", Method: "PATCH", Template: "/quotas/{alpha}", Status: 200, Start: now.Add(time.Duration(minute-6) * time.Minute),
					Duration: 60 * time.Millisecond,
					Left:     int64(1000 - 50*minute - i),
				}
				if i < 2 {
					call.Status, call.Class = 503, "transient"
				}
				calls = append(calls, call)
			}
		}
		calls = append(calls, remotecall.Call{Scope: "qgroup/one", Template: "/quotas/{one}", Status: 200, Start: now, Left: -1})
		storeCalls(t, store, calls...)
		for subject, sees := range map[string][2]bool{"operator": {true, true}, "one-operator": {false, true}} {
			page := text(w.get(subject, "/services/qhost").body)
			for i, template := range []string{"/quotas/{alpha}", "/quotas/{one}"} {
				if strings.Contains(page, template) != sees[i] {
					t.Errorf("the page of %s shows %s: %v", subject, template, !sees[i])
				}
			}
		}
		page := text(w.get("operator", "/services/qhost?instance=qalpha").body)
		for _, want := range []string{
			`PATCH <bdi>/quotas/{alpha}</bdi>`, `class="number">300</td>`, `12 <span class="muted">· transient 12</span>`, "64 ms, 64 ms", "701 <span",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not contain %q:\n%s", want, page)
			}
		}
		usedUp := regexp.MustCompile(`used up in 1\d min( \d+ s)? at this rate`) // 50 calls a minute, until a minute ago
		if !usedUp.MatchString(page) {
			t.Errorf("the page has no forecast:\n%s", page)
		}
		if strings.Contains(page, "/quotas/{one}") {
			t.Error("the page of an instance shows the calls of another limit scope")
		}
		var health struct {
			Services []struct {
				Service string         `json:"service"`
				Quota   *tracker.Quota `json:"quota"`
			} `json:"services"`
		}
		noError(t, json.Unmarshal([]byte(w.get("operator", "/health.json").body), &health))
		for _, s := range health.Services {
			if (s.Service == "qhost") != (s.Quota != nil) || s.Quota != nil && (s.Quota.Left != 701 || s.Quota.Forecast.State != tracker.ForecastUsedUp) {
				t.Errorf("/health.json has the quota %+v of %s", s.Quota, s.Service)
			}
		}
		if page := text(w.get("operator", "/").body); !strings.Contains(page, "701 <span") || !usedUp.MatchString(page) {
			t.Errorf("the overview shows no quota:\n%s", page)
		}
		if page := w.get("one-operator", "/").body; strings.Contains(page, "701") || strings.Contains(page, "Quota left") {
			t.Error("the overview shows the quota of another instance")
		}
		_, err := store.Park(t.Context(), jobstore.Refusal{Service: "qhost", Instance: "qalpha", Wait: time.Hour, Asked: true, Reason: "HTTP 429"})
		noError(t, err)
		if page := w.get("operator", "/services/qhost").body; !strings.Contains(page, "forecast unknown while parked or paused") {
			t.Errorf("the page of a parked limit scope shows a forecast:\n%s", page)
		}
		metrics := scrape(t, w.site, "operator")
		if n := sample(t, metrics, "nawasync_remote_call_seconds", "qhost").GetHistogram().GetSampleCount(); n != 301 {
			t.Errorf("/metrics counts %d calls, want 301", n)
		}
		if n := sample(t, metrics, "nawasync_remote_call_errors_total", "transient", "qhost").GetCounter().GetValue(); n != 12 {
			t.Errorf("/metrics counts %v failed calls, want 12", n)
		}
		for name, template := range map[string]string{"PATCH": "/quotas/{alpha}", "GET": "/quotas/{one}"} {
			h := sample(t, metrics, "nawasync_remote_endpoint_seconds", name, "qhost", template).GetHistogram()
			if want := map[string]uint64{"PATCH": 300, "GET": 1}[name]; h.GetSampleCount() != want || len(h.GetBucket()) != 7 {
				t.Errorf("/metrics counts %d calls of %s in %d buckets, want %d in 7", h.GetSampleCount(), template, len(h.GetBucket()), want)
			}
		}
		failed := sample(t, metrics, "nawasync_remote_endpoint_errors_total", "transient", "PATCH", "qhost", "/quotas/{alpha}")
		if failed.GetCounter().GetValue() != 12 {
			t.Errorf("/metrics counts %v failed calls of an endpoint, want 12", failed)
		}
		if found := scrape(t, w.site, "one-operator")["nawasync_remote_endpoint_seconds"]; found != nil {
			t.Errorf("somebody who may see one instance gets the calls of all: %v", found)
		}
		if n := sample(t, metrics, "nawasync_remote_quota_left", "qhost").GetGauge().GetValue(); n != 701 {
			t.Errorf("/metrics has %v calls left, want 701", n)
		}
	})
}

func TestEndpointsAreOnPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	var calls []remotecall.Call
	for i := range 120 {
		calls = append(calls, remotecall.Call{Scope: "qalpha", Template: fmt.Sprintf("/quotas/%03d", i), Start: w.engine.Reader().Now(), Left: -1})
	}
	storeCalls(t, enginetest.Store(w.engine), calls...)
	seen, path := map[string]bool{}, "/services/qhost"
	for n := 1; ; n++ {
		body := w.get("operator", path).body
		found := regexp.MustCompile(`/quotas/\d\d\d`).FindAllString(body, -1)
		for _, template := range found {
			if seen[template] {
				t.Errorf("%s is on two pages", template)
			}
			seen[template] = true
		}
		link := regexp.MustCompile(`href="([^"#]+)#calls" rel="next"`).FindStringSubmatch(body)
		if link == nil {
			if n != 3 || len(seen) != 120 {
				t.Errorf("%d endpoints on %d pages, want 120 on 3", len(seen), n)
			}
			return
		}
		path = strings.ReplaceAll(link[1], "&amp;", "&")
	}
}

func TestTheCallsOfAnAttemptAreOnThePageOfItsJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	job := s.await(s.dispatch(chore{ID: "a", How: "broken"}).ID, tracker.StatusFailed)
	at := time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC).UnixMicro()
	call := fmt.Sprintf(`{"m":"POST","t":"/pops/<b>","s":503,"c":"transient","at":%d,"d":39000}`, at)
	lost := fmt.Sprintf(`{"m":"GET","t":"/pops","c":"timeout","at":%d,"d":39000}`, at)
	noError(t, s.db.Exec("UPDATE nawasync_attempts SET calls = ? WHERE job_id = ?",
		`{"calls":[`+strings.Repeat(call+",", 26)+lost+`],"more":4}`, job.ID).Error)
	page := s.jobPage("viewer", job.ID)
	for _, want := range []string{
		`<span class="link nowrap">31 calls</span>`, `POST <bdi>/pops/&lt;b&gt;</bdi>`, "503 transient</td>", "39 ms</td>", "12:00:01</time>", "4 more calls</td>",
		`class="long">GET <bdi>/pops</bdi></td>`, ">timeout</td>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not contain %q:\n%s", want, page)
		}
	}
	var document struct {
		Attempts []tracker.Attempt `json:"attempts"`
	}
	body := s.get("viewer", fmt.Sprintf("/jobs/%d.json", job.ID)).body
	noError(t, json.Unmarshal([]byte(body), &document))
	if a := document.Attempts[0]; len(a.Calls) != 27 || a.MoreCalls != 4 || a.Calls[26].Class != "timeout" || !strings.Contains(body, `"duration_ms": 39`) {
		t.Errorf("the document has %+v", a)
	}
}

func TestMetricsOfEndpointsAreBoundedHoweverManyTemplatesAClientHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	for version := range 2 {
		var calls []remotecall.Call
		for i := range 150 {
			calls = append(calls, remotecall.Call{Template: fmt.Sprintf("/v%d/%d", version, i), Start: w.engine.Reader().Now(), Left: -1})
		}
		storeCalls(t, enginetest.Store(w.engine), calls...)
	}
	metrics := scrape(t, w.site, "operator")
	if n := len(metrics["nawasync_remote_endpoint_seconds"].GetMetric()); n != remotecall.MaxTemplates+1 {
		t.Errorf("/metrics has %d endpoints, want %d", n, remotecall.MaxTemplates+1)
	}
	if n := sample(t, metrics, "nawasync_remote_endpoint_seconds", "GET", "qhost", "other").GetHistogram().GetSampleCount(); n != 100 {
		t.Errorf("/metrics counts %d calls of the other templates, want 100", n)
	}
}
