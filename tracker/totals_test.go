package tracker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// totalsText describes the totals of all services.
func totalsText(b *storetest.Fixture, t *testing.T) string {
	t.Helper()
	totals, err := b.EndedTotals(t.Context())
	b.NoError(err)
	var text strings.Builder
	for _, total := range totals {
		fmt.Fprintf(&text, "%s %s: %d jobs, %d runs in %s, %d waits in %s\n", total.Service, total.Outcome, total.Jobs, total.Runs.Count(), total.Runs.Sum(),
			total.Waits.Count(), total.Waits.Sum())
	}
	return text.String()
}

func TestEndedTotalsCountEveryJobThatEverEndedAfterRollupAndPruning(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		if got := totalsText(b, t); got != "" {
			t.Fatalf("an empty database has the totals %s", got)
		}
		end := func() {
			for i := range 7 {
				other := storetest.NewJob(int64(100 + i))
				other.Service, other.Instance = "dns", fmt.Sprint("zone-", i)
				storetest.SetTargetKey(other)
				b.Insert(other)
				b.Advance(time.Second)
				job := b.ClaimOne(other)
				b.Advance(250 * time.Millisecond)
				b.SettleAll(&jobstore.Outcome{Job: job, Status: tracker.StatusSuccess})
				b.End(int64(i), tracker.StatusFailed)
				b.Advance(10 * time.Hour)
			}
		}
		end()
		want := "dns success: 7 jobs, 7 runs in 1.75s, 7 waits in 7s\nwhm failed: 7 jobs, 7 runs in 700ms, 7 waits in 0s\n"
		for _, limit := range []int{0, 3, 5, 100} {
			_, err := b.Rollup(t.Context(), limit)
			b.NoError(err)
			if got := totalsText(b, t); got != want {
				t.Fatalf("after a rollup of %d:\n%swant\n%s", limit, got, want)
			}
		}
		b.Advance(1000 * 24 * time.Hour)
		for _, status := range []tracker.Status{tracker.StatusSuccess, tracker.StatusFailed} {
			n, err := b.Prune(t.Context(), status, b.Now(), 100)
			b.NoError(err)
			b.NoError(b.PruneStats(t.Context(), b.Now(), b.Now()))
			if got := totalsText(b, t); got != want || n != 7 {
				t.Fatalf("after %d jobs were pruned:\n%swant\n%s", n, got, want)
			}
		}
		end()
		if got := totalsText(b, t); !strings.HasPrefix(got, "dns success: 14 jobs, 14 runs in 3.5s") {
			t.Errorf("the totals after more jobs: %s", got)
		}
	})
}

func TestHistogramCountsExactlyUpToADoublingAndKeepsItsSum(t *testing.T) {
	t.Parallel()
	var h tracker.Histogram
	for _, d := range []time.Duration{-time.Second, 500 * time.Microsecond, 4 * time.Millisecond, 4*time.Millisecond + time.Microsecond, 3 * time.Second} {
		h.Add(d)
	}
	stored, err := tracker.ParseHistogram(h.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, histogram := range []tracker.Histogram{h, stored} {
		if histogram.Sum() != 3*time.Second+8501*time.Microsecond {
			t.Errorf("the sum of %s is %s", histogram.String(), histogram.Sum())
		}
		for ms, want := range map[int]int64{1: 2, 4: 3, 8: 4, 2048: 4, 4096: 5} {
			bound := time.Duration(ms) * time.Millisecond
			if n := histogram.CountUpTo(bound); n != want {
				t.Errorf("%d durations up to %s, want %d", n, bound, want)
			}
		}
	}
	for _, text := range []string{"s:", "s:-1", "x:1", "1"} {
		if _, err := tracker.ParseHistogram(text); err == nil {
			t.Errorf("%q is a histogram", text)
		}
	}
}

func TestServiceLoadsCountOpenJobsScopesAndHeldSyncs(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		jobs := b.Insert(storetest.NewJob(1), storetest.NewJob(2), storetest.NewJob(3))
		first := b.Now()
		later := storetest.NewJob(4)
		later.NotBefore = first.Add(24 * time.Hour)
		b.Insert(later)
		b.ClaimOne(jobs[0])
		b.Advance(time.Hour) // past the deadline of the running job
		b.NoError(db.Exec(`INSERT INTO nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason)
 VALUES ('whm', 'main', ?, TRUE, '', 0, ''), ('whm', 'old', 1, TRUE, '', 0, ''), ('dns', '', ?, FALSE, '', 0, '')`,
			tracker.Forever.UnixMicro(), tracker.Forever.UnixMicro()).Error)
		b.NoError(db.Exec(`INSERT INTO nawasync_held (service, type, instance, open_key, status, job_id, snap_table, rows_known, rows_absent, rows_limit, created_at, arguments)
 VALUES ('whm', 'mailbox', 'main', 'a', 'open', 1, 't', 1, 1, 0, 0, ''), ('whm', 'mailbox', 'main', NULL, 'rejected', 1, 't', 1, 1, 0, 0, '')`).Error)
		loads, more, err := b.ServiceLoads(t.Context())
		b.NoError(err)
		want := []tracker.ServiceLoad{
			{Service: "dns", Paused: 1},
			{Service: "whm", Queued: 3, Due: 2, Running: 1, Stuck: 1, Oldest: first, Parked: 1, Held: 1},
		}
		if fmt.Sprint(loads) != fmt.Sprint(want) || more {
			t.Errorf("got %+v, %v\nwant %+v", loads, more, want)
		}
	})
}

func TestReadingTheFiguresForMetricsReadsNoEndedJob(t *testing.T) {
	t.Parallel()
	for _, open := range []func(testing.TB) *testdb.Database{testdb.Postgres, testdb.MySQL} {
		db := open(t)
		b := storetest.New(t, db)
		jobs := make([]*jobstore.Job, 5000)
		for i := range jobs {
			jobs[i] = storetest.NewJob(int64(i))
		}
		b.Insert(jobs...)
		b.NoError(db.Exec("UPDATE nawasync_jobs SET status = 'success', finished_at = 1, open_lane = NULL, wake_at = NULL WHERE target_id NOT LIKE 'box-1_'").Error)
		b.End(9000, tracker.StatusFailed)
		b.NoError(db.Exec(map[string]string{"postgres": "VACUUM ANALYZE nawasync_jobs", "mysql": "ANALYZE TABLE nawasync_jobs"}[db.Dialect]).Error)
		n := testdb.JobRowsRead(t, db, func() {
			loads, _, err := b.ServiceLoads(t.Context())
			b.NoError(err)
			open, _, err := b.OpenJobs(t.Context())
			b.NoError(err)
			totals, err := b.EndedTotals(t.Context())
			b.NoError(err)
			if len(loads) != 1 || loads[0].Queued != 10 || len(open) != 1 || len(totals) != 1 {
				t.Fatalf("%s: loads %+v, open jobs %+v, totals %+v", db.Dialect, loads, open, totals)
			}
		})
		if n < 10 || n > 200 {
			t.Errorf("%s: the figures of 10 open jobs read %d rows; there are %d jobs", db.Dialect, n, len(jobs))
		}
	}
}
