package host

import (
	"cmp"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Tuning are the times of the engine's actors, which only tests change.
type Tuning struct {
	Relay     time.Duration // between two looks at the queued rows
	Sweep     time.Duration // between two steps of the sweep over the lanes
	Beat      time.Duration // between two heartbeats
	LeaseTTL  time.Duration // for how long after its last beat a process may claim and write
	DeadAfter time.Duration // without a beat, until others take its jobs back
	Rollup    time.Duration // between two foldings of the statistics
	Prune     time.Duration // between two rounds of the pruner
	Schedule  time.Duration // between two looks at the schedules
	Recheck   time.Duration // after a wake-up, until the relay looks whether the job was claimed
	RungCap   int           // of a queue's tasks in Redis
	// At is called at each moment of the store; nil is not.
	At func(jobstore.Moment)
}

// Or is t with the fields of other where its own are zero.
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
