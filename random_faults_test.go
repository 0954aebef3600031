package nawasync_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// faults hands out a number of faults at random once it is armed, and then none.
type faults struct {
	mu    sync.Mutex
	rand  *rand.Rand
	armed bool
	left  int
}

func (f *faults) arm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = true
}

func (f *faults) next() testdb.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed || f.left == 0 || f.rand.IntN(25) > 0 {
		return testdb.FaultNone
	}
	f.left--
	return testdb.Fault(1 + f.rand.IntN(2))
}

// faultyRedis has commands refused, and answers lost.
type faultyRedis struct{ *faults }

func (faultyRedis) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f faultyRedis) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		fault := f.next()
		if fault == testdb.FaultRefused {
			cmd.SetErr(testdb.ErrFault)
			return testdb.ErrFault
		}
		if err := next(ctx, cmd); err != nil || fault == testdb.FaultNone {
			return err
		}
		cmd.SetErr(testdb.ErrFault)
		return testdb.ErrFault
	}
}

func (f faultyRedis) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		fault := f.next()
		var err error
		if fault != testdb.FaultRefused {
			err = next(ctx, cmds)
		}
		if fault == testdb.FaultNone {
			return err
		}
		for _, cmd := range cmds {
			cmd.SetErr(testdb.ErrFault)
		}
		return testdb.ErrFault
	}
}

// Every statement, commit and Redis command of a worker process may be refused, or
// be done and its answer lost. Whatever the order, nothing is lost, no attempt runs
// twice, and lanes keep their order.
func TestRefusedStatementsAndLostAnswersLoseNoJobAndDoubleNone(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		const lanes, each = 20, 6
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		f := &faults{rand: rand.New(rand.NewPCG(seed, 0)), left: 150}
		faulty, err := testdb.OpenFaulty(db.Dialect, db.DSN, f.next)
		enginetest.NoError(t, err)
		t.Cleanup(func() {
			pool, err := faulty.DB()
			enginetest.NoError(t, err)
			enginetest.NoError(t, pool.Close())
		})
		calm := h.Engine(nil) // dispatches and looks on
		client := redis.NewClient(h.Redis.Options())
		client.AddHook(faultyRedis{f})
		t.Cleanup(func() { _ = client.Close() })
		tuning := host.Tuning{Relay: 10 * time.Millisecond, Recheck: 300 * time.Millisecond, Sweep: 200 * time.Millisecond, Beat: 200 * time.Millisecond}
		var r enginetest.Runs
		var mu sync.Mutex
		inside := map[string]int{}
		order := map[string][]int{}
		var overlaps atomic.Int64
		work := &enginetest.Handler[enginetest.JobArgs]{Wait: time.Millisecond, Do: func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			r.Record(run.Job())
			mu.Lock()
			if inside[run.Args.ID]++; inside[run.Args.ID] > 1 {
				overlaps.Add(1)
			}
			if seen := order[run.Args.ID]; len(seen) == 0 || seen[len(seen)-1] != run.Args.N {
				order[run.Args.ID] = append(seen, run.Args.N)
			}
			mu.Unlock()
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				inside[run.Args.ID]--
			}()
			if err := run.BeginWrite(ctx); err != nil {
				return nawasync.RetryAfter(0, err)
			}
			if run.Args.N == 2 && run.Job().Epoch == 0 {
				return nawasync.RetryAfter(time.Millisecond, enginetest.ErrBoom)
			}
			return nil
		}}
		var workers []*nawasync.Engine
		for range 2 {
			e := h.Tuned(tuning, func(c *nawasync.Config) { c.DB, c.Redis = faulty, client })
			enginetest.NoError(t, nawasync.Register(e, work))
			workers = append(workers, e)
		}
		for _, e := range workers {
			h.Start(e)
		}
		f.arm()
		var jobs []*tracker.Job
		for n := range each {
			for lane := range lanes {
				jobs = append(jobs, enginetest.Dispatch(t, calm, enginetest.JobArgs{ID: fmt.Sprint(lane), N: n}))
			}
		}
		for _, job := range jobs {
			enginetest.WaitStatus(t, calm, job.ID, tracker.StatusSuccess)
		}
		if r.Doubles() > 0 || overlaps.Load() > 0 {
			t.Errorf("%d attempts ran twice, %d jobs of one target overlapped", r.Doubles(), overlaps.Load())
		}
		for lane, seen := range order {
			if fmt.Sprint(seen) != "[0 1 2 3 4 5]" {
				t.Errorf("target %s ran in the order %v", lane, seen)
			}
		}
	})
}
