package worker

import (
	"errors"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// through observes whether claims and outcomes get through to the database. The heartbeat has a
// connection of its own and may get through although they do not.
type through struct {
	mu      sync.Mutex
	since   time.Time // when the first of the operations began that have failed without a success since; zero if none
	running map[int]time.Time
	next    int
}

// begin notes the beginning of an operation and returns a function that notes its end.
func (t *through) begin() (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running == nil {
		t.running = map[int]time.Time{}
	}
	n := t.next
	t.next++
	t.running[n] = time.Now()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.running, n)
	}
}

// end notes whether an operation has got through. Call it before its done function.
func (t *through) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.since = time.Time{}
		return
	}
	if t.since.IsZero() {
		t.since = t.oldest()
	}
}

// oldest returns when the oldest running operation began, or now.
func (t *through) oldest() time.Time {
	oldest := time.Now()
	for _, at := range t.running {
		if at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

// blockedFor returns how long nothing has got through although something should have.
func (t *through) blockedFor() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	since := t.oldest()
	if !t.since.IsZero() && t.since.Before(since) {
		since = t.since
	}
	return time.Since(since)
}

// BlockedFor returns how long neither claims nor outcomes have got through to the database. It is
// 0 or a moment if they do, and also if there were none.
func (w *Worker) BlockedFor() time.Duration { return w.through.blockedFor() }

// firstFailure returns the first error that is not only that of a locked row.
func firstFailure(errs []error) error {
	for _, err := range errs {
		var locked *jobstore.LockedError
		if err != nil && !errors.As(err, &locked) {
			return err
		}
	}
	return nil
}
