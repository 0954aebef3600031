package jobstore_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// A job of a long lane must not cost more than a job of a short lane. The test counts the pages
// that PostgreSQL reads: their number is the same on every machine.
func TestHundredThousandJobsOfOneLaneCostNoMoreThanHundredThousandLanes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("inserts 200,000 rows")
	}
	db := testdb.Postgres(t)
	b := storetest.New(t, db)
	const n = 100_000
	// Finished jobs, which no lookup of a lane may scan.
	b.NoError(db.Exec(`INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane, attempt, max_attempts,
 status, service, type, action, instance, target_id, queue, triggered_by, trigger_source)
 SELECT i, i, 1, 1, 1, 1, 1, 0, TRUE, 1, 3, 'success', 'whm', 'mailbox', 'update', 'main', 'old', 'default', '', 'manual' FROM generate_series(1, 50000) i`).Error)
	fill := func(lane func(i int) int64) []*jobstore.Job {
		jobs := make([]*jobstore.Job, n)
		for i := range jobs {
			jobs[i] = storetest.NewJob(lane(i))
		}
		b.NoError(b.InsertOwn(t.Context(), jobs))
		return jobs
	}
	many := fill(func(i int) int64 { return int64(1000 + i) })
	one := fill(func(int) int64 { return 1 })
	b.NoError(db.Exec("VACUUM ANALYZE nawasync_jobs").Error)
	// Finish some jobs of each kind of lane first: they leave dead entries in the indexes.
	for _, lane := range [][]*jobstore.Job{many, one} {
		for _, job := range lane[:200] {
			b.SettleAll(&jobstore.Outcome{Job: b.ClaimOne(job), Status: tracker.StatusSuccess})
		}
	}
	touched := func(job *jobstore.Job) int {
		return buffers(t, db, b.LaneHeadsQuery(), fmt.Sprintf(`[{"v_lane":%d}]`, job.Lane)) + buffers(t, db, b.BehindQuery(), job.ID)
	}
	touched(one[200]) // the first read cleans up the dead entries
	short, long := touched(many[200]), touched(one[200])
	if long > 2*short+10 {
		t.Errorf("a job of the long lane reads %d pages, a job of a short lane reads %d", long, short)
	}
}

// Jobs of the future in a lane are in the claim index, but not in the way of the lane's due jobs.
// The test counts pages again, for a claim and for what the ending of the claimed job reads.
func TestDelayedAndQueuedJobsOfALaneDoNotRaiseTheCostOfADueJob(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	b := storetest.New(t, db)
	const n, lane, empty = 5000, 1, 2
	newJob := func(lane int64, delay time.Duration) *jobstore.Job {
		job := storetest.NewJob(lane)
		job.Instance = fmt.Sprint("lane-", lane) // a stream of its own
		storetest.SetTargetKey(job)
		if delay > 0 {
			job.NotBefore = b.Now().Add(delay)
		}
		return job
	}
	jobs := make([]*jobstore.Job, 0, 2*n)
	for range n {
		jobs = append(jobs, newJob(lane, time.Hour), newJob(lane, 0))
	}
	b.NoError(b.InsertOwn(t.Context(), jobs))
	due := jobs[1]
	alone := b.Insert(newJob(empty, 0))[0]
	b.NoError(db.Exec("VACUUM ANALYZE nawasync_jobs").Error)
	touched := func(job *jobstore.Job) int {
		return buffers(t, db, b.LaneHeadsQuery(), fmt.Sprintf(`[{"v_lane":%d}]`, job.Lane)) + buffers(t, db, b.BehindQuery(), job.ID)
	}
	long, short := touched(due), touched(alone)
	if long > 2*short+10 {
		t.Errorf("a due job among %d delayed and %d queued ones of its lane reads %d pages, one of an empty lane %d", n, n, long, short)
	}
	// A claim finds the due job, and takes the others of its page out of the claim index.
	claimed := b.ClaimDue(10, due)
	if len(claimed.Jobs) != 1 || claimed.Jobs[0].ID != due.ID || claimed.Looks[0].Rows > 10 {
		t.Errorf("the claim started %d jobs and looked at %d rows, want the first due job and at most 10 rows", len(claimed.Jobs), claimed.Looks[0].Rows)
	}
}

var hits = regexp.MustCompile(`shared hit=(\d+)(?: read=(\d+))?`)

// buffers returns how many pages a query reads.
func buffers(t *testing.T, db *testdb.Database, query string, args ...any) int {
	t.Helper()
	var lines []string
	if err := db.Raw("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) "+query, args...).Scan(&lines).Error; err != nil {
		t.Fatal(err)
	}
	most := 0
	for _, line := range lines {
		if m := hits.FindStringSubmatch(line); m != nil {
			hit, _ := strconv.Atoi(m[1])
			read, _ := strconv.Atoi(m[2])
			most = max(most, hit+read)
		}
	}
	if most == 0 {
		t.Fatalf("EXPLAIN printed no buffers: %v", lines)
	}
	return most
}
