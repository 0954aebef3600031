package jobstore_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/signature"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

var errorTexts = []struct{ class, text string }{
	{"permanent", "quota exceeded for %d"},
	{"transient", "dial tcp 10.0.0.%d:443: connection refused"},
	{"permanent", "no such user"},
	{"conflict", "the object %d was changed"},
	{"", ""},
}

// endRandomly inserts a job of a random service and instance, and ends it or some of its attempts at random.
func endRandomly(b *storetest.Fixture, random *rand.Rand, lane int64) {
	job := storetest.NewJob(lane)
	job.Service, job.Instance = []string{"whm", "dns"}[random.IntN(2)], []string{"", "main", "b.example"}[random.IntN(3)]
	job.Action = []string{"update", "create"}[random.IntN(2)]
	storetest.SetTargetKey(job)
	b.Insert(job)
	statuses := append([]tracker.Status{tracker.StatusFailed}, tracker.Statuses()[2:]...)
	for range random.IntN(3) {
		out := failure(b.ClaimOne(b.Stored(job.ID)), random)
		out.Status, out.Attempt = tracker.StatusQueued, tracker.OutcomeRetry
		b.SettleAll(out)
	}
	out := failure(b.ClaimOne(b.Stored(job.ID)), random)
	if out.Status = statuses[random.IntN(len(statuses))]; out.Status == tracker.StatusSuccess {
		out.Error, out.ErrorClass = "", ""
	}
	b.SettleAll(out)
}

func failure(job *jobstore.Job, random *rand.Rand) *jobstore.Outcome {
	failed := errorTexts[random.IntN(len(errorTexts))]
	text := failed.text
	if len(text) > 0 && text != "no such user" {
		text = fmt.Sprintf(text, random.IntN(250))
	}
	return &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: text, ErrorClass: failed.class}
}

// groupsByRows is ErrorGroups, counted from the jobs themselves.
func groupsByRows(jobs []*tracker.Job, from time.Time, visible func(*tracker.Job) bool) map[string]tracker.ErrorGroup {
	groups := map[string]tracker.ErrorGroup{}
	for _, j := range jobs {
		if (j.Status != tracker.StatusFailed && j.Status != tracker.StatusConflict) || j.FinishedAt.Before(from) || !visible(j) {
			continue
		}
		s := signature.Of(j.ErrorClass, j.Error, j.TargetID, j.Instance)
		id := signature.ID(s.Hash)
		g, known := groups[id]
		if !known {
			g = tracker.ErrorGroup{ID: id, Class: s.Class, Text: s.Text, First: j.FinishedAt}
		}
		g.Jobs++
		g.LastJob = max(g.LastJob, j.ID)
		if j.FinishedAt.Before(g.First) {
			g.First = j.FinishedAt
		}
		if j.FinishedAt.After(g.Last) {
			g.Last = j.FinishedAt
		}
		if !slices.Contains(g.Services, j.Service) {
			g.Services = append(g.Services, j.Service)
			slices.Sort(g.Services)
		}
		groups[id] = g
	}
	return groups
}

// The test compares the counts of random histories with the rows, for several time ranges and readers.
func TestErrorGroupsOfRandomHistoriesEqualTheRowsAndTheLists(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		random := rand.New(rand.NewPCG(3, 17))
		start := b.Now()
		for i := range 160 {
			endRandomly(b, random, int64(i))
			b.Advance(time.Duration(random.IntN(45)) * time.Minute)
			if random.IntN(10) == 0 {
				_, err := b.Rollup(t.Context(), 1+random.IntN(20))
				b.NoError(err)
			}
		}
		page, err := b.Search(t.Context(), tracker.Search{Limit: 500})
		b.NoError(err)
		limits := map[string]tracker.Visibility{
			"one instance": {Instances: []tracker.ServiceInstance{{Service: "whm", Instance: "main"}}},
			"one service":  {Services: []string{"dns"}, Instances: []tracker.ServiceInstance{{Service: "whm", Instance: ""}}}, "nothing": {},
			"everything": {Services: []string{"dns", "whm"}},
		}
		for _, w := range []struct {
			period tracker.Period
			from   time.Time
		}{
			{tracker.PeriodMinute, start},
			{tracker.PeriodMinute, b.Now().Add(-3 * time.Hour)},
			{tracker.PeriodHour, b.Now().Add(-24 * time.Hour)},
			{tracker.PeriodDay, start.Add(24 * time.Hour)},
			{tracker.PeriodDay, b.Now().Add(time.Hour)},
		} {
			for name, limit := range limits {
				reader := b.Limited(limit)
				visible := func(j *tracker.Job) bool {
					return slices.Contains(limit.Services, j.Service) || slices.Contains(limit.Instances, tracker.ServiceInstance{Service: j.Service, Instance: j.Instance})
				}
				checkGroups(t, reader, w.period, w.period.Start(w.from), b.Now(), groupsByRows(page.Jobs, w.period.Start(w.from), visible), name)
			}
		}
	})
}

// checkGroups compares the groups of a reader, and the list and the counts of each group, with those wanted.
func checkGroups(t *testing.T, reader *tracker.Reader, period tracker.Period, from, now time.Time, want map[string]tracker.ErrorGroup, name string) {
	t.Helper()
	groups, jobs, err := reader.ErrorGroups(t.Context(), period, from, now.Add(time.Minute), 100)
	if err != nil {
		t.Fatal(err)
	}
	got, sum := map[string]tracker.ErrorGroup{}, int64(0)
	buckets := map[string]map[time.Time]int64{}
	for i, g := range groups {
		buckets[g.ID] = map[time.Time]int64{}
		for _, c := range g.Counts {
			buckets[g.ID][period.Start(c.Bucket)] += c.Jobs
		}
		g.Counts = nil
		got[g.ID] = g
		sum += g.Jobs
		if i > 0 && g.Jobs > groups[i-1].Jobs {
			t.Errorf("%s: the groups are not in order: %+v", name, groups)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || jobs != sum {
		t.Errorf("%s, %s since %s: %d jobs, want %d\n%s", name, period, from, jobs, sum, diff)
	}
	ended := tracker.Search{EndedFrom: from, EndedTo: now.Add(time.Minute)}
	for id, g := range want {
		q := ended
		q.Terms = []tracker.Term{{Field: tracker.FieldErrorGroup, Values: []string{id}}}
		list, err := reader.Search(t.Context(), tracker.Search{Terms: q.Terms, EndedFrom: q.EndedFrom, EndedTo: q.EndedTo, Limit: 500})
		if err != nil || int64(len(list.Jobs)) != g.Jobs || list.Searched != 0 {
			t.Errorf("%s: the list of %s has %d jobs (%d searched, %v), want %d", name, id, len(list.Jobs), list.Searched, err, g.Jobs)
		}
		for _, job := range list.Jobs {
			buckets[id][period.Start(job.FinishedAt)]--
		}
		for bucket, n := range buckets[id] {
			if n != 0 {
				t.Errorf("%s, %s: in the bucket %s, %s counts %d more jobs than the list has", name, period, bucket, id, n)
			}
		}
		byService := 0
		for _, service := range g.Services {
			instances := tracker.Term{Field: tracker.FieldInstance, Values: []string{"", "main", "b.example"}}
			ofService := []tracker.Term{{Field: tracker.FieldService, Values: []string{service}}, q.Terms[0], instances}
			list, err := reader.Search(t.Context(), tracker.Search{Terms: ofService, EndedFrom: q.EndedFrom, EndedTo: q.EndedTo, Limit: 500})
			if err != nil || list.Searched != 0 {
				t.Errorf("%s: the list of %s and %s searched %d jobs (%v)", name, id, service, list.Searched, err)
			}
			byService += len(list.Jobs)
		}
		if int64(byService) != g.Jobs {
			t.Errorf("%s: the lists of %s by service have %d jobs, want %d", name, id, byService, g.Jobs)
		}
		counts, exact, err := reader.Counts(t.Context(), q)
		if err != nil || !exact || int64(counts[tracker.StatusFailed]+counts[tracker.StatusConflict]) != g.Jobs || len(counts) > 2 {
			t.Errorf("%s: the counts of %s are %v (%v, %v), want %d", name, id, counts, exact, err, g.Jobs)
		}
	}
}

func TestTextsThatDifferInEveryJobStayBoundedAndTheSumIsTrue(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		var jobs []*jobstore.Job
		for i := range 1000 {
			jobs = append(jobs, storetest.NewJob(int64(i)))
		}
		b.Insert(jobs...)
		for len(jobs) > 0 {
			claimed := b.ClaimDue(100, jobs[0]).Jobs
			outcomes := make([]*jobstore.Outcome, len(claimed))
			for i, job := range claimed {
				word := []byte("word")
				for n := job.ID; n > 0; n /= 20 {
					word = append(word, byte('a'+n%20)) // no digits: each text is another error
				}
				outcomes[i] = &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: "unknown " + string(word), ErrorClass: "permanent"}
			}
			b.SettleAll(outcomes...)
			jobs = jobs[len(claimed):]
			_, err := b.Rollup(t.Context(), 1000)
			b.NoError(err)
		}
		groups, sum, err := b.ErrorGroups(t.Context(), tracker.PeriodHour, b.Now(), b.Now().Add(time.Minute), 1000)
		b.NoError(err)
		if len(groups) != 201 || groups[0].ID != "other" || groups[0].Jobs != 800 || sum != 1000 || groups[0].Text != "" || groups[1].Jobs != 1 {
			t.Fatalf("%d groups with %d jobs, want 201 with 1000; the first is %+v", len(groups), sum, groups[0])
		}
		q := tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldErrorGroup, Values: []string{"other"}}}}
		if counts, exact, err := b.Counts(t.Context(), q); err != nil || !exact || counts[tracker.StatusFailed] != 800 {
			t.Errorf("the list of the other errors has %v (%v, %v), want 800 failed jobs", counts, exact, err)
		}
		var rows int
		b.NoError(db.Raw("SELECT (SELECT COUNT(*) FROM nawasync_errors) + (SELECT COUNT(*) FROM nawasync_error_stats)").Row().Scan(&rows))
		if rows != 4*201 {
			t.Errorf("%d rows, want %d", rows, 4*201)
		}
	})
}

func TestErrorsThatRecurKeepTheirPlaceInTheNextHour(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, testdb.SQLite(t))
	lane := int64(0)
	fail := func(text string) string {
		lane++
		job := b.ClaimOne(b.Insert(storetest.NewJob(lane))[0])
		return b.SettleAll(&jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: text})[0].Job.ErrorGroup
	}
	group := fail("the token was revoked")
	fail("the token was revoked")
	b.Advance(time.Hour)
	seen := map[string]bool{}
	for i := range 210 {
		seen[fail("unknown "+string(rune('a'+i/26))+string(rune('a'+i%26)))] = true
	}
	if got := fail("the token was revoked"); got != group || !seen["other"] || len(seen) != 200 {
		t.Errorf("the error is in group %s, want %s; %d other groups: %v", got, group, len(seen), slices.Collect(maps.Keys(seen)))
	}
	b.Advance(time.Hour)
	if got := fail("unknown xx"); got == "other" {
		t.Error("an error of the next hour is not told apart")
	}
}

func TestForgetRemovesTheTextsOfErrorsThatNoOtherJobHas(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		end := func(lane int64, text string) *jobstore.Job {
			job := b.ClaimOne(b.Insert(storetest.NewJob(lane))[0])
			return b.SettleAll(&jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: text})[0].Job
		}
		private := end(1, "Ann Smith of box-1 has left")
		end(1, "quota exceeded")
		end(2, "quota exceeded")
		_, err := b.Rollup(t.Context(), 100)
		b.NoError(err)
		late := end(1, "Ann Smith is away") // not rolled up yet
		texts := func() (list []string) {
			groups, jobs, err := b.ErrorGroups(t.Context(), tracker.PeriodHour, b.Now(), b.Now().Add(time.Minute), 100)
			b.NoError(err)
			if jobs != 4 {
				t.Errorf("%d jobs, want 4", jobs)
			}
			for _, g := range groups {
				list = append(list, g.Text)
			}
			slices.Sort(list)
			return list
		}
		if diff := cmp.Diff([]string{"Ann Smith is away", "Ann Smith of … has left", "quota exceeded"}, texts()); diff != "" {
			t.Fatal(diff)
		}
		_, err = b.Forget(t.Context(), private.Target())
		b.NoError(err)
		for range 2 {
			if diff := cmp.Diff([]string{"", "", "quota exceeded"}, texts()); diff != "" {
				t.Error(diff)
			}
			_, err = b.Rollup(t.Context(), 100)
			b.NoError(err)
		}
		if got := b.Stored(late.ID); got.ErrorGroup != late.ErrorGroup || got.Error != "" {
			t.Errorf("the job has the error %q and the group %s, want none and %s", got.Error, got.ErrorGroup, late.ErrorGroup)
		}
	})
}

// The job is pruned after its retention. Its text must not outlive it: Forget can no longer find it.
func TestForgetRemovesTheTextsOfErrorsOfPrunedJobs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		job := b.ClaimOne(b.Insert(storetest.NewJob(1))[0])
		b.SettleAll(&jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: "Ann Smith has left"})
		_, err := b.Rollup(t.Context(), 100)
		b.NoError(err)
		begin := b.Now()
		b.Advance(91 * 24 * time.Hour)
		_, err = b.Prune(t.Context(), tracker.StatusFailed, b.Now().Add(-90*24*time.Hour), 100)
		b.NoError(err)
		b.NoError(b.PruneErrors(t.Context(), begin, begin, begin, b.Now().Add(-90*24*time.Hour)))
		_, err = b.Forget(t.Context(), job.Target())
		b.NoError(err)
		groups, _, err := b.ErrorGroups(t.Context(), tracker.PeriodDay, begin, b.Now(), 10)
		b.NoError(err)
		for _, g := range groups {
			if g.Text != "" {
				t.Errorf("the job is gone and its target forgotten, but the text %q is kept", g.Text)
			}
		}
	})
}

func TestCountsOfErrorsArePrunedByPeriodAndTextsAtTheEnd(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		job := b.ClaimOne(b.Insert(storetest.NewJob(1))[0])
		b.SettleAll(&jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: "quota exceeded"})
		_, err := b.Rollup(t.Context(), 100)
		b.NoError(err)
		begin, before, after := b.Now(), b.Now().Add(-24*time.Hour), b.Now().Add(time.Minute)
		for i, times := range [][3]time.Time{{before, before, before}, {after, before, before}, {after, after, before}, {after, after, after}} {
			b.NoError(b.PruneErrors(t.Context(), times[0], times[1], times[2], times[2]))
			for j, period := range []tracker.Period{tracker.PeriodMinute, tracker.PeriodHour, tracker.PeriodDay} {
				_, jobs, err := b.ErrorGroups(t.Context(), period, begin, after, 10)
				if err != nil || (jobs == 1) != (j >= i) {
					t.Errorf("step %d: the %s has %d jobs (%v)", i, period, jobs, err)
				}
			}
			var texts int
			b.NoError(db.Raw("SELECT COUNT(*) FROM nawasync_errors").Row().Scan(&texts))
			if (texts == 1) != (i < 3) {
				t.Errorf("step %d: %d texts", i, texts)
			}
		}
	})
}

// A rollup moves counts from one table to another. A reader sees each of them once.
func TestErrorsAreCountedOnceWhileTheyAreRolledUp(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		const all = 50
		var jobs []*jobstore.Job
		for i := range all {
			jobs = append(jobs, storetest.NewJob(int64(i)))
		}
		b.Insert(jobs...)
		claimed := b.ClaimDue(all, jobs[0]).Jobs
		var ended atomic.Int64
		var work sync.WaitGroup
		work.Go(func() {
			random := rand.New(rand.NewPCG(1, 1))
			for _, job := range claimed {
				out := failure(job, random)
				_, errs := b.Settle(t.Context(), []*jobstore.Outcome{out})
				for errors.Is(errs[0], jobstore.ErrBusy) { // SQLite has one writer
					_, errs = b.Settle(t.Context(), []*jobstore.Outcome{out})
				}
				if errs[0] != nil {
					t.Error(errs[0])
				}
				ended.Add(1)
			}
		})
		work.Go(func() {
			for ended.Load() < all && !t.Failed() {
				if _, err := b.Rollup(t.Context(), 3); err != nil && !errors.Is(err, jobstore.ErrBusy) {
					t.Error(err)
				}
			}
		})
		for last := int64(0); last < all && !t.Failed(); {
			before := ended.Load()
			_, n, err := b.ErrorGroups(t.Context(), tracker.PeriodDay, b.Now(), b.Now().Add(time.Minute), 1)
			b.NoError(err)
			if after := ended.Load(); n < before || n > after+1 || n < last {
				t.Errorf("%d jobs are counted after %d; %d to %d have ended", n, last, before, after)
			}
			last = n
		}
		work.Wait()
	})
}
