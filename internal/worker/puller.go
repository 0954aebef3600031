package worker

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// puller claims the jobs of one queue as long as there are free slots and due jobs.
type puller struct {
	worker *Worker
	queue  string
	slots  chan struct{} // one entry for each job that runs
	signal chan struct{} // has an entry when there is something new

	mu      sync.Mutex
	streams *streams
	lap     lap
}

// lap is a walk over all streams of the queue that have jobs, a page at a time. A walk reads the
// index entries of claimed jobs that the database still keeps; when it is expensive for that reason,
// the puller polls the streams that it knows, from their marks, until the next one.
type lap struct {
	poll time.Time         // when known streams are looked at again
	from []jobstore.Stream // where the next page begins, for each kind; nil between two laps
	next time.Time         // when the next lap begins
	cost time.Duration     // of the pages of this lap so far
}

// lapPage is how many streams one statement lists.
const lapPage = 200

func (p *puller) notify() {
	select {
	case p.signal <- struct{}{}:
	default:
	}
}

// wake notes a wake-up.
func (p *puller) wake(w jobstore.Wake) {
	p.mu.Lock()
	p.streams.wake(w.Stream, w.At, p.now())
	p.mu.Unlock()
	p.notify()
}

// lookAtAll makes the puller look at all streams now.
func (p *puller) lookAtAll() {
	p.mu.Lock()
	p.lap.next, p.lap.poll = time.Time{}, time.Time{}
	for _, st := range p.streams.known {
		st.fullAt = time.Time{}
	}
	p.mu.Unlock()
	p.notify()
}

func (p *puller) now() int64 { return p.worker.Store.Now().UnixMicro() }

// free returns the number of free slots.
func (p *puller) free() int { return cap(p.slots) - len(p.slots) }

// awaitSlot waits until a slot is free. It returns false when the worker drains.
func (p *puller) awaitSlot() bool {
	if !p.acquire() {
		return false
	}
	<-p.slots
	return true
}

func (p *puller) acquire() bool {
	select {
	case <-p.worker.draining:
		return false
	default:
	}
	select {
	case p.slots <- struct{}{}:
		return true
	case <-p.worker.draining:
		return false
	}
}

// acquireMore takes up to n further slots that are free and returns their number.
func (p *puller) acquireMore(n int) (taken int) {
	for taken < n {
		select {
		case p.slots <- struct{}{}:
			taken++
		default:
			return taken
		}
	}
	return taken
}

func (p *puller) release(n int) {
	for range n {
		<-p.slots
	}
}

// run pulls until the worker drains.
func (p *puller) run() {
	pause := minPause
	for p.acquire() {
		worked, err := p.round()
		switch {
		case err != nil:
			// Claims do not wait for locks on MariaDB, so one that meets a lock is no news: the other
			// transaction may have ended already.
			if !sqlkit.IsLockTimeout(err) || pause > minPause {
				p.worker.Logger.Warn("jobs could not be claimed; trying again", "queue", p.queue, "error", err)
			}
			p.worker.sleep(pause)
			pause = min(2*pause, maxPause)
		case !worked:
			p.await()
			fallthrough
		default:
			pause = minPause
		}
	}
}

const minPause, maxPause = 50 * time.Millisecond, 2 * time.Second

// round makes one claim. It has one slot and takes more. It reports whether there was anything to do.
func (p *puller) round() (worked bool, err error) {
	slots := 1
	defer func() { p.release(slots) }()
	if !p.worker.HoldsLease() {
		// Looking tells whether the database works again.
		return false, p.lapStep()
	}
	if err := p.lapStep(); err != nil {
		return false, err
	}
	if started, err := p.probe(); started > 0 || err != nil {
		slots -= started
		return true, err
	}
	slots += p.acquireMore(maxClaim - 1)
	p.mu.Lock()
	if !time.Now().Before(p.lap.poll) {
		p.streams.poll(cap(p.slots))
		p.lap.poll = time.Now().Add(p.worker.pollInterval())
	}
	chosen := p.streams.next(slots, p.now())
	p.mu.Unlock()
	if len(chosen) == 0 {
		return p.lap.from != nil, nil
	}
	started, err := p.claimWithinBudgets(chosen, slots/len(chosen))
	slots -= started
	return true, err
}

// claim claims up to limit jobs of each stream and starts them, with the calls that budget has for them. It returns how many it has started;
// their slots are theirs.
func (p *puller) claim(chosen []*stream, limit int, budget grants) (started int, err error) {
	w := p.worker
	timeouts := map[string]time.Duration{}
	for _, served := range w.Serves() {
		timeouts[served.Kind] = served.Timeout
	}
	looks := make([]jobstore.Look, 0, len(chosen))
	versions := make([]int, 0, len(chosen))
	kept := chosen[:0]
	begun := time.Now()
	p.mu.Lock()
	for _, st := range chosen {
		timeout, served := timeouts[st.Kind()]
		if !served {
			continue // a wake-up for another process
		}
		if st.after == (jobstore.Mark{}) {
			st.fullAt = begun
		}
		kept = append(kept, st)
		versions = append(versions, st.version)
		looks = append(looks, jobstore.Look{Stream: st.Stream, After: st.after, Timeout: timeout})
	}
	p.mu.Unlock()
	now := p.now()
	result, end, err := w.claimDue(looks, limit)
	cost := time.Since(begun)
	p.mu.Lock()
	for i, st := range kept {
		if err != nil {
			p.streams.makeDue(st)
			continue
		}
		if looks[i].After == (jobstore.Mark{}) {
			st.fullCost = cost
		}
		if p.streams.looked(st, versions[i], limit, result.Looks[i], now) {
			p.lap.delayPoll(begun.Add(pollPause(cost)))
		}
	}
	p.mu.Unlock()
	if err != nil {
		end(nil)
		return 0, err
	}
	for _, job := range result.Jobs {
		budget.attach(job)
	}
	for i, ctx := range end(result.Jobs) {
		go w.runJob(ctx, p, result.Jobs[i])
	}
	if len(result.Blocked) > 0 {
		err = w.demote(result.Blocked)
	}
	return len(result.Jobs), err
}

// delayPoll puts the next poll off until a time.
func (l *lap) delayPoll(until time.Time) {
	if l.poll.Before(until) {
		l.poll = until
	}
}

// lapStep lists the next page of streams, if a lap is due.
func (p *puller) lapStep() error {
	p.mu.Lock()
	if p.lap.from == nil {
		if time.Now().Before(p.lap.next) {
			p.mu.Unlock()
			return nil
		}
		p.lap.cost = 0
		for _, served := range p.worker.Serves() {
			service, rest, _ := strings.Cut(served.Kind, "/")
			typ, action, _ := strings.Cut(rest, "/")
			p.lap.from = append(p.lap.from, jobstore.Stream{Queue: p.queue, Service: service, Type: typ, Action: action})
		}
		// A wake-up that comes during the lap and asks for another one changes next again.
		p.lap.next = time.Now().Add(p.worker.pollInterval())
	}
	from := p.lap.from
	p.mu.Unlock()
	begun := time.Now()
	found, err := p.worker.listStreams(from, lapPage)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lap.cost += time.Since(begun)
	if err != nil {
		p.lap.from, p.lap.next = nil, time.Time{}
		return err
	}
	now := p.now()
	for _, state := range found {
		p.streams.list(state, now)
	}
	if p.lap.from = nextPage(from, found, lapPage); p.lap.from == nil {
		p.streams.endLap()
		p.lap.delayPoll(time.Now().Add(p.worker.pollInterval()))
		if next := time.Now().Add(lookPause(p.lap.cost)); next.After(p.lap.next) && !p.lap.next.IsZero() {
			p.lap.next = next
		}
	}
	return nil
}

// nextPage returns where the page after found begins, or nil if found was the last one.
func nextPage(from []jobstore.Stream, found []jobstore.StreamState, limit int) []jobstore.Stream {
	if len(found) < limit {
		return nil
	}
	last := map[string]string{}
	for _, state := range found {
		last[state.Kind()] = state.Instance // in the database's order, which may not be that of bytes
	}
	var next []jobstore.Stream
	for _, f := range from {
		if instance, more := last[f.Kind()]; more {
			f.Instance = instance + "\x01" // after the instance and before all longer ones
			next = append(next, f)
		}
	}
	return next
}

// await waits until a stream comes due, a lap is due, or there is a signal.
func (p *puller) await() {
	p.mu.Lock()
	wait := min(time.Until(p.lap.next), time.Until(p.lap.poll))
	if p.lap.from != nil {
		wait = 0
	}
	if at := p.streams.nextAt(); at != never {
		wait = min(wait, time.Duration(at-p.now())*time.Microsecond)
	}
	p.mu.Unlock()
	if !p.worker.HoldsLease() {
		wait = max(wait, minPause)
	}
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.signal:
	case <-p.worker.draining:
	}
}

// pollInterval returns the time between two laps: Poll, longer or shorter by up to half, so that
// the processes do not look at the same time.
func (w *Worker) pollInterval() time.Duration {
	return w.Poll/2 + rand.N(w.Poll)
}

// listStreams lists streams for a lap.
func (w *Worker) listStreams(from []jobstore.Stream, limit int) ([]jobstore.StreamState, error) {
	ctx, cancel := context.WithTimeout(w.ctx, claimTimeout)
	defer cancel()
	defer w.through.begin()()
	found, err := w.Store.ListStreams(ctx, from, limit)
	w.through.end(err)
	return found, err
}
