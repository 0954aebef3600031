package remote //nolint:testpackage // see budget_world_test.go

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/testdb"
)

// cloudflare is the limit of Cloudflare's API.
func cloudflare() Budget { return Budget{Calls: 1200, Window: 5 * time.Minute} }

// tenth is for a tenth of the load, in a fifth of the time.
func tenth() Budget { return Budget{Calls: 120, Window: time.Minute} }

// 5,000 jobs in bulk, a sync of 200 zones, and a user.
func TestProcessesShareABudgetInRedis(t *testing.T) {
	t.Parallel()
	client := testdb.Redis(t)
	w := newWorld(t, 4, cloudflare(), client)
	w.rename()
	defer w.forget(client)
	took, x := w.run(5000, 200, 10*time.Second, time.Hour, nil)
	x.check("5,000 jobs and 200 zones", took, 10)
}

func TestProcessesShareABudgetWithoutACallTooMany(t *testing.T) {
	t.Parallel()
	_, client := miniRedis(t)
	w := newWorld(t, 4, tenth(), client)
	took, x := w.run(500, 20, 20*time.Second, time.Hour, nil)
	x.check("500 jobs and 20 zones", took, 10)
}

func TestBudgetIsKeptWhenRedisLosesItsData(t *testing.T) {
	t.Parallel()
	server, client := miniRedis(t)
	w := newWorld(t, 4, tenth(), client)
	lost := 0
	took, x := w.run(500, 20, 20*time.Second, time.Hour, func(passed time.Duration) {
		if passed%(37*time.Second) == 0 && lost < 5 {
			lost++
			server.FlushAll()
		}
	})
	x.check("with FLUSHALL every 37 s", took, 0)
}

func TestBudgetIsKeptWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	server, client := miniRedis(t)
	w := newWorld(t, 4, tenth(), client)
	took, x := w.run(500, 20, 20*time.Second, time.Hour, func(passed time.Duration) {
		switch passed {
		case 40 * time.Second, 100 * time.Second: // a moment, and for longer than two windows
			server.SetError("LOADING Redis is loading the dataset in memory")
		case 45 * time.Second, 240 * time.Second:
			server.SetError("")
		}
	})
	x.check("with Redis away", took, 0)
	if x.duringAway == 0 {
		t.Error("no call was made while Redis was away for longer than a window")
	}
}

func TestBudgetIsKeptWithoutRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, cloudflare(), nil)
	took, x := w.run(5000, 200, 10*time.Second, time.Hour, nil)
	x.check("one process without Redis", took, 10)
}
