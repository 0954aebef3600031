package remote

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/remotecall"
)

//go:embed budget.lua
var budgetScript string

const (
	// redisLimit is how long a call waits for Redis.
	redisLimit = 100 * time.Millisecond
	// redisPause is how long Redis is left alone after it has not answered.
	redisPause = time.Second
	// tickInterval is how often a process that spends contacts Redis.
	tickInterval = time.Second
	// settlePause is how long an account grants nothing after its creation: each process that has spent
	// calls of an account that was lost notices the loss and reports them.
	settlePause = tickInterval + redisLimit + 400*time.Millisecond
	// unseenAfter is how long a process may not have contacted Redis before it counts as away.
	unseenAfter = 5 * time.Second
	// accountExpiry is how long Redis keeps an account that nobody uses.
	accountExpiry = 24 * time.Hour
)

// sharedRequest is a request to an account in Redis, as budget.lua reads it.
type sharedRequest struct {
	terms
	notice

	Now        int64              `json:"now"` // 0 is the clock of the server
	Parts      int64              `json:"parts"`
	Shares     [spenders]int      `json:"shares"`
	Group      int64              `json:"group"`
	Reserve    int                `json:"people_reserve"`
	Waiting    int                `json:"waiting_reserve"`
	AskedParts int64              `json:"asked_parts"`
	Settle     int64              `json:"settle"`
	Unseen     int64              `json:"unseen"`
	Expiry     int64              `json:"expiry"`
	Process    string             `json:"process"`
	ID         string             `json:"id"`    // the account that the process knows; "" for none
	Fresh      string             `json:"fresh"` // the id of a new one
	Tick       bool               `json:"tick"`  // the process lives, and asks for the others
	Leave      bool               `json:"leave"`
	Report     bool               `json:"report"`
	Spent      [][3]int64         `json:"spent"` // what is reported
	Known      []string           `json:"known"` // the leases of others, if the account was lost
	Owner      string             `json:"owner"` // the engine of the process
	LiveKnown  bool               `json:"live_known"`
	Live       []string           `json:"live"` // the engines that live
	Leased     int                `json:"leased"`
	Action     int                `json:"action"`
	LeaseNow   int                `json:"lease_now"` // what the process may go on with
	LeaseLater int                `json:"lease_later"`
	Own        [][2]int64         `json:"own"` // what it has spent, at least
	Spender    remotecall.Spender `json:"spender"`
	JobCalls   int                `json:"job_calls"`
	Jobs       int                `json:"jobs"`
	Back       [][3]int64         `json:"back"`

	look bool // never a tick
}

// sharedAnswer is its answer.
type sharedAnswer struct {
	answer

	lost      bool // the account is not the one that the process knows
	unsettled bool // it does not know yet what was spent, and grants nothing
	lease     lease
	id        string
	processes []string // the leases of other processes, if it was a tick
}

// triples returns spent calls as budget.lua reads them.
func triples(list []spent) [][3]int64 {
	out := make([][3]int64, len(list)) // not nil, which is null in JSON
	for i, s := range list {
		out[i] = [3]int64{s.Part, int64(s.Spender), int64(s.Calls)}
	}
	return out
}

// run runs the script. It waits for Redis no longer than b.redisLimit, whatever the client's timeouts are.
func (b *budgets) run(ctx context.Context, keys []string, q *sharedRequest) (sharedAnswer, error) {
	q.Parts, q.Group, q.Shares = parts, groupParts, [spenders]int{peopleShare, syncShare, bulkShare}
	q.Reserve, q.Waiting, q.AskedParts = peopleReserve, waitingReserve, askedParts
	q.Unseen, q.Expiry, q.Process = unseenAfter.Milliseconds(), accountExpiry.Milliseconds(), b.process
	q.Leased, q.Action = leasedShare, actionCalls
	if b.serverTime != nil {
		q.Now = b.serverTime()
	}
	if q.Spent == nil {
		q.Spent = [][3]int64{}
	}
	if q.Own == nil {
		q.Own = [][2]int64{}
	}
	if q.Known == nil {
		q.Known = []string{}
	}
	if q.Live == nil {
		q.Live = []string{}
	}
	text, err := json.Marshal(q)
	if err != nil {
		return sharedAnswer{}, fmt.Errorf("ask for a budget: %w", err)
	}
	type result struct {
		values []any
		err    error
	}
	done := make(chan result, 1)
	callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.redisLimit)
	go func() { // the client may ignore the end of its context
		defer cancel()
		values, err := b.script.Run(callCtx, b.redis, keys, string(text)).Slice()
		done <- result{values, err}
	}()
	timer := time.NewTimer(b.redisLimit)
	defer timer.Stop()
	select {
	case r := <-done:
		if r.err != nil {
			return sharedAnswer{}, fmt.Errorf("ask Redis for a budget: %w", r.err)
		}
		return parseAnswer(r.values)
	case <-timer.C:
		return sharedAnswer{}, fmt.Errorf("ask Redis for a budget: no answer within %s", b.redisLimit)
	}
}

func newScript() *redis.Script { return redis.NewScript(budgetScript) }

// parseAnswer reads the answer of budget.lua.
func parseAnswer(values []any) (out sharedAnswer, err error) {
	const numbers = 10
	bad := errors.New("the answer of the budget's script in Redis is not understood; check that no other program uses keys with the prefix nawasync:budget")
	if len(values) <= numbers {
		return out, bad
	}
	var n [numbers]int64
	for i := range n {
		value, ok := values[i].(int64)
		if !ok {
			return out, bad
		}
		n[i] = value
	}
	out.lost, out.unsettled, out.lease = n[0] == 1, n[7] == 1, lease{now: int(n[8]), later: int(n[9])}
	out.answer = answer{jobs: int(n[1]), now: n[2], part: n[3], wait: n[4], left: int(n[5]), silent: n[6]}
	for i, value := range values[numbers:] {
		text, ok := value.(string)
		switch {
		case !ok:
			return out, bad
		case i == 0:
			out.id = text
		default:
			out.processes = append(out.processes, text)
		}
	}
	return out, nil
}
