package remote //nolint:testpackage // the simulation needs the clock of Redis, which is not in the API

import (
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// traffic is the load of the issue: jobs in bulk, a full sync of zones, and a user.
type traffic struct {
	*world
	bulk, zones, zonesDone, bulkDone, bulkRunning, zonesRunning int

	actions    map[time.Time]bool // those that wait
	worst      time.Duration
	nextAction time.Time
	held       [][spenders]time.Time // by process
}

const slotsOfProcess = 10

// longestRun is how long the load may take by the virtual clock.
const longestRun = time.Hour

// run runs the load, with an action of a user in each time every, and returns how long it took. during is called in each step.
func (w *world) run(bulk, zones int, every time.Duration, during func(passed time.Duration)) (took time.Duration, x *traffic) {
	w.t.Helper()
	x = &traffic{world: w, bulk: bulk, zones: zones, actions: map[time.Time]bool{}, held: make([][spenders]time.Time, 100)}
	begun, ticked := w.now, time.Time{}
	const step = 100 * time.Millisecond
	for x.bulkDone < bulk || x.zonesDone < zones {
		if w.now.Sub(begun) > longestRun {
			w.t.Fatalf("after %s, %d of %d jobs in bulk and %d of %d zones are done", longestRun, x.bulkDone, bulk, x.zonesDone, zones)
		}
		w.step(step)
		if during != nil {
			during(w.now.Sub(begun))
		}
		if w.now.Sub(ticked) >= time.Second {
			ticked = w.now
			w.tick()
		}
		if !w.now.Before(x.nextAction) {
			x.actions[w.now] = true
			x.nextAction = w.now.Add(every)
		}
		for i, first := 0, w.random.IntN(len(w.processes)); i < len(w.processes); i++ { // they claim at the same time
			i := (first + i) % len(w.processes)
			r := w.processes[i]
			if w.dead[i] {
				continue
			}
			x.people(r)
			x.jobs(i, r, remotecall.Syncs)
			x.jobs(i, r, remotecall.Bulk)
		}
	}
	for len(w.queue) > 0 {
		w.step(step)
	}
	return w.now.Sub(begun), x
}

// people starts the actions of the user that a process can start.
func (x *traffic) people(r *Remote) {
	for at := range x.actions {
		q := remotecall.Request{Spender: remotecall.People, Calls: 2, Jobs: 10}
		grant := x.reserve(r, q)
		if grant.Jobs == 0 {
			continue
		}
		r.Link(remotecall.NewKey()).Return(x.t.Context(), q, grant, grant.Jobs-1)
		x.worst = max(x.worst, x.now.Sub(at))
		delete(x.actions, at)
		x.start(r, remotecall.People, grant.For(q), 2, func(bool) {})
	}
}

// jobs starts what the slots of a process and the budget allow.
func (x *traffic) jobs(i int, r *Remote, s remotecall.Spender) {
	if x.now.Before(x.held[i][s]) {
		return
	}
	todo, running, done := &x.bulk, &x.bulkRunning, &x.bulkDone
	if s == remotecall.Syncs {
		todo, running, done = &x.zones, &x.zonesRunning, &x.zonesDone
	}
	jobs := min(*todo-*done-*running, slotsOfProcess)
	if jobs <= 0 {
		return
	}
	q := remotecall.Request{Spender: s, Calls: 1, Jobs: jobs}
	grant := x.reserve(r, q)
	if grant.Jobs == 0 {
		x.held[i][s] = x.now.Add(grant.Wait)
		return
	}
	x.held[i][s] = x.now.Add(500 * time.Millisecond) // the slots are full
	for range grant.Jobs {
		*running++
		calls := 1
		if s == remotecall.Syncs {
			calls = 2 // it takes the second page without a reservation
		}
		x.start(r, s, grant.For(q), calls, func(ok bool) {
			if *running--; ok {
				*done++
			}
		})
	}
}

// start makes the calls of a job one after another. A job whose call has no budget runs again.
func (x *traffic) start(r *Remote, s remotecall.Spender, reserved *remotecall.Reserved, calls int, end func(ok bool)) {
	x.after(time.Duration(50+x.random.IntN(400))*time.Millisecond, func() {
		switch ok := x.call(r, s, reserved); {
		case !ok || calls == 1:
			end(ok)
			r.Link(remotecall.NewKey()).ReturnRest(x.t.Context(), s, reserved)
		default:
			x.start(r, s, reserved, calls-1, end)
		}
	})
}

// check checks that the budget was kept. late is by how many hundredths the work may take longer than the
// budget allows, and a user must not have waited; 0 does not check either.
func (x *traffic) check(what string, took time.Duration, late int) {
	x.t.Helper()
	most := x.mostInAWindow()
	windows := float64(len(x.arrivals)) / float64(x.budget.Calls)
	allowed := time.Duration(windows * float64(x.budget.Window))
	x.t.Logf("%s: %d calls in %s (the budget allows them in %s), at most %d in a window, the longest wait of a user %s",
		what, len(x.arrivals), took, allowed.Round(time.Second), most, x.worst)
	if most > x.budget.Calls {
		x.t.Errorf("%s: %d calls in a window, of %d", what, most, x.budget.Calls)
	}
	if late > 0 && (took > allowed*time.Duration(100+late)/100 || x.worst > 2*time.Second) {
		x.t.Errorf("%s took %s, and a user waited %s", what, took, x.worst)
	}
}
