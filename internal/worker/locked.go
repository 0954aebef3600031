package worker

import (
	"sync"
	"time"
)

// lockedOutcomes are the outcomes that cannot be written because another transaction has locked a
// row.
type lockedOutcomes struct {
	mu    sync.Mutex
	byJob map[int64]LockedOutcome
}

// LockedOutcome is an outcome that waits for a locked row.
type LockedOutcome struct {
	Job   int64
	Row   string // names the row, for example "row 17 of mailboxes"
	Since time.Time
}

func (l *lockedOutcomes) add(job int64, row string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byJob == nil {
		l.byJob = map[int64]LockedOutcome{}
	}
	if _, known := l.byJob[job]; !known {
		l.byJob[job] = LockedOutcome{job, row, time.Now()}
	}
}

func (l *lockedOutcomes) remove(job int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byJob, job)
}

// OldestLocked returns the outcome that has waited longest for a locked row. ok is false if there is
// none.
func (w *Worker) OldestLocked() (oldest LockedOutcome, ok bool) {
	w.lockedOutcomes.mu.Lock()
	defer w.lockedOutcomes.mu.Unlock()
	for _, o := range w.lockedOutcomes.byJob {
		if !ok || o.Since.Before(oldest.Since) {
			oldest, ok = o, true
		}
	}
	return oldest, ok
}
