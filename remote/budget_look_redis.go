package remote

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

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
