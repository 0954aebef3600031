package nawasync

import (
	"fmt"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/reaper"
	"github.com/nawasara/nawasync/internal/worker"
	"github.com/nawasara/nawasync/tracker"
)

const (
	// reportAfter is how long something hinders the process before it is reported.
	reportAfter = 5 * time.Second
	// reportClock is the difference from the database's clock that is reported.
	reportClock = 5 * time.Second
)

// poolWatch remembers since when the pool has been used up.
type poolWatch struct {
	mu    sync.Mutex
	since time.Time
}

// usedUpFor returns for how long the pool has been used up at each call.
func (p *poolWatch) usedUpFor(usedUp bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !usedUp:
		p.since = time.Time{}
		return 0
	case p.since.IsZero():
		p.since = time.Now()
	}
	return time.Since(p.since)
}

// troubles returns what hinders this process. Each heartbeat stores it, so that the operators' pages
// of all processes show it.
func (e *Engine) troubles(w *worker.Worker) []tracker.Trouble {
	var list []tracker.Trouble
	now := e.store.Now()
	add := func(code tracker.TroubleCode, d time.Duration, text string) {
		list = append(list, tracker.Trouble{Code: code, Since: now.Add(-d).UTC(), Text: text})
	}
	if status := e.lastRedisStatus(); !status.DownSince.IsZero() {
		text := ""
		if status.Err != nil {
			text = status.Err.Error()
		}
		add(tracker.TroubleRedis, now.Sub(status.DownSince), text)
	}
	if d := e.poolWatch.usedUpFor(e.store.PoolUsedUp()); d >= reportAfter {
		add(tracker.TroublePool, d, "")
	} else if blocked := w.BlockedFor(); blocked >= reportAfter {
		add(tracker.TroubleBlocked, blocked, "")
	}
	list = append(list, lockedTroubles(w, e.reaper, now)...)
	if offset := time.Duration(e.clock.offset.Load()); offset.Abs() >= reportClock {
		add(tracker.TroubleClock, 0, offset.Round(time.Second).String())
	}
	return list
}

// maxTroubleJobs is how many jobs a trouble names.
const maxTroubleJobs = 20

// lockedTroubles returns the outcomes that cannot be written because another transaction has locked a row: those
// of this process, and those of jobs of dead processes, which this process would put back into the queue.
func lockedTroubles(w *worker.Worker, r *reaper.Reaper, now time.Time) (list []tracker.Trouble) {
	var own, orphaned tracker.Trouble
	for _, o := range w.Locked() {
		if d := time.Since(o.Since); d >= reportAfter {
			noteLocked(&own, o.Job, now.Add(-d), fmt.Sprintf("the outcome of job %d cannot be written: %s is locked", o.Job, o.Row))
		}
	}
	for _, o := range r.Locked() {
		if d := time.Since(o.Since); d >= reportAfter {
			noteLocked(&orphaned, o.Job, now.Add(-d), fmt.Sprintf("job %d of process %s, which died, cannot go back to the queue: %s is locked", o.Job, o.Worker, o.Row))
		}
	}
	for _, t := range []tracker.Trouble{own, orphaned} {
		if t.Code != "" {
			list = append(list, t)
		}
	}
	return list
}

// noteLocked adds a job to a trouble. The first one gives it its text.
func noteLocked(t *tracker.Trouble, job int64, since time.Time, text string) {
	if t.Code == "" {
		*t = tracker.Trouble{Code: tracker.TroubleLocked, Since: since.UTC(), Text: text}
	}
	if len(t.Jobs) < maxTroubleJobs {
		t.Jobs = append(t.Jobs, job)
	}
}
