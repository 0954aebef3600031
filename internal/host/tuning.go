package host

import (
	"cmp"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Tuning holds the intervals and limits of the engine's background loops. Only tests change
// them. A zero field means the default.
type Tuning struct {
	Relay     time.Duration // interval between two reads of the queued rows
	Sweep     time.Duration // interval between two steps of the sweep over all lanes
	Beat      time.Duration // interval between two heartbeats
	LeaseTTL  time.Duration // how long after its last heartbeat a process may claim jobs and write to remotes
	DeadAfter time.Duration // how long after a process's last heartbeat the reaper takes over its jobs
	Rollup    time.Duration // interval between two rollups of the statistics
	Prune     time.Duration // interval between two rounds of the pruner
	Schedule  time.Duration // interval between two checks of the schedules
	Recheck   time.Duration // time from a wake-up until the relay checks whether the job was claimed
	RungCap   int           // maximum number of wake-ups of one queue in Redis
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
		At:    at,
		Relay: cmp.Or(t.Relay, other.Relay), Sweep: cmp.Or(t.Sweep, other.Sweep), Beat: cmp.Or(t.Beat, other.Beat),
		LeaseTTL: cmp.Or(t.LeaseTTL, other.LeaseTTL), DeadAfter: cmp.Or(t.DeadAfter, other.DeadAfter),
		Rollup: cmp.Or(t.Rollup, other.Rollup), Prune: cmp.Or(t.Prune, other.Prune), Schedule: cmp.Or(t.Schedule, other.Schedule),
		Recheck: cmp.Or(t.Recheck, other.Recheck), RungCap: cmp.Or(t.RungCap, other.RungCap),
	}
}
