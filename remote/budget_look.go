package remote

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// BudgetShare is what one kind of work has of a budget.
type BudgetShare struct {
	Minimum int `json:"minimum"` // calls of a window that others leave to it
	Used    int `json:"used"`    // calls that count now
}

// BudgetUse is a BudgetState with who has used the calls that count now.
type BudgetUse struct {
	BudgetState
	// People, Syncs and Bulk are the shares of jobs of users, of syncs, and of jobs that were dispatched in bulk.
	People, Syncs, Bulk BudgetShare
	// Shared reports whether the figures are those of all processes. Without Config.Redis they are those of
	// this one.
	Shared bool

	at      time.Time
	leaving []leaving
}

// leaving are calls that no longer count from a time on.
type leaving struct {
	at    time.Time
	calls int
}

// maxLook is how many limit scopes BudgetsIn looks at.
const maxLook = 200

// BudgetsIn returns how the budgets of limit scopes stand, in the order of the limit scopes: of the first 200 of
// the given ones. With Config.Redis these are the budgets that all processes share, also those of limit scopes that
// this process has not called, so that a process which only serves pages can show them. Without it, these are the
// limit scopes that this process has called. It reads Redis once, changes nothing there, and waits no longer than
// 0.1 s. If Redis does not answer, Left and what was used are negative, and AwaySince says since when.
// [BudgetUse.LastsUntil] has a forecast.
func (r *Remote) BudgetsIn(ctx context.Context, scopes []string) []BudgetUse {
	b, now := r.budgets, r.budgets.now()
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	var limits []*limit
	for _, scope := range scopes[:min(maxLook, len(scopes))] {
		limits = append(limits, b.look(scope)...)
	}
	list := make([]BudgetUse, 0, len(limits))
	if b.redis == nil {
		for _, l := range limits {
			if u, err := l.localUse(ctx, now); err == nil {
				list = append(list, u)
			}
		}
	} else {
		list = b.sharedUse(ctx, now, limits)
	}
	for i := range list {
		if until := r.silentUntil(list[i].Scope); until.After(list[i].SilentUntil) {
			list[i].SilentUntil = until
		}
	}
	list = slices.DeleteFunc(list, func(u BudgetUse) bool { return u.Calls == 0 && u.SilentUntil.IsZero() })
	slices.SortStableFunc(list, func(a, b BudgetUse) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Window, b.Window))
	})
	return list
}

// look returns the limits of all classes of a limit scope. With Redis, they include those that this process does
// not use; they are not kept.
func (b *budgets) look(scope string) (list []*limit) {
	classes := []string{""}
	for _, budget := range b.list {
		if !slices.Contains(classes, budget.Class) {
			classes = append(classes, budget.Class)
		}
	}
	for _, class := range classes {
		b.mu.Lock()
		known := b.limits[limitKey{scope, class}]
		b.mu.Unlock()
		list = append(list, known...)
		for _, budget := range b.list {
			if known == nil && b.redis != nil && budget.Class == class {
				list = append(list, newLimit(b, scope, budget))
			}
		}
	}
	return list
}

// localUse returns how the account of this process stands.
func (l *limit) localUse(ctx context.Context, now time.Time) (BudgetUse, error) {
	if err := l.lock(ctx); err != nil {
		return BudgetUse{}, err
	}
	defer l.unlock()
	out := l.local.do(now.UnixMilli(), l.terms, request{})
	u := l.use(now, &l.local, out.now)
	if u.Left = out.left; out.silent > out.now {
		u.SilentUntil = now.Add(time.Duration(out.silent-out.now) * time.Millisecond)
	}
	return u, nil
}

// use returns what an account has counted. at is the time by the clock of the account.
func (l *limit) use(now time.Time, a *account, at int64) BudgetUse {
	share := func(s remotecall.Spender, hundredths int) BudgetShare {
		return BudgetShare{Minimum: l.terms.Calls * hundredths / 100, Used: a.used[s]}
	}
	u := BudgetUse{
		BudgetState: BudgetState{Scope: l.scope, Budget: l.budget}, at: now,
		People: share(remotecall.People, peopleShare), Syncs: share(remotecall.Syncs, syncShare), Bulk: share(remotecall.Bulk, bulkShare),
	}
	for _, part := range slices.Sorted(maps.Keys(a.counts)) {
		calls := 0
		for _, n := range a.counts[part] {
			calls += n
		}
		end := (part+1)*l.terms.Width + l.terms.Kept
		u.leaving = append(u.leaving, leaving{now.Add(time.Duration(end-at) * time.Millisecond), calls})
	}
	return u
}

// sharedUse returns how accounts in Redis stand.
func (b *budgets) sharedUse(ctx context.Context, now time.Time, limits []*limit) []BudgetUse {
	list := make([]BudgetUse, len(limits))
	read, err := b.readAccounts(ctx, now, limits)
	for i, l := range limits {
		if err != nil {
			list[i] = l.use(now, &account{used: [spenders]int{-1, -1, -1}}, 0)
			list[i].Left, list[i].AwaySince = -1, b.awaySince(now)
		} else {
			list[i] = read.use(now, l, i)
		}
		list[i].Shared = true
	}
	return list
}

// accountsRead is what Redis has of accounts, in their order.
type accountsRead struct {
	at       int64 // the clock of Redis, in milliseconds
	accounts []map[string]string
	silences []string
}

// readAccounts reads accounts in one round trip.
func (b *budgets) readAccounts(ctx context.Context, now time.Time, limits []*limit) (accountsRead, error) {
	if b.redisPauses(now) {
		return accountsRead{}, errAway
	}
	type result struct {
		read accountsRead
		err  error
	}
	done := make(chan result, 1)
	callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.redisLimit)
	go func() { // the client may ignore the end of its context
		defer cancel()
		read, err := readPipeline(callCtx, b.redis, limits)
		done <- result{read, err}
	}()
	timer := time.NewTimer(b.redisLimit)
	defer timer.Stop()
	out := result{err: fmt.Errorf("read budgets from Redis: no answer within %s", b.redisLimit)}
	select {
	case out = <-done:
	case <-timer.C:
	}
	if out.err != nil {
		b.pauseRedis(now)
	} else if b.serverTime != nil {
		out.read.at = b.serverTime()
	}
	b.noteLook(now, out.err)
	return out.read, out.err
}

func readPipeline(ctx context.Context, client redis.UniversalClient, limits []*limit) (accountsRead, error) {
	pipeline := client.Pipeline()
	clock := pipeline.Time(ctx)
	accounts, silences := make([]*redis.MapStringStringCmd, len(limits)), make([]*redis.StringCmd, len(limits))
	for i, l := range limits {
		accounts[i], silences[i] = pipeline.HGetAll(ctx, l.keys[0]), pipeline.Get(ctx, l.keys[1])
	}
	if _, err := pipeline.Exec(ctx); err != nil && err != redis.Nil { //nolint:errorlint // the first error of a command, unwrapped
		return accountsRead{}, fmt.Errorf("read budgets from Redis: %w", err)
	}
	read := accountsRead{at: clock.Val().UnixMilli()}
	for i := range limits {
		read.accounts, read.silences = append(read.accounts, accounts[i].Val()), append(read.silences, silences[i].Val())
	}
	return read, nil
}

// use returns how an account in Redis stands.
func (r *accountsRead) use(now time.Time, l *limit, i int) BudgetUse {
	a, at := r.account(i)
	a.advance(at, l.terms)
	u := l.use(now, &a, at)
	_, free := a.free(at, l.terms)
	u.Left = max(0, free)
	if a.silent > at {
		u.SilentUntil = now.Add(time.Duration(a.silent-at) * time.Millisecond)
	}
	return u
}

// account returns an account in Redis, and the time by the clock of the account.
func (r *accountsRead) account(i int) (a account, at int64) {
	number := func(text string) int64 {
		n, _ := strconv.ParseFloat(text, 64) // Lua writes its numbers
		return int64(n)
	}
	fields := r.accounts[i]
	a = account{
		first: number(fields["first"]), current: number(fields["current"]), counts: map[int64][spenders]int{}, sums: map[int64]int{},
		silent: number(r.silences[i]), others: int(number(fields["others"])), othersUntil: number(fields["others_until"]),
		quota: int(number(fields["quota"])), quotaUntil: number(fields["quota_until"]),
	}
	for name, value := range fields {
		part, spender, _ := strings.Cut(name, ":")
		s, err := strconv.Atoi(spender)
		n, partErr := strconv.ParseInt(part, 10, 64)
		switch {
		case err != nil || s < 0 || s >= spenders:
		case part == "used":
			a.used[s] = int(number(value))
		case part == "asked":
			a.asked[s] = number(value)
		case partErr == nil:
			counts := a.counts[n]
			counts[s] = int(number(value))
			a.counts[n] = counts
			a.sum(n, counts[s])
		}
	}
	return a, max(r.at, number(fields["at"]))
}

// noteLook notes whether Redis has answered.
func (b *budgets) noteLook(now time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.lookAway = time.Time{}
	case b.lookAway.IsZero():
		b.lookAway = now
	}
}

// awaySince returns since when Redis has not answered, as far as this process knows.
func (b *budgets) awaySince(now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lookAway.IsZero() {
		return now
	}
	return b.lookAway
}

// LastsUntil returns when no calls are left if as many calls a minute are made as given, for example tracker.Quota.Rate:
// calls that have left the window are free again. It returns the zero time if the calls do not run out.
func (u *BudgetUse) LastsUntil(perMinute float64) time.Time {
	rate := perMinute / float64(time.Minute)
	if rate <= 0 || u.Left < 0 || u.Calls == 0 {
		return time.Time{}
	}
	free := float64(u.Left)
	for _, l := range u.leaving {
		if after := l.at.Sub(u.at); free < rate*float64(after) {
			break
		}
		free += float64(l.calls)
	}
	// From a window from now on, the calls of this forecast leave the window as fast as new ones are made.
	if lasts := time.Duration(free / rate); lasts < u.Window {
		return u.at.Add(lasts)
	}
	return time.Time{}
}
