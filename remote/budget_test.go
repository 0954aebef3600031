package remote //nolint:testpackage // see budget_world_test.go

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/testdb"
)

// cloudflare is the limit of Cloudflare's API.
func cloudflare() Budget { return Budget{Calls: 1200, Window: 5 * time.Minute} }

// tenth is for a tenth of the load, in a fifth of the time.
func tenth() Budget { return Budget{Calls: 120, Window: time.Minute} }

// 5,000 jobs in bulk, a sync of 200 zones, and a user. Redis is away for longer than two windows, and then
// loses its data.
func TestProcessesShareABudgetInRedis(t *testing.T) {
	t.Parallel()
	client := testdb.Redis(t)
	w := newWorld(t, 4, cloudflare(), client)
	w.rename()
	defer w.forget(client)
	took, x := w.run(5000, 200, 10*time.Second, func(passed time.Duration) {
		w.setAway(passed > 200*time.Second && passed < 1000*time.Second)
		if passed == 1100*time.Second {
			w.forget(client)
		}
	})
	x.check("5,000 jobs and 200 zones", took, 10)
}

func TestProcessesShareABudgetWithoutACallTooMany(t *testing.T) {
	t.Parallel()
	_, client := miniRedis(t)
	w := newWorld(t, 4, tenth(), client)
	took, x := w.run(250, 10, 20*time.Second, nil)
	x.check("250 jobs and 10 zones", took, 10)
}

func TestBudgetIsKeptWhenRedisLosesItsData(t *testing.T) {
	t.Parallel()
	server, client := miniRedis(t)
	w := newWorld(t, 4, tenth(), client)
	lost := 0
	took, x := w.run(250, 10, 20*time.Second, func(passed time.Duration) {
		if passed%(37*time.Second) == 0 && lost < 5 {
			lost++
			server.FlushAll()
		}
	})
	x.check("with FLUSHALL every 37 s", took, 0)
}

func TestBudgetIsKeptWithoutRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, cloudflare(), nil)
	took, x := w.run(5000, 200, 10*time.Second, nil)
	x.check("one process without Redis", took, 10)
}

// A replica that takes the place of a Redis may not know the last calls.
func TestBudgetIsKeptWhenAReplicaTakesOver(t *testing.T) {
	t.Parallel()
	client := testdb.Redis(t)
	w := newWorld(t, 2, Budget{Calls: 100, Window: time.Minute}, client)
	w.rename()
	defer w.forget(client)
	reserve := func(i int) int {
		return w.reserve(w.processes[i], remotecall.Request{Calls: 1, Jobs: 60}).Jobs
	}
	w.tick()
	reserve(0) // the account is new
	w.step(2 * time.Second)
	if first, second := reserve(0), reserve(1); first != 60 || second < 25 { // the first has a lease
		t.Fatalf("granted %d and %d of 100", first, second)
	}
	account := w.processes[0].budgets.of("", "")[0].keys[0]
	early := client.HGetAll(t.Context(), account).Val()
	for field := range early {
		if strings.HasPrefix(field, "used") || strings.HasSuffix(field, ":0") {
			client.HSet(t.Context(), account, field, 0)
		}
	}
	client.HSet(t.Context(), account, "run", "that of the replica")
	again := 0
	for range 3 {
		if again += reserve(0) + reserve(1); again > 100-60-25 {
			t.Fatalf("granted %d calls again", again)
		}
		w.step(time.Second)
		w.tick()
	}
	w.step(65 * time.Second)
	w.tick()
	w.step(2 * time.Second)
	if first := reserve(0); first != 60 {
		t.Errorf("granted %d calls in the next window", first)
	}
}

func TestNoCallWaitsForARedisThatHangs(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
		<-t.Context().Done()
		return nil, net.ErrClosed
	}})
	t.Cleanup(func() { _ = client.Close() })
	r, err := New(Config{Service: "hangs", Redis: client, Budgets: []Budget{cloudflare()}, MaxWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r.budgets.redisLimit = 20 * time.Millisecond
	begun := time.Now()
	for range 100 {
		if err := r.takeBudget(t.Context(), "", ""); fault.ClassOf(err) != fault.ClassRateLimited {
			t.Fatalf("a call without Redis gets %v", err)
		}
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("100 calls waited %s for Redis", took)
	}
}
