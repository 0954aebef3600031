package reaper

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Waiting is a job of a dead process that cannot go back to the queue yet.
type Waiting struct {
	Job    int64
	Worker string    // the dead process
	Row    string    // names the row that another transaction has locked; "" if the reason is another one
	Since  time.Time // when that was first seen
}

// maxWaiting is how many such jobs are remembered. The list of running jobs finds the others.
const maxWaiting = 10_000

// waiting are the jobs that cannot go back to the queue yet. It is safe for concurrent use.
type waiting struct {
	mu   sync.Mutex
	jobs map[jobstore.Claim]Waiting
}

func claimOf(job *jobstore.Job) jobstore.Claim { return jobstore.Claim{ID: job.ID, Epoch: job.Epoch} }

// add remembers a job. Since stays what it was if the job waits for the same row as before.
func (w *waiting) add(job *jobstore.Job, row string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs == nil {
		w.jobs = map[jobstore.Claim]Waiting{}
	}
	known, found := w.jobs[claimOf(job)]
	if found && known.Row == row || !found && len(w.jobs) >= maxWaiting {
		return
	}
	w.jobs[claimOf(job)] = Waiting{job.ID, job.Worker, row, now}
}

func (w *waiting) remove(claims ...jobstore.Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range claims {
		delete(w.jobs, c)
	}
}

// some returns up to limit of the jobs, each time others.
func (w *waiting) some(limit int) []jobstore.Claim {
	w.mu.Lock()
	defer w.mu.Unlock()
	claims := make([]jobstore.Claim, 0, min(limit, len(w.jobs)))
	for c := range w.jobs {
		if len(claims) == limit {
			break
		}
		claims = append(claims, c)
	}
	return claims
}

// without returns the jobs that do not wait.
func (w *waiting) without(jobs []*jobstore.Job) []*jobstore.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(jobs, func(job *jobstore.Job) bool {
		_, found := w.jobs[claimOf(job)]
		return found
	})
}

// locked returns the jobs whose rows are locked, those that have waited longest first.
func (w *waiting) locked() []Waiting {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Waiting
	for _, one := range w.jobs {
		if one.Row != "" {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b Waiting) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Job, b.Job)) })
	return list
}

// Locked returns the jobs of dead processes that cannot go back to the queue because another transaction
// has locked a row, those that have waited longest first. It is safe for concurrent use.
func (r *Reaper) Locked() []Waiting { return r.waiting.locked() }
