package tracker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// randomHistory adds n jobs with random objects, statuses and errors. Some are deleted, retried or still open.
func randomHistory(t *testing.T, b *storetest.Fixture, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 17))
	texts := []string{"quota exceeded for %d", "dial tcp 10.0.0.%d:443: connection refused", "no such user: %d"}
	for i := range n {
		job := storetest.NewJob(int64(i))
		job.Service, job.Instance = []string{"whm", "cloudflare"}[random.IntN(2)], []string{"main", "second", ""}[random.IntN(3)]
		job.TargetID = fmt.Sprint("box-", random.IntN(9))
		storetest.SetTargetKey(job)
		b.Insert(job)
		b.Advance(time.Duration(random.IntN(20)) * time.Minute)
		if random.IntN(10) == 0 {
			continue // queued
		}
		out := &jobstore.Outcome{Job: b.ClaimOne(job), Error: fmt.Sprintf(texts[random.IntN(3)], random.IntN(250)), ErrorClass: "permanent"}
		out.Status = append(tracker.Statuses()[2:], tracker.StatusFailed)[random.IntN(6)]
		if out.Status == tracker.StatusSuccess {
			out.Error, out.ErrorClass = "", ""
		}
		b.SettleAll(out)
		if random.IntN(12) == 0 {
			_, err := b.Delete(t.Context(), job.ID)
			b.NoError(err)
		}
		if random.IntN(20) == 0 {
			_, err := b.Rollup(t.Context(), 1+random.IntN(30))
			b.NoError(err)
		}
	}
}

// groupSearch returns the search for the jobs of a group.
func groupSearch(q tracker.Search, by tracker.GroupBy, g tracker.JobGroup) tracker.Search {
	and := func(field tracker.Field, value string) {
		q.Terms = append(slices.Clone(q.Terms), tracker.Term{Field: field, Values: []string{value}})
	}
	if by == tracker.GroupByError {
		and(tracker.FieldErrorGroup, g.Error)
		return q
	}
	and(tracker.FieldService, g.Target.Service)
	and(tracker.FieldInstance, g.Target.Instance)
	if by == tracker.GroupByTarget {
		and(tracker.FieldType, g.Target.Type)
		and(tracker.FieldTarget, g.Target.ID)
	}
	return q
}

func TestGroupsHaveTheJobsOfTheListsTheyLeadTo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		start := b.Now()
		randomHistory(t, b, 200)
		term := func(field tracker.Field, values ...string) []tracker.Term {
			return []tracker.Term{{Field: field, Values: values}}
		}
		tenant := b.Limited(tracker.Visibility{Services: []string{"cloudflare"}, Instances: []tracker.ServiceInstance{{Service: "whm", Instance: "second"}}})
		for name, q := range map[string]tracker.Search{
			"all":     {},
			"failed":  {Terms: term(tracker.FieldStatus, "failed")},
			"success": {Terms: term(tracker.FieldStatus, "success", "queued")},
			"service": {Terms: term(tracker.FieldService, "whm")},
			"text":    {Terms: term(tracker.FieldText, "quota")},
			"created": {From: start.Add(4 * time.Hour), To: start.Add(20 * time.Hour)},
			"ended":   {EndedFrom: start.Add(4 * time.Hour), EndedTo: start.Add(20 * time.Hour)},
			"deleted": {Deleted: true},
			"targets": {Targets: []tracker.Target{
				{Service: "whm", Type: "mailbox", Instance: "second", ID: "box-3"}, {Service: "cloudflare", Type: "mailbox", ID: "box-4"},
			}},
			"none": {Services: []string{}},
		} {
			for reader, r := range map[string]*tracker.Reader{"all": b.Reader, "tenant": tenant} {
				for _, by := range []tracker.GroupBy{tracker.GroupByError, tracker.GroupByTarget, tracker.GroupByService} {
					checkGroups(t, name+" by "+string(by)+" for "+reader, r, q, by)
				}
			}
		}
	})
}

// checkGroups compares the groups of a search with the lists of the groups and of the search.
func checkGroups(t *testing.T, name string, r *tracker.Reader, q tracker.Search, by tracker.GroupBy) {
	t.Helper()
	list := func(q tracker.Search) []*tracker.Job {
		q.Limit = 500
		found, err := r.Search(t.Context(), q)
		if err != nil || found.Older != 0 {
			t.Fatalf("%s: %v, and the list has an older page %d", name, err, found.Older)
		}
		return found.Jobs
	}
	groups, err := r.GroupJobs(t.Context(), q, by, 100)
	if err != nil || groups.Partial || groups.Total != len(groups.Groups) {
		t.Fatalf("%s: %+v, %v", name, groups, err)
	}
	want := slices.DeleteFunc(list(q), func(j *tracker.Job) bool {
		return by == tracker.GroupByError && j.Status != tracker.StatusFailed && j.Status != tracker.StatusConflict
	})
	var sum int64
	last := groups.Jobs
	for _, g := range groups.Groups {
		jobs := list(groupSearch(q, by, g))
		statuses := map[tracker.Status]int64{}
		for _, j := range jobs {
			statuses[j.Status]++
		}
		if int64(len(jobs)) != g.Jobs || fmt.Sprint(statuses) != fmt.Sprint(g.Statuses) {
			t.Errorf("%s: group %+v leads to %d jobs with %v", name, g, len(jobs), statuses)
		}
		for i, id := range g.Newest {
			if jobs[i].ID != id {
				t.Errorf("%s: the newest jobs of %+v are not the first of its list", name, g)
			}
		}
		if len(g.Newest) != min(3, len(jobs)) || g.Jobs > last || g.First.After(g.Last) {
			t.Errorf("%s: group %+v is out of order or incomplete", name, g)
		}
		if by == tracker.GroupByError && (g.Text == "" || g.Class != "permanent") {
			t.Errorf("%s: group %+v has no text", name, g)
		}
		sum, last = sum+g.Jobs, g.Jobs
	}
	if sum != groups.Jobs || sum != int64(len(want)) {
		t.Errorf("%s: the groups have %d jobs, in all %d; the list has %d", name, sum, groups.Jobs, len(want))
	}
	few, err := r.GroupJobs(t.Context(), q, by, 1)
	if err != nil || few.Total != groups.Total || few.Jobs != groups.Jobs || len(few.Groups) != min(1, groups.Total) {
		t.Errorf("%s: with a limit of 1: %+v, %v", name, few, err)
	}
}

func TestGroupsOfMoreJobsThanAreReadSayThatTheyArePartial(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	b := storetest.New(t, db)
	b.NoError(db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
 INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane, attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source)
 SELECT 7, i, 0, 0, i, 0, 1, 0, FALSE, 1, 3, 'success', 'whm', 'mailbox', 'update', 'main', 'box', 'default', 'user:1', 'manual' FROM n`, tracker.MaxCount+5).Error)
	groups, err := b.GroupJobs(t.Context(), tracker.Search{}, tracker.GroupByTarget, 10)
	if err != nil || !groups.Partial || groups.Jobs != tracker.MaxCount || len(groups.Groups) != 1 || groups.Groups[0].Jobs != tracker.MaxCount {
		t.Errorf("groups %+v, %v, want a partial count of the newest %d jobs", groups, err, tracker.MaxCount)
	}
	groups, err = b.GroupJobs(t.Context(), tracker.Search{To: time.UnixMicro(tracker.MaxCount + 1)}, tracker.GroupByTarget, 10)
	if err != nil || groups.Partial || groups.Jobs != tracker.MaxCount {
		t.Errorf("groups of exactly %d jobs: %+v, %v, want all of them", tracker.MaxCount, groups, err)
	}
	if _, err := b.GroupJobs(t.Context(), tracker.Search{}, "colour", 10); err == nil {
		t.Error("an unknown property is accepted")
	}
}
