package remote //nolint:testpackage // the simulation needs the clock of Redis, which is not in the API

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// world simulates processes that share the budget of one limit scope, in virtual time. The server notes
// when each call arrives.
type world struct {
	t          testing.TB
	now        time.Time
	skew       []time.Duration // how much the clocks of the processes differ
	processes  []*Remote
	random     *rand.Rand
	budget     Budget
	arrivals   []time.Time
	queue      []event // calls and their jobs, not in order
	away       []bool  // which processes do not reach Redis
	dead       []bool  // and which have ended
	unheard    []bool  // which do not hear one answer in three
	duringAway int     // calls that were made without Redis
}

// network is that between a process and Redis.
type network struct{ broken, lost func() bool }

var errBroken = errors.New("no route to host")

func (network) DialHook(next redis.DialHook) redis.DialHook { return next }

func (n network) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if n.broken() {
			cmd.SetErr(errBroken)
			return errBroken
		}
		err := next(ctx, cmd)
		if n.lost() {
			err = errBroken
			cmd.SetErr(err)
		}
		return err
	}
}

func (network) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

type event struct {
	at time.Time
	do func()
}

func newWorld(t testing.TB, processes int, budget Budget, client *redis.Client) *world {
	t.Helper()
	w := &world{t: t, now: time.Unix(1_800_000_123, 0), budget: budget, random: rand.New(rand.NewPCG(19, 19))}
	for i := range processes {
		w.processes = append(w.processes, w.process(i, client))
	}
	return w
}

func (w *world) process(i int, shared *redis.Client) *Remote {
	w.away, w.unheard, w.dead = append(w.away, false), append(w.unheard, false), append(w.dead, false)
	for len(w.skew) <= i {
		w.skew = append(w.skew, time.Duration(i)*7*time.Minute)
	}
	var client redis.UniversalClient
	if shared != nil {
		own := redis.NewClient(shared.Options())
		own.AddHook(network{
			broken: func() bool { return w.away[i] }, lost: func() bool { return w.unheard[i] && w.random.IntN(3) == 0 },
		})
		w.t.Cleanup(func() { _ = own.Close() })
		client = own
	}
	r, err := New(Config{
		Service: "sim", Budgets: []Budget{w.budget}, Redis: client,
		Now: func() time.Time { return w.now.Add(w.skew[i]) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	r.budgets.serverTime = func() int64 { return w.now.UnixMilli() }
	r.budgets.redisLimit = time.Minute // the time of the machine is not that of the simulation
	return r
}

func (w *world) after(d time.Duration, do func()) { w.queue = append(w.queue, event{w.now.Add(d), do}) }

// step moves the time on and does what comes due.
func (w *world) step(d time.Duration) {
	w.now = w.now.Add(d)
	due := w.queue[:0:0]
	w.queue = slices.DeleteFunc(w.queue, func(e event) bool {
		if e.at.After(w.now) {
			return false
		}
		due = append(due, e)
		return true
	})
	for _, e := range due {
		e.do()
	}
}

// tick lets the engines of the processes that live contact Redis.
func (w *world) tick() {
	var live []string
	for i := range w.processes {
		if !w.dead[i] {
			live = append(live, fmt.Sprint(i))
		}
	}
	for i, r := range w.processes {
		if !w.dead[i] {
			r.Link(remotecall.NewKey()).Tick(w.t.Context(), fmt.Sprint(i), live)
		}
	}
}

// arrive notes calls that the server gets after a moment on the way.
func (w *world) arrive() {
	w.arrivals = append(w.arrivals, w.now.Add(time.Duration(w.random.IntN(1000))*time.Millisecond))
}

// mostInAWindow returns how many calls arrived in the fullest window.
func (w *world) mostInAWindow() (most int) {
	slices.SortFunc(w.arrivals, time.Time.Compare)
	first := 0
	for i, at := range w.arrivals {
		for w.arrivals[first].Add(w.budget.Window).Compare(at) <= 0 {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// reserve asks a process for the calls of jobs, as the engine does.
func (w *world) reserve(r *Remote, q remotecall.Request) remotecall.Grant {
	return r.Link(remotecall.NewKey()).Reserve(w.t.Context(), []remotecall.Request{q})[0]
}

// call makes one call of a job that has reserved calls, or fails to.
func (w *world) call(r *Remote, s remotecall.Spender, reserved *remotecall.Reserved) bool {
	b := r.budgets
	var back []int64
	if taken, at := reserved.Take("", 1); taken > 0 {
		back = at
	}
	if grant, _ := b.take(context.Background(), b.of("", ""), s, 1, 1, back); grant.Jobs == 0 {
		return false
	}
	if l := b.of("", "")[0]; !l.awaySince.IsZero() {
		w.duringAway++
	}
	w.arrive()
	return true
}

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

func miniRedis(t testing.TB) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return server, client
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

// rename gives the processes a service of their own in a shared Redis.
func (w *world) rename() {
	service := "sim-" + w.processes[0].budgets.process
	for _, r := range w.processes {
		r.budgets.service = service
	}
}

// join starts a further process.
func (w *world) join(client *redis.Client) {
	r := w.process(len(w.processes), client)
	r.budgets.service = w.processes[0].budgets.service
	w.processes = append(w.processes, r)
}

// forget deletes the keys of the account.
func (w *world) forget(client redis.UniversalClient) {
	client.Del(context.Background(), w.processes[0].budgets.of("", "")[0].keys...)
}
