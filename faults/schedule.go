package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// faultKind is one way to break a process, a server or a connection.
type faultKind string

const (
	killWorker      faultKind = "kill-worker"      // SIGKILL; a new worker starts For later
	freezeWorker    faultKind = "freeze-worker"    // SIGSTOP, and SIGCONT after the lease has passed
	killHost        faultKind = "kill-host"        // SIGKILL of the process that dispatches
	flushRedis      faultKind = "flush-redis"      // FLUSHALL
	restartRedis    faultKind = "restart-redis"    // SIGKILL; the server starts again without data
	restartDatabase faultKind = "restart-database" // SIGKILL; the server recovers from its log
	endSessions     faultKind = "end-sessions"     // the server terminates half of its sessions
	silenceDatabase faultKind = "silence-database" // a worker's connections stop forwarding, without being closed
	silenceRedis    faultKind = "silence-redis"
	holdRows        faultKind = "hold-rows"     // the host locks snapshot rows
	holdQueued      faultKind = "hold-queued"   // the host locks queued jobs
	holdDispatch    faultKind = "hold-dispatch" // the host keeps a transaction open that has dispatched
	jumpClock       faultKind = "jump-clock"    // a worker's clock is wrong by Skew
)

// faultWeights says how often each kind is in the deck from which the schedule is drawn.
var faultWeights = map[faultKind]int{
	killWorker: 4, freezeWorker: 3, killHost: 1, flushRedis: 1, restartRedis: 1, restartDatabase: 1, endSessions: 2,
	silenceDatabase: 2, silenceRedis: 1, holdRows: 2, holdQueued: 2, holdDispatch: 1, jumpClock: 2,
}

// event is one fault of the schedule.
type event struct {
	At, For time.Duration
	Kind    faultKind
	Worker  int           // index of the worker; -1 if the fault is not in a worker
	Skew    time.Duration // of jumpClock
}

func (e event) String() string {
	text := fmt.Sprintf("%8.3fs  %-16s for %.3fs", e.At.Seconds(), e.Kind, e.For.Seconds())
	if e.Worker >= 0 {
		text += fmt.Sprintf(", worker %d", e.Worker)
	}
	if e.Skew != 0 {
		text += fmt.Sprintf(", by %s", e.Skew.Round(time.Millisecond))
	}
	return text
}

// schedule is everything about the faults that the seed decides.
type schedule struct {
	events []event
	skews  []time.Duration // by which the clock of each worker is off all the time
}

// planner draws events. Its maps hold the time at which a worker or a server is whole again.
type planner struct {
	random  *rand.Rand
	workers []time.Duration
	servers map[faultKind]time.Duration
}

// makeSchedule draws the schedule of a run. The same options give the same schedule.
func makeSchedule(o options) schedule {
	p := &planner{random: rand.New(rand.NewPCG(o.seed, 0)), workers: make([]time.Duration, o.workers), servers: map[faultKind]time.Duration{}}
	var s schedule
	for range o.workers {
		s.skews = append(s.skews, time.Duration(p.random.IntN(4001)-2000)*time.Millisecond)
	}
	var deck []faultKind
	for at := p.between(time.Second, 3*time.Second); at < o.dur; at += p.between(time.Second, 5*time.Second) {
		if len(deck) == 0 {
			deck = p.shuffledDeck(o.only)
		}
		// The first kind that can happen now leaves the deck; the others wait for their turn.
		for i, kind := range deck {
			if e, ok := p.draw(kind, at); ok && e.At+e.For <= o.dur {
				p.occupy(e)
				s.events = append(s.events, e)
				deck = slices.Delete(deck, i, i+1)
				break
			}
		}
	}
	return s
}

func (p *planner) between(low, high time.Duration) time.Duration {
	return low + time.Duration(p.random.Int64N(int64(high-low)))
}

func (p *planner) shuffledDeck(only []string) []faultKind {
	var deck []faultKind
	for _, kind := range slices.Sorted(maps.Keys(faultWeights)) {
		if len(only) == 0 || slices.Contains(only, string(kind)) {
			deck = append(deck, slices.Repeat([]faultKind{kind}, faultWeights[kind])...)
		}
	}
	p.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// draw returns an event of a kind, or false if its worker or server is still broken.
func (p *planner) draw(kind faultKind, at time.Duration) (event, bool) {
	e := event{At: at, Kind: kind, Worker: -1}
	switch kind {
	case killWorker:
		e.For = p.between(500*time.Millisecond, 3*time.Second)
	case freezeWorker:
		e.For = p.between(15*time.Second, 20*time.Second)
	case killHost:
		e.For = p.between(500*time.Millisecond, 2*time.Second)
	case restartRedis:
		e.For = p.between(time.Second, 8*time.Second)
	case restartDatabase:
		if e.For = p.between(500*time.Millisecond, 4*time.Second); p.random.IntN(4) == 0 {
			e.For = p.between(14*time.Second, 18*time.Second) // longer than a lease
		}
	case silenceDatabase, silenceRedis:
		if p.random.IntN(2) == 0 { // new connections are silent too
			e.For = p.between(2*time.Second, 18*time.Second)
		}
	case holdRows, holdQueued, holdDispatch:
		e.For = p.between(3*time.Second, 20*time.Second)
	case jumpClock:
		e.For = p.between(2*time.Second, 12*time.Second)
		e.Skew = p.between(-30*time.Second, 30*time.Second)
	case flushRedis, endSessions:
	}
	if p.servers[kind] > at {
		return e, false
	}
	switch kind {
	case killWorker, freezeWorker, silenceDatabase, silenceRedis, jumpClock:
		return p.chooseWorker(e)
	default:
		return e, true
	}
}

// chooseWorker chooses a worker that is whole. It returns false if fewer than two are, so that one
// always works.
func (p *planner) chooseWorker(e event) (event, bool) {
	var whole []int
	for i, until := range p.workers {
		if until <= e.At {
			whole = append(whole, i)
		}
	}
	if len(whole) < 2 {
		return e, false
	}
	e.Worker = whole[p.random.IntN(len(whole))]
	return e, true
}

func (p *planner) occupy(e event) {
	until := e.At + e.For + time.Second
	if e.Worker >= 0 {
		p.workers[e.Worker] = until
		return
	}
	p.servers[e.Kind] = until
}

// count returns how often each kind happens, ordered by kind.
func (s schedule) count() []tally {
	counts := map[string]int{}
	for _, e := range s.events {
		counts[string(e.Kind)]++
	}
	return sortedTallies(counts)
}

func printSchedule(w io.Writer, s schedule) {
	for i, skew := range s.skews {
		_, _ = fmt.Fprintf(w, "worker %d: the clock is off by %s\n", i, skew)
	}
	for _, e := range s.events {
		_, _ = fmt.Fprintln(w, e)
	}
}

// tally is a count with its name.
type tally struct {
	name string
	n    int
}

func sortedTallies(counts map[string]int) []tally {
	var list []tally
	for name, n := range counts {
		list = append(list, tally{name, n})
	}
	slices.SortFunc(list, func(a, b tally) int { return cmp.Compare(a.name, b.name) })
	return list
}
