package worker

import (
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// probe starts one job of a stream whose scopes wait for a probe, if the last lap has found one. It returns
// how many jobs it has started; the slot is theirs.
func (p *puller) probe() (started int, err error) {
	p.mu.Lock()
	st := p.streams.probe
	p.streams.probe = nil
	p.mu.Unlock()
	if st == nil {
		return 0, nil
	}
	st.probedAt = time.Now()
	w := p.worker
	for _, served := range w.Serves() {
		if served.Kind != st.Kind() {
			continue
		}
		result, end, err := w.claimDue([]jobstore.Look{{Stream: st.Stream, Timeout: served.Timeout, Probe: true}}, 1)
		if err != nil {
			end(nil)
			return 0, err
		}
		for i, ctx := range end(result.Jobs) {
			go w.runJob(ctx, p, result.Jobs[i])
		}
		if len(result.Blocked) > 0 {
			err = w.demote(result.Blocked)
		}
		return len(result.Jobs), err
	}
	return 0, nil
}
