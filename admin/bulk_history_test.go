package admin_test

import (
	"cmp"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// past is a job of a random history, as the model sees it.
type past struct {
	id, original, retryOf, retriedAs int64
	object                           int
	action                           string
	status                           tracker.Status
}

// randomHistories returns the jobs of n objects in random order. IDs begin at 1.
func randomHistories(random *rand.Rand, n int) []*past {
	statuses := []tracker.Status{
		tracker.StatusFailed, tracker.StatusFailed, tracker.StatusFailed, tracker.StatusCancelled, tracker.StatusSkipped, tracker.StatusConflict,
		tracker.StatusSuccess, tracker.StatusQueued,
	}
	var jobs []*past
	for range 5 * n {
		job := &past{
			id: int64(len(jobs) + 1), object: random.IntN(n), action: []string{"create", "update", "delete", tracker.RefreshAction}[random.IntN(4)],
			status: statuses[random.IntN(len(statuses))],
		}
		job.original = job.id
		if random.IntN(2) == 0 {
			retry(random, jobs, job)
		}
		jobs = append(jobs, job)
	}
	return jobs
}

func (p *past) canBeRetried() bool {
	return p.retriedAs == 0 && slices.Contains([]tracker.Status{tracker.StatusFailed, tracker.StatusCancelled, tracker.StatusSkipped}, p.status)
}

// retry makes a job the retry of an earlier one of its object, if there is one that can be retried.
func retry(random *rand.Rand, jobs []*past, job *past) {
	for _, i := range random.Perm(len(jobs)) {
		old := jobs[i]
		if old.object == job.object && old.canBeRetried() {
			job.retryOf, job.original, job.action = old.id, old.original, old.action
			if job.status != tracker.StatusCancelled {
				old.retriedAs = job.id
			}
			return
		}
	}
}

// wanted returns the jobs of each object that a bulk retry of jobs with some statuses must retry, in the order of
// their retries.
func wanted(jobs []*past, selected func(tracker.Status) bool) map[int][]int64 {
	chosen := map[int][]*past{}
	for _, job := range jobs {
		if job.canBeRetried() && selected(job.status) && !slices.ContainsFunc(jobs, func(other *past) bool { return standsInTheWay(job, other, selected) }) {
			chosen[job.object] = append(chosen[job.object], job)
		}
	}
	ids := map[int][]int64{}
	for object, list := range chosen {
		slices.SortFunc(list, func(a, b *past) int { return cmp.Or(cmp.Compare(a.original, b.original), cmp.Compare(a.id, b.id)) })
		for _, job := range list {
			ids[object] = append(ids[object], job.id)
		}
	}
	return ids
}

// standsInTheWay reports whether other asks for a later change, so that job must not be retried.
func standsInTheWay(job, other *past, selected func(tracker.Status) bool) bool {
	if other.object != job.object || cmp.Or(cmp.Compare(other.original, job.original), cmp.Compare(other.id, job.id)) <= 0 {
		return false
	}
	switch other.status {
	case tracker.StatusSuccess:
		return other.action != tracker.RefreshAction
	case tracker.StatusCancelled, tracker.StatusSkipped:
		return other.action == job.action && selected(other.status)
	}
	return other.action == job.action
}

// store dispatches the jobs and then gives them their history.
func (s *site) store(jobs []*past) {
	s.t.Helper()
	var args []nawasync.Args
	for _, job := range jobs {
		args = append(args, chore{ID: fmt.Sprint("object", job.object)})
	}
	added, err := s.engine.DispatchMany(s.t.Context(), args, nawasync.Options{By: "user:7"})
	noError(s.t, err)
	first := added[0].ID - 1
	id := func(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n + first, Valid: n != 0} }
	tx := s.db.Begin()
	for i, job := range jobs {
		if added[i].ID != job.id+first {
			s.t.Fatalf("job %d has the id %d", job.id, added[i].ID)
		}
		original := id(job.original)
		original.Valid = job.retryOf != 0
		set := "action = ?, status = ?, retry_of = ?, retried_as = ?, original = ?"
		values := []any{job.action, string(job.status), id(job.retryOf), id(job.retriedAs), original}
		if job.status.Terminal() {
			set, values = set+", finished_at = ?, open_lane = NULL, wake_at = NULL", append(values, time.Now().UnixMicro())
		}
		noError(s.t, tx.Exec("UPDATE nawasync_jobs SET "+set+" WHERE id = ?", append(values, added[i].ID)...).Error)
	}
	noError(s.t, tx.Commit().Error)
	for _, job := range jobs {
		job.id, job.original = job.id+first, job.original+first
	}
}

// TestBulkRetryOfRandomHistoriesIsThatOfThePlainModel compares the retries of a run, and their order, with a model.
func TestBulkRetryOfRandomHistoriesIsThatOfThePlainModel(t *testing.T) {
	t.Parallel()
	for query, statuses := range map[string][]tracker.Status{
		"status:failed":           {tracker.StatusFailed},
		"status:cancelled,failed": {tracker.StatusCancelled, tracker.StatusFailed},
		"type:mailbox":            tracker.Statuses(),
	} {
		t.Run(query, func(t *testing.T) {
			testdb.Each(t, func(t *testing.T, db *testdb.Database) {
				s, seed, objects := newSite(t, db, "", nil), rand.Uint64(), 120
				noError(t, admin.Register(s.engine, s.enforcer))
				noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "test"}))
				jobs := randomHistories(rand.New(rand.NewPCG(seed, 0)), objects)
				s.store(jobs)
				want := wanted(jobs, func(status tracker.Status) bool { return slices.Contains(statuses, status) })
				s.start()
				s.retryAll(query)
				got := s.retriedJobs(jobs)
				for o := range objects {
					if !slices.Equal(got[o], want[o]) {
						t.Errorf("seed %d: of object %d, the jobs %v were retried, want %v; its history: %s", seed, o, got[o], want[o], historyOf(jobs, o))
					}
				}
			})
		})
	}
}

// retriedJobs returns the jobs of each object that bulk runs have retried, in the order of the retries.
func (s *site) retriedJobs(jobs []*past) map[int][]int64 {
	s.t.Helper()
	object, retried := map[int64]int{}, map[int][]int64{}
	for _, job := range jobs {
		object[job.id] = job.object
	}
	var made []int64
	noError(s.t, s.db.Raw("SELECT retry_of FROM nawasync_jobs JOIN nawasync_bulk_jobs ON job_id = id ORDER BY id").Scan(&made).Error)
	for _, id := range made {
		retried[object[id]] = append(retried[object[id]], id)
	}
	return retried
}

func historyOf(jobs []*past, object int) (list []string) {
	for _, job := range jobs {
		if job.object == object {
			list = append(list, fmt.Sprintf("%+v", *job))
		}
	}
	return list
}
