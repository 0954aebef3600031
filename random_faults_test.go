package nawasync_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// faults injects faults at random from the call of arm until none are left. It is safe for
// concurrent use.
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

// faultyRedis is a client hook that refuses commands, or executes them and loses the responses.
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

// targetRuns records the runs of each target's jobs. It is safe for concurrent use.
type targetRuns struct {
	mu       sync.Mutex
	running  map[string]int
	order    map[string][]int // the jobs in the order in which they first started
	overlaps int              // starts while another job of the target ran
}

func (r *targetRuns) start(target string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[target]++; r.running[target] > 1 {
		r.overlaps++
	}
	if seen := r.order[target]; len(seen) == 0 || seen[len(seen)-1] != n {
		r.order[target] = append(seen, n)
	}
}

func (r *targetRuns) end(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[target]--
}

// openFaulty opens the harness's database and Redis once more, with the faults of f.
func openFaulty(t *testing.T, h *enginetest.Harness, f *faults) (*gorm.DB, *redis.Client) {
	t.Helper()
	db, err := testdb.OpenFaulty(h.DB.Dialect, h.DB.DSN, f.next)
	enginetest.NoError(t, err)
	t.Cleanup(func() {
		pool, err := db.DB()
		enginetest.NoError(t, err)
		enginetest.NoError(t, pool.Close())
	})
	client := redis.NewClient(h.Redis.Options())
	client.AddHook(faultyRedis{f})
	t.Cleanup(func() { _ = client.Close() })
	return db, client
}

// Any statement, commit or Redis command of the two workers may be refused, or be executed and
// its response lost. Whatever the order of these faults, every job succeeds, no attempt runs
// twice, and the jobs of a target run in order.
func TestRefusedStatementsAndLostResponsesLoseNoJobAndRunNoneTwice(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		const targets, jobsPerTarget = 20, 6
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		f := &faults{rand: rand.New(rand.NewPCG(seed, 0)), left: 150}
		faultyDB, faultyClient := openFaulty(t, h, f)
		dispatcher := h.Engine(nil) // has no faults
		tuning := host.Tuning{Poll: 10 * time.Millisecond, Sweep: 200 * time.Millisecond, Beat: 200 * time.Millisecond}
		var runs enginetest.Runs
		byTarget := targetRuns{running: map[string]int{}, order: map[string][]int{}}
		handler := &enginetest.Handler[enginetest.JobArgs]{Wait: time.Millisecond, Do: func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			runs.Record(run.Job())
			byTarget.start(run.Args.ID, run.Args.N)
			defer byTarget.end(run.Args.ID)
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
			e := h.Tuned(tuning, func(c *nawasync.Config) { c.DB, c.Redis = faultyDB, faultyClient })
			enginetest.NoError(t, nawasync.Register(e, handler))
			workers = append(workers, e)
		}
		for _, e := range workers {
			h.Start(e)
		}
		f.arm()
		var jobs []*tracker.Job
		for n := range jobsPerTarget {
			for target := range targets {
				jobs = append(jobs, enginetest.Dispatch(t, dispatcher, enginetest.JobArgs{ID: fmt.Sprint(target), N: n}))
			}
		}
		for _, job := range jobs {
			enginetest.WaitStatus(t, dispatcher, job.ID, tracker.StatusSuccess)
		}
		byTarget.mu.Lock()
		defer byTarget.mu.Unlock()
		if runs.RanTwice() > 0 || byTarget.overlaps > 0 {
			t.Errorf("%d attempts ran twice, %d jobs overlapped another job of their target", runs.RanTwice(), byTarget.overlaps)
		}
		for target, order := range byTarget.order {
			if fmt.Sprint(order) != "[0 1 2 3 4 5]" {
				t.Errorf("the jobs of target %s ran in the order %v", target, order)
			}
		}
	})
}
