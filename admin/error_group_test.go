package admin_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// shownGroup is an error group of /health.json.
type shownGroup struct {
	ID        string   `json:"id"`
	Signature string   `json:"signature"`
	Example   string   `json:"example"`
	Jobs      int64    `json:"jobs"`
	Services  []string `json:"services"`
}

// errorHistory ends n jobs at random times and with random errors. It returns the store, whose time is the
// time of the pages.
func errorHistory(t *testing.T, db *testdb.Database, n int) *storetest.Fixture {
	t.Helper()
	b := storetest.New(t, db)
	random := rand.New(rand.NewPCG(5, 9))
	texts := []string{"quota exceeded for %d", "dial tcp 10.0.0.%d:443: connection refused", "no such user: %d", "the object was changed at %d"}
	for i := range n {
		job := storetest.NewJob(int64(i))
		job.Service, job.Instance = []string{"whm", "cloudflare"}[random.IntN(2)], []string{"main", "second"}[random.IntN(2)]
		storetest.SetTargetKey(job)
		b.Insert(job)
		out := &jobstore.Outcome{Job: b.ClaimOne(job), Error: fmt.Sprintf(texts[random.IntN(4)], random.IntN(250)), ErrorClass: "permanent"}
		out.Status = append(tracker.Statuses()[2:], tracker.StatusFailed)[random.IntN(6)]
		if out.Status == tracker.StatusSuccess {
			out.Error, out.ErrorClass = "", ""
		}
		b.SettleAll(out)
		b.Advance(time.Duration(random.IntN(90)) * time.Minute)
		if random.IntN(20) == 0 {
			_, err := b.Rollup(t.Context(), 1+random.IntN(30))
			noError(t, err)
		}
	}
	return b
}

// csvIDs returns the ids in the export of a query.
func csvIDs(t *testing.T, s *site, subject, q string) (ids []string) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(s.get(subject, "/jobs.csv?q="+url.QueryEscape(q)).body, "\ufeff"))).ReadAll()
	noError(t, err)
	for _, record := range records[1:] {
		ids = append(ids, record[0])
	}
	return ids
}

// listedIDs returns the ids of all pages of the list of a query.
func listedIDs(t *testing.T, s *site, subject, q string) (ids []string) {
	t.Helper()
	for before := int64(0); ; {
		var page struct {
			Jobs []struct {
				ID int64 `json:"id"`
			} `json:"jobs"`
			Older int64 `json:"older"`
		}
		noError(t, json.Unmarshal([]byte(s.get(subject, fmt.Sprintf("/jobs.json?n=25&before=%d&q=%s", before, url.QueryEscape(q))).body), &page))
		for _, job := range page.Jobs {
			ids = append(ids, fmt.Sprint(job.ID))
		}
		if before = page.Older; before == 0 {
			return ids
		}
	}
}

func TestErrorGroupsTheirListsAndTheirExportsAgreeForEverySubjectAndWindow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := errorHistory(t, db, 150)
		s := newSiteOf(t, db, "", func(c *nawasync.Config) { c.Now = b.Now }, nil)
		for _, permission := range []string{admin.PermissionView, admin.PermissionManage} {
			noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "tenant", Service: "whm", Instance: "second", Permission: permission}))
		}
		seen := 0
		for _, subject := range []string{"viewer", "other", "tenant"} {
			for _, window := range []string{"15m", "1h", "24h", "7d", "30d"} {
				var health struct {
					From   time.Time `json:"from"`
					Totals struct {
						Failed int `json:"failed"`
						Other  int `json:"other"`
					} `json:"totals"`
					Errors []shownGroup `json:"errors"`
				}
				noError(t, json.Unmarshal([]byte(s.get(subject, "/health.json?window="+window).body), &health))
				ended := " ended:" + health.From.Format("2006-01-02T15:04Z07:00") + ".."
				all := listedIDs(t, s, subject, "status:conflict,failed"+ended)
				if failed := csvIDs(t, s, subject, "status:failed"+ended); len(failed) != health.Totals.Failed {
					t.Errorf("%s, %s: %d failed jobs are exported, the overview has %d", subject, window, len(failed), health.Totals.Failed)
				}
				page := s.get(subject, "/?window="+window).body
				var grouped []string
				for _, g := range health.Errors {
					q := "group:" + g.ID + ended
					if !strings.Contains(page, `href="/jobs?q=`+url.QueryEscape(q)+`"`) {
						t.Errorf("%s, %s: the page has no link for %s", subject, window, q)
					}
					list := listedIDs(t, s, subject, q)
					grouped = append(grouped, list...)
					seen++
					if exported := csvIDs(t, s, subject, q); int64(len(list)) != g.Jobs || !slices.Equal(list, exported) {
						t.Errorf("%s, %s: group %q has %d jobs, its list %d, its export %d", subject, window, g.Signature, g.Jobs, len(list), len(exported))
					}
					if counts := countsOf(s.get(subject, "/jobs?q="+url.QueryEscape(q)).body); len(counts) == 0 || int64(counts[0]) != g.Jobs {
						t.Errorf("%s, %s: group %q has %d jobs, its list counts %v", subject, window, g.Signature, g.Jobs, counts)
					}
				}
				slices.Sort(grouped)
				slices.Sort(all)
				if !slices.Equal(grouped, all) {
					t.Errorf("%s, %s: the groups have %d jobs, %d failed or ended in conflict", subject, window, len(grouped), len(all))
				}
			}
		}
		if seen < 20 {
			t.Errorf("the test has seen only %d groups", seen)
		}
	})
}

func TestOverviewShowsErrorsBeyondTheNewestFailures(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, testdb.SQLite(t))
	end := func(from, to int, text string) {
		var jobs []*jobstore.Job
		for i := from; i < to; i++ {
			jobs = append(jobs, storetest.NewJob(int64(i)))
		}
		for part := range slices.Chunk(jobs, 100) { // the race detector makes SQLite's driver very slow
			b.Insert(part...)
		}
		for len(jobs) > 0 {
			var outcomes []*jobstore.Outcome
			for _, job := range b.ClaimDue(100, jobs[0]).Jobs {
				outcomes = append(outcomes, &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: fmt.Sprintf(text, job.ID), ErrorClass: "permanent"})
			}
			b.SettleAll(outcomes...)
			jobs = jobs[len(outcomes):]
		}
		b.Advance(time.Minute)
	}
	end(0, 700, "the token of %d was revoked")
	end(700, 1300, "quota exceeded for %d")
	s := newSiteOf(t, b.Database, "", func(c *nawasync.Config) { c.Now = b.Now }, nil)
	for path, title := range map[string]string{"/": "Recent failures", "/services/whm": "Most frequent errors in the last 7 days"} {
		page := s.get("viewer", path)
		for _, text := range []string{title, "the token of … was revoked", ">700<", "53\u00a0%", "quota exceeded for …", ">600<"} {
			if page.status != http.StatusOK || !strings.Contains(page.body, text) {
				t.Errorf("%s (%d) lacks %q", path, page.status, text)
			}
		}
		if strings.Contains(page.body, "newest 500") {
			t.Errorf("%s counts only the newest jobs", path)
		}
	}
	job := s.get("viewer", "/jobs/1").body
	_, link, found := strings.Cut(job, `href="/jobs?q=`)
	for found && !strings.HasPrefix(link, "service%3Awhm+group%3A") {
		_, link, found = strings.Cut(link, `href="/jobs?q=`)
	}
	link, _, _ = strings.Cut(link, `"`)
	if counts := countsOf(s.get("viewer", "/jobs?q="+link).body); !found || len(counts) == 0 || counts[0] != 700 {
		t.Errorf("the job links to %q, whose list counts %v, want 700 jobs with the same error", link, counts)
	}
}
