package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// resetGadget are the arguments of an own job on a gadget.
type resetGadget struct{ N int }

func (resetGadget) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "shop", Type: "gadget", Action: "reset"}
}
func (resetGadget) Target() nawasync.Target { return nawasync.Target{} }

// laneWatch records what happens to each gadget, and whether two things happened at a time.
type laneWatch struct {
	mu       sync.Mutex
	inside   map[string]string
	order    map[string][]string // by gadget, without repetitions
	overlaps []string
}

func (l *laneWatch) enter(name, what, record string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other := l.inside[name]; other != "" {
		l.overlaps = append(l.overlaps, name+": "+what+" during "+other)
	}
	l.inside[name] = what
	if list := l.order[name]; record != "" && (len(list) == 0 || list[len(list)-1] != record) {
		l.order[name] = append(list, record)
	}
}

func (l *laneWatch) leave(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.inside, name)
}

// call is a call of the remote: part of a creation or an update.
func (l *laneWatch) call(call nawasynctest.Call, g gadget) error {
	record := ""
	if string(call) == "update" {
		record = g.Plan
	}
	l.enter(g.Name, string(call), record)
	time.Sleep(time.Millisecond) // gives a reset time to overlap
	l.leave(g.Name)
	return nil
}

// gadgetResetter runs resets in one process.
type gadgetResetter struct {
	nawasync.AbstractJob[resetGadget]

	watch *laneWatch
	down  *atomic.Bool // takes the process's database away in the first reset; nil in the other processes
	cause chan error
}

func (r *gadgetResetter) Backoff(int) time.Duration { return 10 * time.Millisecond }

func (r *gadgetResetter) Execute(ctx context.Context, run *nawasync.Run[resetGadget]) error {
	row, err := mirror.Row[gadget](ctx)
	if err != nil {
		return err
	}
	r.watch.enter(row.Name, fmt.Sprintf("reset %d", run.Args.N), fmt.Sprint("reset", run.Args.N))
	defer r.watch.leave(row.Name)
	if r.down != nil {
		if !r.down.Swap(true) {
			defer func() { r.cause <- context.Cause(ctx) }()
		}
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(2 * time.Millisecond)
	if run.Args.N%3 == 1 && run.Attempt() == 1 {
		return errors.New("HTTP 500") // the job keeps its place in the lane
	}
	return nil
}

// process returns an engine with the repository and its resets, as another process has them.
func (s *shop) process(t *testing.T, resets *gadgetResetter, change func(*nawasync.Config)) *nawasync.Engine {
	t.Helper()
	e := s.Tuned(host.Tuning{Beat: 200 * time.Millisecond, LeaseTTL: 2 * time.Second, DeadAfter: 3 * time.Second}, func(c *nawasync.Config) {
		c.Sealer = enginetest.Keyring(t, shopKey)
		if change != nil {
			change(c)
		}
	})
	_, err := mirror.New(e, mirror.Config[gadget]{
		Service: "shop", Type: "gadget", Remote: s.remote, Settle: -1, Actions: mirror.Actions{Update: []string{"update", "update_quota"}, Sync: "sync_gadgets"},
	})
	enginetest.NoError(t, err)
	enginetest.NoError(t, nawasync.Register(e, resets))
	return e
}

// Creations, updates and resets of a gadget run one at a time and in the order of their dispatch, on three processes
// of which one loses its lease while it runs a reset.
func TestResetAndUpdateOfAnObjectNeverOverlapAcrossProcessesAndALostLease(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newIdleShop(t, enginetest.New(t, db))
		watch := &laneWatch{inside: map[string]string{}, order: map[string][]string{}}
		s.remote.Configure(func() { s.remote.Before = watch.call })
		var down atomic.Bool
		faulty, err := testdb.OpenFaulty(db.Dialect, s.DB.DSN, func() testdb.Fault {
			if down.Load() {
				return testdb.FaultRefused
			}
			return testdb.FaultNone
		})
		enginetest.NoError(t, err)
		t.Cleanup(func() { enginetest.CloseDB(faulty) })
		cause := make(chan error, 1)
		doomed := s.process(t, &gadgetResetter{watch: watch, down: &down, cause: cause}, func(c *nawasync.Config) { c.DB = faulty })
		t.Cleanup(func() { down.Store(false) }) // runs before the engine stops

		names, want, jobs := []string{"a", "b", "c"}, map[string][]string{}, []*tracker.Job{}
		for _, name := range names {
			job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: name, Plan: "basic"}, byUser)
			enginetest.NoError(t, err)
			jobs = append(jobs, job)
		}
		for n := range 18 {
			row := s.row(t, names[rand.IntN(len(names))])
			var job *tracker.Job
			what := fmt.Sprint("plan", n)
			if n < len(names) || rand.IntN(2) == 0 {
				what = fmt.Sprint("reset", n)
				job, err = s.repo.Dispatch(t.Context(), row, resetGadget{n}, nawasync.Options{MarkRow: rand.IntN(2) == 0})
			} else {
				job, err = s.repo.Update(t.Context(), row, setPlan(what), byUser)
			}
			enginetest.NoError(t, err)
			jobs, want[row.Name] = append(jobs, job), append(want[row.Name], what)
		}
		s.Start(doomed)
		select {
		case err := <-cause:
			if !errors.Is(err, nawasync.ErrLeaseLost) {
				t.Errorf("the reset of the process without a database ended with %v", err)
			}
		case <-time.After(40 * time.Second):
			t.Fatal("the reset did not end")
		}
		for range 2 {
			s.Start(s.process(t, &gadgetResetter{watch: watch}, nil))
		}
		for _, job := range jobs {
			s.waitStatus(t, job, tracker.StatusSuccess)
		}
		watch.mu.Lock()
		defer watch.mu.Unlock()
		if len(watch.overlaps) > 0 {
			t.Errorf("%d overlaps: %v", len(watch.overlaps), watch.overlaps)
		}
		for _, name := range names {
			if !slices.Equal(watch.order[name], want[name]) {
				t.Errorf("%s: the jobs ran as %v, want %v", name, watch.order[name], want[name])
			}
			if row := s.row(t, name); row.State != nawasync.StateSynced {
				t.Errorf("row %s is %s (%s)", name, row.State, row.SyncError)
			}
		}
	})
}
