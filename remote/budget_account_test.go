package remote //nolint:testpackage // the account is not in the API

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/testdb"
)

// The script in Redis and the account of a process count alike.
func TestScriptGrantsWhatTheAccountGrants(t *testing.T) {
	t.Parallel()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		_, client := miniRedis(t)
		compareWithAccount(t, client)
	})
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		compareWithAccount(t, testdb.Redis(t))
	})
}

func compareWithAccount(t *testing.T, client *redis.Client) {
	t.Helper()
	w := newWorld(t, 1, Budget{Calls: 100, Window: time.Minute}, client)
	b := w.processes[0].budgets
	b.service = "compare-" + b.process
	l := newLimit(b, "", w.budget)
	t.Cleanup(func() { client.Del(context.Background(), l.keys...) })
	var own account
	random := rand.New(rand.NewPCG(1, 2))
	granted := []spent{}
	for i := range 600 {
		w.now = w.now.Add(time.Duration(random.IntN(900)) * time.Millisecond)
		if i == 400 {
			w.now = w.now.Add(time.Hour)
		}
		q := request{Spender: remotecall.Spender(random.IntN(3)), Calls: 1 + random.IntN(3), Jobs: random.IntN(8)}
		if random.IntN(4) == 0 && len(granted) > 0 {
			n := random.IntN(len(granted))
			q.Back = []spent{granted[n]}
			granted = append(granted[:n], granted[n+1:]...)
		}
		switch random.IntN(60) {
		case 0:
			q.Notice = notice{Silence: int64(random.IntN(3000))}
		case 1:
			q.Notice = notice{HasLeft: true, Left: random.IntN(60), Reset: 5000}
		case 2:
			q.Notice = notice{Quota: 50 + random.IntN(60)}
		}
		want := own.do(w.now.UnixMilli(), l.terms, q)
		shared := sharedRequest{terms: l.terms, notice: q.Notice, Fresh: "1", Spender: q.Spender, Jobs: q.Jobs, JobCalls: q.Calls, Back: triples(q.Back), Spent: [][3]int64{}}
		got, err := b.run(t.Context(), l.keys, &shared)
		if err != nil {
			t.Fatal(err)
		}
		if got.answer != want {
			t.Fatalf("request %d %+v: the script grants %+v, the account %+v", i, q, got.answer, want)
		}
		if want.jobs > 0 {
			granted = append(granted, spent{want.part, q.Spender, want.jobs * q.Calls})
		}
	}
}

func TestKeysInRedisExpireAndShareASlot(t *testing.T) {
	t.Parallel()
	client := testdb.Redis(t)
	r, err := New(Config{Service: "keys-" + fmt.Sprint(time.Now().UnixNano()), Budgets: []Budget{{Calls: 5, Window: time.Minute}}, Redis: client})
	if err != nil {
		t.Fatal(err)
	}
	link := r.Link(remotecall.NewKey())
	link.Tick(t.Context(), "1", []string{"1"})
	q := remotecall.Request{Scope: "a", Calls: 1, Jobs: 1}
	r.budgets.settle = 0
	if link.Reserve(t.Context(), []remotecall.Request{q})[0].Jobs != 1 {
		t.Fatal("the new account grants nothing")
	}
	r.noteLimits(t.Context(), "a", "", response(429, "Retry-After", "60"))
	l := r.budgets.of("a", "")[0]
	t.Cleanup(func() { client.Del(context.Background(), l.keys...) })
	for _, key := range l.keys {
		if !strings.Contains(key, "{"+r.Service()+"/a}") {
			t.Errorf("the key %s has another hash tag", key)
		}
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > accountExpiry {
			t.Errorf("the key %s expires in %s", key, ttl)
		}
	}
	server, err := client.Time(t.Context()).Result()
	if diff := server.Sub(time.UnixMilli(l.serverAt)); err != nil || diff < 0 || diff > time.Minute {
		t.Errorf("the account has the time %d, and Redis %s (%v)", l.serverAt, server, err)
	}
}

func TestSpendersHaveAMinimum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, Budget{Calls: 1000, Window: 5 * time.Minute}, nil)
	grant := func(s remotecall.Spender) int {
		return w.reserve(w.processes[0], remotecall.Request{Spender: s, Calls: 1, Jobs: 1000}).Jobs
	}
	if got := grant(remotecall.Bulk); got != 830 {
		t.Errorf("bulk gets %d of 1,000 calls, want all but the minimum and the reserve of people", got)
	}
	if got := grant(remotecall.Syncs); got != 0 {
		t.Errorf("syncs get %d of the minimum of people", got)
	}
	w.step(150 * time.Second)
	if got := grant(remotecall.Syncs); got < 60 || got > 80 {
		t.Errorf("syncs get %d calls in the middle of the window, want half of what people did not use", got)
	}
	w.step(147 * time.Second)
	if got := grant(remotecall.Bulk); got < 60 || got > 80 {
		t.Errorf("bulk gets %d calls at the end of the window, want what people did not use", got)
	}
	if got := grant(remotecall.People); got < 20 || got > 40 {
		t.Errorf("people get %d calls at the end of the window, want at least 20", got)
	}
}
