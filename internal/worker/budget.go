package worker

import (
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Grant says how many jobs of a stream the budget of their remote allows.
type Grant struct {
	Jobs int
	Wait time.Duration // when to ask again, if Jobs is 0
	// Attach gives a claimed job its calls, and Return gives back those of n jobs that were not claimed.
	// Both are nil if the service has no budget.
	Attach func(job *jobstore.Job)
	Return func(n int)
}

// grants are those of the streams of a claim. Nil means that no service has a budget.
type grants map[jobstore.Stream]Grant

// claimWithinBudgets is claim for streams whose remotes may have budgets: it reserves the calls of the jobs
// first. A stream without budget waits as a whole, without a slot and without a statement.
func (p *puller) claimWithinBudgets(chosen []*stream, limit int) (started int, err error) {
	w := p.worker
	if w.Reserve == nil {
		return p.claim(chosen, limit, nil)
	}
	keys := make([]jobstore.Stream, len(chosen))
	for i, st := range chosen {
		keys[i] = st.Stream
	}
	granted, byStream := w.Reserve(w.ctx, keys, limit), make(grants, len(chosen))
	byJobs := map[int][]*stream{} // a statement claims as many jobs of each of its streams
	now := p.now()
	p.mu.Lock()
	for i, st := range chosen {
		grant := granted[i]
		if byStream[st.Stream] = grant; grant.Jobs == 0 {
			p.streams.hold(st, now+max(grant.Wait, minHold).Microseconds(), now)
			continue
		}
		byJobs[grant.Jobs] = append(byJobs[grant.Jobs], st)
	}
	p.mu.Unlock()
	for jobs, list := range byJobs {
		n, claimErr := p.claim(slices.Clone(list), jobs, byStream)
		if started += n; claimErr != nil {
			err = claimErr
		}
		byStream.returnRest(list)
	}
	return started, err
}

// attach gives a claimed job its calls.
func (g grants) attach(job *jobstore.Job) {
	if grant, ok := g[job.Stream()]; ok && grant.Attach != nil && grant.Jobs > 0 {
		grant.Attach(job)
		grant.Jobs--
		g[job.Stream()] = grant
	}
}

// returnRest gives back what the claims have left.
func (g grants) returnRest(list []*stream) {
	for _, st := range list {
		if grant := g[st.Stream]; grant.Return != nil && grant.Jobs > 0 {
			grant.Return(grant.Jobs)
		}
	}
}

// minHold is the shortest time for which a stream is left alone.
const minHold = 5 * time.Millisecond

// hold leaves a stream alone until a time.
func (s *streams) hold(st *stream, until, now int64) {
	st.heldUntil = until
	s.schedule(st, until, now)
}
