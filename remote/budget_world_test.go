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

func miniRedis(t testing.TB) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return server, client
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
