package worker

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
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

// Locked returns the outcomes that wait for a locked row, those that have waited longest first.
func (w *Worker) Locked() []LockedOutcome {
	w.lockedOutcomes.mu.Lock()
	list := slices.Collect(maps.Values(w.lockedOutcomes.byJob))
	w.lockedOutcomes.mu.Unlock()
	slices.SortFunc(list, func(a, b LockedOutcome) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Job, b.Job)) })
	return list
}

// maxLocked is how many outcomes may wait for locked rows before they count as pending: a host that
// locks a whole table must not stop the jobs of others.
const maxLocked = 16 * batch

// leavePending moves an outcome that waits for a locked row from its place among the pending outcomes
// to one among the locked ones, if that is free. It returns the new place.
func (w *Worker) leavePending(place chan struct{}) chan struct{} {
	if place != w.pending {
		return place
	}
	select {
	case w.waiting <- struct{}{}:
		<-w.pending
		return w.waiting
	default:
		return place
	}
}

// awaitUnlocked waits until the row is free, or until Stop. It first looks after the pause, and then
// less and less often. The outcomes that wait look at the same times, so that one statement reads many
// rows.
func (w *Worker) awaitUnlocked(locked *jobstore.LockedError, pause time.Duration) {
	for ; ; pause = min(2*pause, maxPause) {
		sinceStart := time.Since(w.started)
		if !w.waitForRetry(pause - sinceStart%pause) {
			return
		}
		free, err := w.unlocked.Do(locked)
		if free || w.ctx.Err() != nil {
			return
		}
		if err != nil {
			w.Logger.Warn("a locked row could not be looked at; trying again", "row", locked.Row, "error", err)
		}
	}
}

// findUnlocked is the batch function of unlocked.
func (w *Worker) findUnlocked(locked []*jobstore.LockedError) (free []bool, errs []error) {
	free, err := w.Store.Unlocked(w.ctx, locked)
	errs = make([]error, len(locked))
	if err != nil {
		free = make([]bool, len(locked))
		for i := range errs {
			errs[i] = err
		}
	}
	return free, errs
}
