package nawasync_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// A wake-up that reaches a process without the handler used to delay the job until another process
// looked by itself. A deploy that adds a kind to one process after the other has such processes too.
func TestMeasuredJobsStartAsSoonWithNineProcessesThatDoNotServeTheirKind(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		if db.Dialect != "sqlite" {
			pool, err := db.DB.DB()
			enginetest.NoError(t, err)
			pool.SetMaxOpenConns(30) // each engine keeps one for its heartbeat
			pool.SetMaxIdleConns(30)
		}
		worker, dispatcher := h.Engine(nil), h.Engine(nil)
		enginetest.Register(t, worker, enginetest.DoNothing)
		h.Start(worker)
		alone := measureStarts(t, dispatcher, enginetest.Sized(20, 300), 50*time.Millisecond)
		for range 9 {
			other := h.Engine(nil)
			enginetest.NoError(t, nawasync.Register(other, &enginetest.Handler[otherArgs]{Do: otherDoNothing}))
			h.Start(other)
		}
		among := measureStarts(t, dispatcher, enginetest.Sized(20, 300), 50*time.Millisecond)
		t.Logf("from dispatch to start with one process: %s; with ten: %s", alone, among)
		if limit := enginetest.Sized(3*time.Second, 2*alone.mean); among.mean > limit {
			t.Errorf("mean delay with ten processes %s, want at most %s", among.mean, limit)
		}
	})
}

func TestMeasuredDispatchDoesNotWaitForRedis(t *testing.T) {
	t.Parallel()
	clients := map[string]func(t *testing.T) *redis.Client{
		"refuses": func(t *testing.T) *redis.Client {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			enginetest.NoError(t, err)
			enginetest.NoError(t, listener.Close())
			return redis.NewClient(&redis.Options{Addr: listener.Addr().String()})
		},
		"hangs": func(*testing.T) *redis.Client {
			return redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, server) }()
				return client, nil
			}})
		},
	}
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.Database) {
				h := enginetest.New(t, db)
				h.Redis = client(t)
				testDispatchDoesNotWait(t, h)
			})
		})
	}
}

func testDispatchDoesNotWait(t *testing.T, h *enginetest.Harness) {
	worker, dispatcher := h.Engine(nil), h.Engine(nil)
	enginetest.Register(t, worker, enginetest.DoNothing)
	h.Start(worker)
	begin := time.Now()
	starts := measureStarts(t, dispatcher, enginetest.Sized(50, 1500), 20*time.Millisecond)
	t.Logf("from dispatch to start by polling: %s", starts)
	enginetest.AtMost(t, "p99 of Dispatch", starts.dispatch99, 50*time.Millisecond, 5*time.Second)
	enginetest.AtMost(t, "longest time from dispatch to start", starts.longest, time.Second, 20*time.Second)
	enginetest.Eventually(t, 30*time.Second, "the worker reports Redis", func() bool {
		list, err := dispatcher.Reader().Processes(t.Context())
		return err == nil && len(list) == 1 &&
			slices.ContainsFunc(list[0].Troubles, func(trouble tracker.Trouble) bool { return trouble.Code == tracker.TroubleRedis })
	})
	t.Logf("the worker reports Redis %s after its start", time.Since(begin))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	stopping := time.Now()
	_ = worker.Stop(ctx)
	enginetest.AtMost(t, "Stop with a context of 1 s, which may take half a second longer", time.Since(stopping), 1700*time.Millisecond, 15*time.Second)
	enginetest.NoError(t, h.Redis.Close()) // ends what is left of Stop
}

// starts are times that measureStarts has measured.
type starts struct {
	mean, p95, longest time.Duration // from dispatch to start
	dispatch99         time.Duration // p99 of the duration of Dispatch
}

func (s starts) String() string {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return fmt.Sprintf("mean %s, p95 %s, longest %s", round(s.mean), round(s.p95), round(s.longest))
}

// measureStarts dispatches n jobs, one each interval, and waits until all have ended.
func measureStarts(t *testing.T, dispatcher *nawasync.Engine, n int, interval time.Duration) (s starts) {
	t.Helper()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var ids []int64
	var calls, waits []time.Duration
	for i := range n {
		<-tick.C
		begin := time.Now()
		ids = append(ids, enginetest.Dispatch(t, dispatcher, enginetest.JobArgs{ID: fmt.Sprint(n, "-", i)}).ID)
		calls = append(calls, time.Since(begin))
	}
	var sum time.Duration
	for _, id := range ids {
		job := enginetest.WaitStatus(t, dispatcher, id, tracker.StatusSuccess)
		wait := job.StartedAt.Sub(job.CreatedAt)
		waits = append(waits, wait)
		sum += wait
	}
	slices.Sort(calls)
	slices.Sort(waits)
	return starts{mean: sum / time.Duration(n), p95: waits[n*95/100], longest: waits[n-1], dispatch99: calls[n*99/100]}
}
