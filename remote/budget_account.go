package remote

import "github.com/nawasara/nawasync/internal/remotecall"

const (
	// parts is into how many parts a window is divided. Calls are counted for each part.
	parts = 60
	// groupParts is how many parts are a group: for each group there is a sum of its calls.
	groupParts = 5
	// peopleShare, syncShare and bulkShare are the minimum shares of the spenders, in hundredths.
	peopleShare, syncShare, bulkShare = 15, 10, 10
	// peopleReserve is the part of a budget that the others always leave to people: one in 50.
	peopleReserve = 50
	// waitingReserve is the part of their share that is left to syncs or bulk which ask for calls.
	waitingReserve = 10
	// askedParts is for how many parts of a window the minimum of syncs and bulk is kept after they have
	// asked for calls. That of people is always kept: a person does not wait for others to notice.
	askedParts = 3
)

const spenders = int(remotecall.Bulk) + 1

// terms are what does not change about a budget. Times are in milliseconds.
type terms struct {
	Calls int   `json:"calls"` // 0 is no limit
	Width int64 `json:"width"` // of a part of the window
	Kept  int64 `json:"kept"`  // how long after the end of its part a call counts
	// People is how many calls the others leave to people at least.
	People int `json:"-"`
}

// spent are calls that one part of a window has counted.
type spent struct {
	Part    int64
	Spender remotecall.Spender
	Calls   int
}

// notice is what the server has said about its limits. Times are in milliseconds.
type notice struct {
	Silence int64 `json:"silence"`  // no calls for so long
	HasLeft bool  `json:"has_left"` // Left is known
	Left    int   `json:"left"`     // calls left until Reset has passed
	Reset   int64 `json:"reset"`
	Quota   int   `json:"quota"` // a lower limit than the budget's; 0 is none
}

// request asks for the calls of up to Jobs jobs.
type request struct {
	Spender remotecall.Spender
	Calls   int     // of one job
	Jobs    int     // 0 only gives back, or looks
	Back    []spent // given back first; so many calls are granted whatever the minimums of others are
	Notice  notice
}

// answer is what an account grants. Times are in milliseconds.
type answer struct {
	jobs   int
	now    int64 // of the account's clock
	part   int64 // which part of the window counts the calls
	wait   int64 // when to ask again, if jobs is 0
	left   int   // calls left for all spenders
	silent int64 // until when no calls are made; 0 without
}

// account counts the calls of a limit scope in parts of a window: budget.lua in Go, for a process without
// Redis. See [Budget] for the reasons. It is not safe for concurrent use.
type account struct {
	first, current int64 // parts that may have calls
	counts         map[int64][spenders]int
	used           [spenders]int   // in all parts that count
	sums           map[int64]int   // of each group of parts
	asked          [spenders]int64 // the part of the last request
	silent         int64
	others         int // calls of others, as the server's answers show
	othersUntil    int64
	quota          int
	quotaUntil     int64
}

// do answers a request at the given time.
func (a *account) do(now int64, t terms, q request) answer {
	now = max(now, a.current*t.Width) // the clock may have been set back
	a.advance(now, t)
	exempt := a.giveBack(now, t, q.Back)
	a.note(now, t, q.Notice)
	out := answer{now: now, part: a.current, silent: a.silent}
	if a.silent <= now {
		out.silent = 0
	}
	limit, free := a.free(now, t)
	if q.Jobs > 0 {
		a.asked[q.Spender] = a.current
		switch {
		case a.silent > now:
			out.wait = a.silent - now
		case t.Calls == 0:
			out.jobs = q.Jobs
		default:
			available := max(a.available(now, t, q.Spender, limit, free), min(free, exempt))
			if out.jobs = min(q.Jobs, max(available, 0)/q.Calls); out.jobs == 0 {
				out.wait = a.nextChange(now, t, free < q.Calls)
			}
			a.count(now, t, a.current, q.Spender, out.jobs*q.Calls)
		}
	}
	out.left = max(free-out.jobs*q.Calls, 0)
	return out
}

// nextChange returns when more calls may be available: in the next part, or if all calls are used, when
// those of the oldest part no longer count.
func (a *account) nextChange(now int64, t terms, allUsed bool) int64 {
	if !allUsed {
		return (a.current+1)*t.Width - now
	}
	wait := (a.first+1)*t.Width + t.Kept - now
	if rest := a.othersUntil - now; rest > 0 {
		wait = min(wait, rest)
	}
	return wait
}

// counts reports whether the calls of a part still count.
func (t terms) counts(part, now int64) bool { return (part+1)*t.Width+t.Kept > now }

// advance moves the window on to now.
func (a *account) advance(now int64, t terms) {
	if a.counts == nil {
		a.counts, a.sums = map[int64][spenders]int{}, map[int64]int{}
	}
	for ; a.first <= a.current && !t.counts(a.first, now); a.first++ {
		old, ok := a.counts[a.first]
		if !ok && len(a.counts) == 0 {
			a.first = a.current + 1
			break
		}
		for s, n := range old {
			a.used[s] -= n
			a.sum(a.first, -n)
		}
		delete(a.counts, a.first)
	}
	now /= t.Width
	if a.first > a.current {
		a.first = now
	}
	a.current = max(a.current, now)
}

// sum adds calls to the sum of a part's group.
func (a *account) sum(part int64, calls int) {
	group := part / groupParts
	if a.sums[group] += calls; a.sums[group] == 0 {
		delete(a.sums, group)
	}
}

// count adds calls to a part, or removes them. It returns how many were added.
func (a *account) count(now int64, t terms, part int64, s remotecall.Spender, calls int) int {
	if t.Calls == 0 || !t.counts(part, now) {
		return 0
	}
	part = min(part, a.current)
	counts := a.counts[part]
	calls = max(calls, -counts[s])
	if calls == 0 {
		return 0
	}
	counts[s] += calls
	a.counts[part] = counts
	a.first = min(a.first, part)
	a.used[s] += calls
	a.sum(part, calls)
	return calls
}

func (a *account) giveBack(now int64, t terms, back []spent) (calls int) {
	for _, b := range back {
		calls -= a.count(now, t, b.Part, b.Spender, -b.Calls)
	}
	return calls
}

// free returns the limit that holds now, and how many of its calls are free.
func (a *account) free(now int64, t terms) (limit, free int) {
	limit = t.Calls
	if a.quotaUntil > now {
		limit = min(limit, a.quota)
	}
	free = limit
	for _, n := range a.used {
		free -= n
	}
	if a.othersUntil > now {
		free -= a.others
	}
	return limit, free
}

// available returns how many of the free calls a spender may take, so that the others can go on at the
// rate of their shares: at each time ahead, as many calls must be free by then as they may need until then.
// So what they do not use is freed step by step, until the next calls that were used leave the window.
func (a *account) available(now int64, t terms, s remotecall.Spender, limit, free int) int {
	var share, reserve int
	for other, hundredths := range [spenders]int{peopleShare, syncShare, bulkShare} {
		own := limit * hundredths / 100
		switch {
		case other == int(s):
		case other == int(remotecall.People):
			share, reserve = share+own, reserve+max(limit/peopleReserve, t.People)
		case a.asked[other] > 0 && a.current-a.asked[other] <= askedParts:
			share, reserve = share+own, reserve+min(own/waitingReserve, max(0, own-a.used[other]))
		}
	}
	window := parts * t.Width
	available, byThen := free-reserve, free
	for group := a.first / groupParts; group <= a.current/groupParts; group++ {
		if n := a.sums[group]; n > 0 {
			until := (group+1)*groupParts*t.Width + t.Kept - now
			available = min(available, byThen-reserve-int(int64(share)*min(until, window)/window))
			byThen += n
		}
	}
	return min(available, byThen-reserve-share)
}

// note corrects the account by what the server has said.
func (a *account) note(now int64, t terms, n notice) {
	if n.Silence > 0 {
		a.silent = max(a.silent, now+n.Silence)
	}
	if n.Quota > 0 {
		a.quota, a.quotaUntil = n.Quota, now+2*(t.Kept+t.Width)
	}
	if !n.HasLeft || t.Calls == 0 {
		return
	}
	a.others, a.othersUntil = 0, 0
	if _, free := a.free(now, t); free > n.Left {
		a.others, a.othersUntil = free-n.Left, now+n.Reset
	}
}
