// Package relay rings the doorbells of due jobs, and rings again those that got
// lost. It goes by the rows' state, never by "id greater than the last one seen":
// rows become visible out of order.
package relay

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/bell"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Relay is one process's relay; any number may run at once.
type Relay struct {
	Store  *jobstore.Store
	Bells  *bell.Bells
	Logger *slog.Logger
	Cap    int           // of a queue's tasks in Redis
	Sweep  time.Duration // between two steps of the sweep over the lanes

	processes  []tracker.Process
	readAt     time.Time
	served     map[string]bool
	marker     string
	markedAt   time.Time
	sweptAt    time.Time
	sweptAfter int64     // the lane after which the sweep goes on
	rungAt     time.Time // when rung jobs were last looked for behind a backlog
}

const (
	batch     = 500              // rows per queue and round
	rungAgain = time.Second      // between two looks for rung jobs behind a backlog
	inspect   = 100              // oldest rung rows whose tasks are looked up first; more than are rung at once
	unserved  = 5 * time.Second  // least time before a job nobody serves is looked at again
	farthest  = 10 * time.Minute // most time before a put-off job is looked at again
	sweepStep = 1000             // lanes
)

// minLane is below every lane.
const minLane = -1 << 63

// elapsed reports whether d has passed since a time, or the clock was set back.
func elapsed(now, since time.Time, d time.Duration) bool {
	age := now.Sub(since)
	return age < 0 || age >= d
}

// Tick is one round. It looks at the rows of every queue that a live process works.
func (r *Relay) Tick(ctx context.Context) (more bool, err error) {
	now := r.Store.Now()
	if elapsed(now, r.markedAt, time.Second) {
		if err := r.checkMarker(ctx); err != nil {
			return false, err // Redis is away: nothing can be rung
		}
		r.markedAt = now
	}
	if elapsed(now, r.readAt, time.Second) {
		if err := r.readProcesses(ctx); err != nil {
			return false, err
		}
		r.readAt = now
	}
	if r.sweptAt.IsZero() {
		r.sweptAfter = minLane
	}
	if elapsed(now, r.sweptAt, r.Sweep) {
		next, end, err := r.Store.SweepLanes(ctx, r.sweptAfter, sweepStep)
		if err != nil {
			return false, err
		}
		if r.sweptAfter = next; end {
			r.sweptAfter = minLane
		}
		r.sweptAt = now
	}
	for _, queue := range r.queues() {
		full, err := r.queue(ctx, queue)
		if err != nil {
			return false, err
		}
		more = more || full
	}
	return more, nil
}

// checkMarker notices that Redis lost what it held. The database remembers which
// marker its rings belong to, so that of all processes one has them rung again.
func (r *Relay) checkMarker(ctx context.Context) error {
	marker, err := r.Bells.Marker(ctx, rand.Text())
	if err != nil {
		return err
	}
	if marker == r.marker {
		return nil
	}
	if r.marker != "" {
		r.Logger.Warn("Redis lost its data; queued jobs are enqueued again")
	}
	r.Bells.Reset()
	if err := r.Store.AdoptMarker(ctx, marker); err != nil {
		return err
	}
	r.marker = marker
	return nil
}

// readProcesses learns which kinds are served, and wakes jobs of new ones.
func (r *Relay) readProcesses(ctx context.Context) error {
	list, err := r.Store.Processes(ctx)
	if err != nil {
		return err
	}
	served := map[string]bool{}
	var fresh []string
	for _, p := range list {
		for _, kind := range p.Kinds {
			if !served[kind] && !r.served[kind] {
				fresh = append(fresh, kind)
			}
			served[kind] = true
		}
	}
	if len(fresh) > 0 {
		if err := r.Store.WakeKinds(ctx, fresh); err != nil {
			return err
		}
	}
	r.processes, r.served = list, served
	return nil
}

func (r *Relay) queues() []string {
	var list []string
	for _, p := range r.processes {
		list = append(list, p.Queues...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// queue looks at one queue's due rows; full says that there may be more.
func (r *Relay) queue(ctx context.Context, queue string) (full bool, err error) {
	due, err := r.Store.Due(ctx, queue, batch)
	if err != nil || len(due) == 0 {
		return false, err
	}
	now := r.Store.Now()
	if len(due) == batch && elapsed(now, r.rungAt, rungAgain) {
		// Behind a backlog that does not get shorter lost rings would not come into sight.
		rung, err := r.Store.DueRung(ctx, queue, batch)
		if err != nil {
			return false, err
		}
		due = withoutDoubles(due, rung)
		r.rungAt = now
	}
	var put, demote, rung, ring []jobstore.Due
	for _, d := range due {
		kind := d.Job.Service + "/" + d.Job.Type + "/" + d.Job.Action
		switch {
		case !d.Paused.IsZero() || !r.served[kind]:
			put = append(put, d)
		case !d.Runnable:
			demote = append(demote, d)
		case !d.Job.RungAt.IsZero():
			rung = append(rung, d)
		default:
			ring = append(ring, d)
		}
	}
	if err := r.Store.Postpone(ctx, put, func(d jobstore.Due) time.Time { return later(d, now) }); err != nil {
		return false, err
	}
	if err := r.Store.Demote(ctx, demote); err != nil {
		return false, err
	}
	lost, err := r.lost(ctx, rung)
	if err != nil {
		return false, err
	}
	ring, capped, err := r.capped(queue, ring)
	if err != nil {
		return false, err
	}
	bells, err := r.Store.MarkRung(ctx, append(lost, ring...)) // what was rung once counts under no cap
	if err != nil {
		return false, err
	}
	missed, err := r.Bells.Ring(ctx, bells)
	if err != nil {
		// Also when this round's context has ended: a bell that is marked and did not
		// ring would be found after the recheck only.
		if undo := r.Store.Unring(context.WithoutCancel(ctx), missed); undo != nil {
			return false, undo
		}
		return false, err
	}
	return len(due) >= batch && !capped, nil
}

// withoutDoubles is both lists, each job once.
func withoutDoubles(due, rung []jobstore.Due) []jobstore.Due {
	known := map[int64]bool{}
	for _, d := range due {
		known[d.Job.ID] = true
	}
	return append(due, slices.DeleteFunc(rung, func(d jobstore.Due) bool { return known[d.Job.ID] })...)
}

// later is when a job that cannot run now is looked at again: at its pause's end,
// or, while nobody serves its kind, ever more rarely. Resuming, and a process
// that serves the kind, wake it before.
func later(d jobstore.Due, now time.Time) time.Time {
	if !d.Paused.IsZero() {
		return now.Add(min(d.Paused.Sub(now), farthest))
	}
	return now.Add(min(max(now.Sub(d.Job.CreatedAt)/2, unserved), farthest))
}

// lost finds rung jobs whose tasks do not wait in Redis although no worker has
// claimed them. Queues are first in, first out: when the oldest all wait, so do
// the younger.
func (r *Relay) lost(ctx context.Context, rung []jobstore.Due) ([]jobstore.Due, error) {
	var lost, waiting []jobstore.Due
	for i, d := range rung {
		if i == inspect && len(lost) == 0 {
			waiting = append(waiting, rung[i:]...)
			break
		}
		waits, err := r.Bells.Waits(jobstore.Bell{ID: d.Job.ID, Epoch: d.Job.Epoch, Ring: d.Job.Ring, Queue: d.Job.Queue})
		if err != nil {
			return nil, err
		}
		if waits {
			waiting = append(waiting, d)
		} else {
			lost = append(lost, d)
		}
	}
	if len(lost) > 0 {
		r.Logger.Info("tasks were lost between Redis and a worker; their jobs are enqueued again", "jobs", len(lost))
	}
	return lost, r.Store.StillRung(ctx, waiting)
}

// capped keeps the number of a queue's tasks in Redis under the cap. A trickle
// needs no counting.
func (r *Relay) capped(queue string, ring []jobstore.Due) ([]jobstore.Due, bool, error) {
	if len(ring) < batch/5 {
		return ring, false, nil
	}
	n, err := r.Bells.Pending(queue)
	if err != nil {
		return nil, false, err
	}
	if room := max(0, r.Cap-n); room < len(ring) {
		return ring[:room], true, nil
	}
	return ring, false, nil
}
