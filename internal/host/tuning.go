package host

import (
	"cmp"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Tuning holds the intervals and limits of the engine's background loops. Only tests change
// them. A zero field means the default.
type Tuning struct {
	Poll      time.Duration // mean time between two looks of a worker at all streams of a queue
	Listen    time.Duration // how long one read of wake-ups from Redis waits
	Dequeue   time.Duration // pause of the asynq server between two looks at an empty queue
	Sweep     time.Duration // interval between two steps of the sweep over all lanes
	Beat      time.Duration // interval between two heartbeats
	LeaseTTL  time.Duration // how long after its last heartbeat a process may claim jobs and write to remotes
	DeadAfter time.Duration // how long after a process's last heartbeat the reaper takes over its jobs
	Rollup    time.Duration // interval between two rollups of the statistics
	Prune     time.Duration // interval between two rounds of the pruner
	Schedule  time.Duration // interval between two checks of the schedules
	Calls     time.Duration // interval between two writes of what was counted of calls of external APIs
	// At is called when the store reaches a Moment. Nil means no call.
	At func(jobstore.Moment)
}

// Or returns t with its zero fields replaced by those of other.
func (t Tuning) Or(other Tuning) Tuning {
	at := t.At
	if at == nil {
		at = other.At
	}
	return Tuning{
		At: at,
		Poll: cmp.Or(
			t.Poll,
			other.Poll,
		), Listen: cmp.Or(t.Listen, other.Listen), Dequeue: cmp.Or(t.Dequeue, other.Dequeue), Sweep: cmp.Or(t.Sweep, other.Sweep),
		Beat:     cmp.Or(t.Beat, other.Beat),
		LeaseTTL: cmp.Or(t.LeaseTTL, other.LeaseTTL), DeadAfter: cmp.Or(t.DeadAfter, other.DeadAfter),
		Rollup: cmp.Or(
			t.Rollup,
			other.Rollup,
		), Prune: cmp.Or(t.Prune, other.Prune), Schedule: cmp.Or(t.Schedule, other.Schedule), Calls: cmp.Or(t.Calls, other.Calls),
	}
}
