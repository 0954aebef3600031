package tracker_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// seedJobs adds n jobs, one per minute, that vary in status, service, target and error text.
func seedJobs(t *testing.T, b *storetest.Fixture, n int) (all []*tracker.Job) {
	t.Helper()
	services := []string{"cloudflare", "keycloak", "whm"}
	for i := range n {
		status := tracker.Statuses()[i%7]
		job := storetest.NewJob(int64(i))
		job.Service, job.TargetID = services[i%3], fmt.Sprintf("100%%_box-%d", i%11)
		storetest.SetTargetKey(job)
		job.TriggeredBy = fmt.Sprint("user:", i%5)
		b.Insert(job)
		set := "status = ?"
		args := []any{status}
		if status.Terminal() {
			set += ", finished_at = ?, open_lane = NULL, wake_at = NULL, error = ?, duration_ms = ?, attempt = ?"
			args = append(args, b.Now().UnixMicro(), []string{"Quota exceeded", "refused!"}[i%2], i*100, i%4)
		} else if status == tracker.StatusRunning {
			set += ", deadline_at = ?"
			args = append(args, b.Now().Add(time.Duration(i%2*2-1)*1000*time.Hour).UnixMicro())
		}
		b.NoError(b.Database.Exec("UPDATE nawasync_jobs SET "+set+" WHERE id = ?", append(args, job.ID)...).Error)
		stored, err := b.Get(t.Context(), job.ID)
		b.NoError(err)
		all = append(all, stored)
		b.Advance(time.Minute)
	}
	return all
}

// boxes has one target of each service.
var boxes = []tracker.Target{
	{Service: "cloudflare", Type: "mailbox", Instance: "main", ID: "100%_box-2"},
	{Service: "keycloak", Type: "mailbox", Instance: "main", ID: "100%_box-2"},
	{Service: "whm", Type: "mailbox", Instance: "main", ID: "100%_box-2"},
}

func page(q tracker.Search, before, after int64, limit int) tracker.Search {
	q.Before, q.After, q.Limit = before, after, limit
	return q
}

// pages reads all pages of a search, from the newest to the oldest, and returns the ids of the
// jobs. It also checks that each page leads back to the newer one.
func pages(t *testing.T, b *storetest.Fixture, q tracker.Search, limit int) (ids []int64) {
	t.Helper()
	var before int64
	for {
		found, err := b.Search(t.Context(), page(q, before, 0, limit))
		b.NoError(err)
		for _, job := range found.Jobs {
			ids = append(ids, job.ID)
		}
		if before > 0 && len(found.Jobs) > 0 {
			back, err := b.Search(t.Context(), page(q, 0, found.Newer, limit))
			b.NoError(err)
			if len(back.Jobs) != limit || back.Older != back.Jobs[limit-1].ID || back.Jobs[limit-1].ID != slices.Min(ids[:len(ids)-len(found.Jobs)]) {
				t.Errorf("the page newer than the one below %d ends at %d and has %d jobs", before, back.Older, len(back.Jobs))
			}
		}
		if found.Older == 0 {
			return ids
		}
		before = found.Older
	}
}

// checkOldest checks that the page of the oldest jobs has the last ids of want.
func checkOldest(t *testing.T, b *storetest.Fixture, name string, q tracker.Search, want []int64) {
	t.Helper()
	end := page(q, 0, 0, 7)
	end.Oldest = true
	oldest, err := b.Search(t.Context(), end)
	b.NoError(err)
	var last []int64
	for _, job := range oldest.Jobs {
		last = append(last, job.ID)
	}
	if !slices.Equal(last, want[max(0, len(want)-7):]) || oldest.Older != 0 || (oldest.Newer != 0) != (len(want) > 7) {
		t.Errorf("%s: the oldest page has %v, Older %d and Newer %d", name, last, oldest.Older, oldest.Newer)
	}
}

func TestSearchMatchesAScanOfEveryRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		start := b.Now()
		all := seedJobs(t, b, 240)
		changed, err := b.Delete(t.Context(), all[200].ID)
		if err != nil || !changed {
			t.Fatalf("delete: %t, %v", changed, err)
		}
		all[200].DeletedAt = b.Now()
		term := func(field tracker.Field, values ...string) tracker.Term {
			return tracker.Term{Field: field, Values: values}
		}
		not := func(field tracker.Field, values ...string) tracker.Term {
			return tracker.Term{Field: field, Values: values, Not: true}
		}
		repaired := func(j *tracker.Job) bool {
			return slices.ContainsFunc(all, func(r *tracker.Job) bool {
				return r.Target() == j.Target() && r.ID > j.ID && r.Status == tracker.StatusSuccess
			})
		}
		for name, c := range map[string]struct {
			q     tracker.Search
			match func(j *tracker.Job) bool
		}{
			"all":        {tracker.Search{}, func(*tracker.Job) bool { return true }},
			"one status": {tracker.Search{Terms: []tracker.Term{term("status", "failed")}}, func(j *tracker.Job) bool { return j.Status == "failed" }},
			"open and ended": {
				tracker.Search{Terms: []tracker.Term{term("status", "failed", "queued")}},
				func(j *tracker.Job) bool { return j.Status == "failed" || j.Status == "queued" },
			},
			"not a status":        {tracker.Search{Terms: []tracker.Term{not("status", "success")}}, func(j *tracker.Job) bool { return j.Status != "success" }},
			"one service visible": {tracker.Search{Services: []string{"whm"}}, func(j *tracker.Job) bool { return j.Service == "whm" }},
			"no service visible":  {tracker.Search{Services: []string{}}, func(*tracker.Job) bool { return false }},
			"another service visible": {
				tracker.Search{Services: []string{"whm"}, Terms: []tracker.Term{term("service", "keycloak")}},
				func(*tracker.Job) bool { return false },
			},
			"not a service": {
				tracker.Search{Terms: []tracker.Term{not("service", "whm", "keycloak")}},
				func(j *tracker.Job) bool { return j.Service == "cloudflare" },
			},
			"target": {
				tracker.Search{Targets: boxes, Services: []string{"whm", "keycloak"}, Terms: []tracker.Term{not("status", "cancelled")}},
				func(j *tracker.Job) bool {
					return j.TargetID == "100%_box-2" && j.Service != "cloudflare" && j.Status != "cancelled"
				},
			},
			"ids": {tracker.Search{Services: []string{"whm"}, Terms: []tracker.Term{term("id", fmt.Sprint(all[2].ID), fmt.Sprint(all[3].ID),
				fmt.Sprint(all[5].ID))}}, func(j *tracker.Job) bool { return j == all[2] || j == all[5] }},
			"error": {
				tracker.Search{Terms: []tracker.Term{term("error", "QUOTA ex")}},
				func(j *tracker.Job) bool { return strings.Contains(j.Error, "Quota ex") },
			},
			"no wildcards": {tracker.Search{Terms: []tracker.Term{term("text", "%_BOX-3")}}, func(j *tracker.Job) bool { return j.TargetID == "100%_box-3" }},
			"no match":     {tracker.Search{Terms: []tracker.Term{term("text", "0__box")}}, func(*tracker.Job) bool { return false }},
			"attempts": {
				tracker.Search{Terms: []tracker.Term{{Field: "attempts", Op: ">", Values: []string{"2"}}}},
				func(j *tracker.Job) bool { return j.Attempt > 2 },
			},
			"duration": {
				tracker.Search{Terms: []tracker.Term{{Field: "duration", Op: "<", Values: []string{"5000"}}, term("by", "user:1")}},
				func(j *tracker.Job) bool { return j.Duration < 5*time.Second && j.TriggeredBy == "user:1" },
			},
			"stuck": {tracker.Search{Terms: []tracker.Term{term("stuck")}}, func(j *tracker.Job) bool { return j.Stuck(b.Now()) }},
			"unresolved": {
				tracker.Search{Terms: []tracker.Term{term("status", "failed", "conflict"), not("repaired")}},
				func(j *tracker.Job) bool { return (j.Status == "failed" || j.Status == "conflict") && !repaired(j) },
			},
			"window": {tracker.Search{From: start.Add(30 * time.Minute), To: start.Add(90 * time.Minute)}, func(j *tracker.Job) bool {
				return !j.CreatedAt.Before(start.Add(30*time.Minute)) && j.CreatedAt.Before(start.Add(90*time.Minute))
			}},
			"window of a status": {tracker.Search{
				From:  start.Add(30 * time.Minute),
				Terms: []tracker.Term{term("status", "conflict"), term("service", "whm", "keycloak")},
			}, func(j *tracker.Job) bool {
				return !j.CreatedAt.Before(start.Add(30*time.Minute)) && j.Status == "conflict" && j.Service != "cloudflare"
			}},
		} {
			var want []int64
			counts := map[tracker.Status]int{}
			for _, job := range slices.Backward(all) {
				if job.DeletedAt.IsZero() && c.match(job) {
					want = append(want, job.ID)
					counts[job.Status]++
				}
			}
			if got := pages(t, b, c.q, 7); !slices.Equal(got, want) {
				t.Errorf("%s: found %v, want %v", name, got, want)
			}
			checkOldest(t, b, name, c.q, want)
			got, _, err := b.Counts(t.Context(), c.q)
			b.NoError(err)
			for status, n := range got {
				if n != counts[status] && !slices.ContainsFunc(c.q.Terms, func(t tracker.Term) bool { return t.Field == "status" }) {
					t.Errorf("%s: counted %d jobs in status %s, want %d", name, n, status, counts[status])
				}
			}
		}
		deleted, err := b.Search(t.Context(), tracker.Search{Deleted: true, Services: []string{all[200].Service}, Limit: 10})
		if err != nil || len(deleted.Jobs) != 1 || deleted.Jobs[0].ID != all[200].ID {
			t.Errorf("search for deleted jobs: %+v, %v", deleted, err)
		}
		services, err := b.Services(t.Context())
		if err != nil || !slices.Equal(services, []string{"cloudflare", "keycloak", "whm"}) {
			t.Errorf("services: %v, %v", services, err)
		}
	})
}

func endedWithin(from, to time.Time) func(j *tracker.Job) bool {
	return func(j *tracker.Job) bool {
		return j.Status.Terminal() && !j.FinishedAt.Before(from) && j.FinishedAt.Before(to)
	}
}

func TestSearchFiltersByEndTime(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		start := b.Now()
		all := seedJobs(t, b, 240)
		first, last := start.Add(30*time.Minute), start.Add(90*time.Minute)
		whm := tracker.Search{EndedFrom: first, Services: []string{"whm"}, Terms: []tracker.Term{{Field: "status", Values: []string{"success", "queued"}, Not: true}}}
		for name, c := range map[string]struct {
			q     tracker.Search
			match func(j *tracker.Job) bool
		}{
			"between": {tracker.Search{EndedFrom: first, EndedTo: last}, endedWithin(first, last)},
			"of a status": {whm, func(j *tracker.Job) bool {
				return endedWithin(first, b.Now())(j) && j.Service == "whm" && j.Status != "success"
			}},
			"of a target": {tracker.Search{EndedTo: last, Targets: boxes}, func(j *tracker.Job) bool {
				return endedWithin(start, last)(j) && j.TargetID == "100%_box-2"
			}},
			"open jobs never match": {
				tracker.Search{EndedFrom: start, Terms: []tracker.Term{{Field: "status", Values: []string{"queued", "running"}}}},
				func(*tracker.Job) bool { return false },
			},
		} {
			var want []int64
			for _, job := range slices.Backward(all) {
				if c.match(job) {
					want = append(want, job.ID)
				}
			}
			if got := pages(t, b, c.q, 7); !slices.Equal(got, want) {
				t.Errorf("%s: found %v, want %v", name, got, want)
			}
			checkOldest(t, b, name, c.q, want)
		}
	})
}

// Up to MaxCount ended jobs are looked up by id, more are found by checking each row. Both must
// find the same jobs.
func TestSearchByEndTimeFindsTheSameAmongManyAndFewEndedJobs(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		var jobs []*jobstore.Job
		for i := range tracker.MaxCount + 100 {
			job := storetest.NewJob(int64(i))
			job.Service = []string{"whm", "cloudflare"}[i%2]
			jobs = append(jobs, job)
		}
		for batch := range slices.Chunk(jobs, 250) {
			b.Insert(batch...)
		}
		first := jobs[0].ID
		b.NoError(b.Database.Exec("UPDATE nawasync_jobs SET status = 'success', finished_at = created_at + id - ?, open_lane = NULL, wake_at = NULL",
			first).Error)
		for _, least := range []int64{0, 9000} { // more than MaxCount jobs ended, and fewer
			var want []int64
			for _, job := range slices.Backward(jobs) {
				if job.Service == "whm" && job.ID-first >= least {
					want = append(want, job.ID)
				}
			}
			q := tracker.Search{EndedFrom: b.Now().Add(time.Duration(least) * time.Microsecond), Terms: []tracker.Term{{Field: "service", Values: []string{"whm"}}}}
			if got := pages(t, b, q, 500); !slices.Equal(got, want) {
				t.Errorf("found %d, want %d", len(got), len(want))
			}
		}
	})
}

func TestPagingSkipsAndRepeatsNoneOfTwoThousandJobsCreatedAtOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		var jobs []*jobstore.Job
		for i := range 2000 {
			jobs = append(jobs, storetest.NewJob(int64(i)))
		}
		for batch := range slices.Chunk(jobs, 250) {
			b.Insert(batch...)
		}
		ids := pages(t, b, tracker.Search{From: b.Now(), To: b.Now().Add(time.Microsecond)}, 100)
		slices.Sort(ids)
		if len(slices.Compact(ids)) != 2000 {
			t.Errorf("found %d ids, want each of 2000 once", len(ids))
		}
		if none := pages(t, b, tracker.Search{From: b.Now().Add(time.Microsecond)}, 100); len(none) != 0 {
			t.Errorf("found %d jobs created after the last one", len(none))
		}
	})
}

// A search that no index answers stops at its limit. Its results say how far it got, and the
// next search continues there.
func TestSearchStopsAtItsLimitAndContinuesFromThere(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	b := storetest.New(t, db)
	first := storetest.NewJob(1)
	first.TriggeredBy = "user:rare"
	b.Insert(first)
	b.NoError(db.Exec(`INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane, attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source)
 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 205000) SELECT i, i, 0, 0, 1767225600000000 + i, 0, 1, 0, 0, 1, 3, 'success', 'whm', 'mailbox', 'update', 'main', 'x', 'default', 'user:7', 'manual' FROM n`).Error)
	q := tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldBy, Values: []string{"user:rare"}}}}
	var searched int64
	var before int64
	for round := 0; ; round++ {
		found, err := b.Search(t.Context(), page(q, before, 0, 10))
		b.NoError(err)
		searched += found.Searched
		if len(found.Jobs) == 1 {
			if round == 0 || searched != 205001 || found.Jobs[0].ID != first.ID {
				t.Errorf("found job %d after %d rounds and %d rows", found.Jobs[0].ID, round, searched)
			}
			return
		}
		if !found.Partial || found.Older == 0 || found.Searched > 240_000 || found.Reached.IsZero() {
			t.Fatalf("round %d: %+v", round, found)
		}
		before = found.Older
	}
}

func TestStatTotalsAreTheSumsOfTheStatistics(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		start := b.Now()
		for i := range 30 {
			b.End(int64(i), tracker.Statuses()[2+i%5])
			b.Advance(7 * time.Minute)
			if i%4 == 0 {
				_, err := b.Rollup(t.Context(), 100)
				b.NoError(err)
			}
		}
		for _, step := range []time.Duration{time.Hour, 6 * time.Hour} {
			stats, err := b.Stats(t.Context(), tracker.PeriodHour, start, b.Now())
			b.NoError(err)
			want := map[string]int64{}
			for _, s := range stats {
				want[fmt.Sprint(s.Bucket.Truncate(step), s.Service, s.Outcome)] += s.Jobs
			}
			got := map[string]int64{}
			totals, err := b.StatTotals(t.Context(), tracker.PeriodHour, start, b.Now(), step)
			b.NoError(err)
			for _, s := range totals {
				got[fmt.Sprint(s.Bucket, s.Service, s.Outcome)] = s.Jobs
			}
			if !maps.Equal(got, want) || len(want) < 5 {
				t.Errorf("totals by %s: %v, want %v", step, got, want)
			}
			counts, err := b.StatCounts(t.Context(), tracker.PeriodHour, start, b.Now())
			if err != nil || len(counts) != len(stats) || counts[0].Jobs != stats[0].Jobs || counts[0].Runs.Count() != 0 {
				t.Errorf("counts differ from the statistics: %+v, %v", counts, err)
			}
		}
	})
}

func TestInvalidComparisonIsAnErrorAndNeverReachesSQL(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		reader, err := tracker.New(db.DB, tracker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, term := range []tracker.Term{
			{Field: tracker.FieldAttempts, Op: "!", Values: []string{"2"}},
			{Field: tracker.FieldDuration, Op: "> 0 OR 1 =", Values: []string{"2"}},
			{Field: tracker.FieldAttempts, Op: ">", Values: []string{"x"}},
		} {
			if _, err := reader.Search(t.Context(), tracker.Search{Terms: []tracker.Term{term}}); err == nil || !strings.Contains(err.Error(), "a term of") {
				t.Errorf("%+v: got error %v", term, err)
			}
		}
	})
}
