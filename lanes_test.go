package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// order watches that jobs of one target never overlap, and in which order they ran.
type order struct {
	mu      sync.Mutex
	running map[string]bool
	done    map[string][]int
	overlap int
}

func (o *order) enter(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running == nil {
		o.running, o.done = map[string]bool{}, map[string][]int{}
	}
	if o.running[id] {
		o.overlap++
	}
	o.running[id] = true
}

func (o *order) leave(id string, n int, finished bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running[id] = false
	if finished {
		o.done[id] = append(o.done[id], n)
	}
}

func TestOneTargetRunsInOrderAcrossProcessesRetriesAndParkingWhileOthersRunInParallel(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		var o order
		var parallel, most atomic.Int64
		fn := func(_ context.Context, run *nawasync.Run[note]) error {
			for n := parallel.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			defer parallel.Add(-1)
			o.enter(run.Args.ID)
			time.Sleep(2 * time.Millisecond) // an overlap needs a while to be seen
			var err error
			switch job := run.Job(); {
			case run.Args.ID == "hot" && run.Args.N%5 == 1 && run.Attempt() == 1:
				err = errBoom
			case run.Args.ID == "hot" && run.Args.N%5 == 2 && job.Epoch == 0:
				err = nawasync.RetryAfter(20*time.Millisecond, nil)
			}
			o.leave(run.Args.ID, run.Args.N, err == nil)
			return err
		}
		var engines []*nawasync.Engine
		for range 2 {
			e := h.engine(func(c *nawasync.Config) { c.Queues = map[string]nawasync.Queue{"default": {Slots: 20}} })
			ok(t, nawasync.Register(e, &handler[note]{fn: fn, backoff: 10 * time.Millisecond}))
			engines = append(engines, h.start(e))
		}
		var last *tracker.Job
		for n := range 20 {
			last = dispatch(t, engines[n%2], note{ID: "hot", N: n})
			args := make([]nawasync.Args, 5)
			for i := range args {
				args[i] = note{ID: fmt.Sprint("cold", n*5+i)}
			}
			_, err := engines[n%2].DispatchMany(t.Context(), args, nawasync.Options{})
			ok(t, err)
		}
		waitStatus(t, engines[0], last.ID, tracker.Success)
		eventually(t, 30*time.Second, "every job ended", func() bool {
			page, err := engines[0].Store().List(t.Context(), tracker.Filter{Statuses: []tracker.Status{tracker.Queued, tracker.Running}}, 0, 10)
			return err == nil && len(page.Jobs) == 0
		})
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.overlap > 0 {
			t.Errorf("%d overlaps", o.overlap)
		}
		for i, n := range o.done["hot"] {
			if i != n {
				t.Fatalf("order %v", o.done["hot"])
			}
		}
		if len(o.done["hot"]) != 20 || len(o.done) != 101 {
			t.Errorf("%d of the hot target, %d targets", len(o.done["hot"]), len(o.done))
		}
		if most.Load() < 2 {
			t.Error("nothing ran in parallel")
		}
	})
}

func TestTwoRelaysAndTwoWorkersRunEachJobOnce(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		var r runs
		dispatcher := h.engine(func(c *nawasync.Config) { c.Redis = nil }) // every ring is a relay's
		args := make([]nawasync.Args, 300)
		for i := range args {
			args[i] = note{ID: fmt.Sprint(i)}
		}
		jobs, err := dispatcher.DispatchMany(t.Context(), args, nawasync.Options{})
		ok(t, err)
		for range 2 {
			e := h.engine(nil)
			ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error { r.note(run.Job()); return nil }}))
			h.start(e)
		}
		for _, job := range jobs {
			waitStatus(t, dispatcher, job.ID, tracker.Success)
		}
		if r.total() != 300 || r.doubles() != 0 {
			t.Fatalf("%d runs, %d doubles", r.total(), r.doubles())
		}
	})
}

func TestFiftyUniqueDispatchesGetOneRow(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		started, release := make(chan struct{}, 10), make(chan struct{})
		ok(t, nawasync.Register(e, &handler[syncAll]{fn: func(context.Context, *nawasync.Run[syncAll]) error {
			started <- struct{}{}
			<-release
			return nil
		}}))
		all := func() (ids map[int64]int) {
			ids = map[int64]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					job, err := e.Dispatch(context.Background(), syncAll{}, nawasync.Options{})
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
						return
					}
					ids[job.ID]++
				})
			}
			wg.Wait()
			return ids
		}
		first := all()
		if len(first) != 1 {
			t.Fatalf("rows %v", first)
		}
		h.start(e)
		<-started
		successor := all()
		if len(successor) != 1 {
			t.Fatalf("successors %v", successor)
		}
		for id := range successor {
			if first[id] != 0 {
				t.Fatal("no successor while one runs")
			}
			close(release)
			waitStatus(t, e, id, tracker.Success)
		}
	})
}

type syncAll struct{}

func (syncAll) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "note", Action: "sync"}
}
func (syncAll) Target() nawasync.Target { return nawasync.Target{ID: "all"} }
func (syncAll) Unique() nawasync.Unique { return nawasync.Unique{Key: "all", UntilRunning: true} }

func TestRefusedCredentialsParkTheScopeAndResumeWakesIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		var bad atomic.Bool
		bad.Store(true)
		var attempts atomic.Int64
		events := make(chan nawasync.Event, 100)
		e := h.engine(func(c *nawasync.Config) {
			c.Queues = map[string]nawasync.Queue{"default": {Slots: 2}}
			c.OnEvent = func(_ context.Context, ev nawasync.Event) { events <- ev }
		})
		ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error {
			if run.Args.Instance == "main" && bad.Load() {
				attempts.Add(1)
				return nawasync.WithClass(nawasync.ClassCredentials, errors.New("HTTP 403"))
			}
			return nil
		}}))
		h.start(e)
		first := dispatch(t, e, note{Instance: "main", ID: "first"})
		if ev := <-events; ev.Type != nawasync.EventParked || ev.Scope.Instance != "main" {
			t.Fatalf("%+v", ev)
		}
		var ids []int64
		for i := range 30 {
			ids = append(ids, dispatch(t, e, note{Instance: "main", ID: fmt.Sprint(i)}).ID)
		}
		waitStatus(t, e, dispatch(t, e, note{Instance: "other", ID: "x"}).ID, tracker.Success)
		parked := waitStatus(t, e, first.ID, tracker.Queued)
		if attempts.Load() != 1 || parked.Attempt != 0 || parked.ErrorClass != "credentials" {
			t.Fatalf("%d attempts, %+v", attempts.Load(), parked)
		}
		scopes, err := e.Store().Scopes(t.Context())
		ok(t, err)
		if len(scopes) != 1 || !scopes[0].Parked {
			t.Fatalf("%+v", scopes)
		}
		bad.Store(false)
		found, err := e.Resume(t.Context(), "notes", "main")
		ok(t, err)
		if !found {
			t.Fatal("no pause was found")
		}
		for _, id := range ids {
			waitStatus(t, e, id, tracker.Success)
		}
		// The one that was refused waits for its own time.
		if job, err := e.Store().Get(t.Context(), first.ID); err != nil || job.Status != tracker.Queued {
			t.Fatalf("%+v %v", job, err)
		}
	})
}

func TestPausedServiceWaitsUntilResumed(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		var ran atomic.Int64
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { ran.Add(1); return nil }}))
		ok(t, nawasync.Register(e, &handler[syncAll]{fn: func(context.Context, *nawasync.Run[syncAll]) error { return nil }}))
		ok(t, e.Pause(t.Context(), "notes", "", "user:1", "maintenance", time.Time{}))
		h.start(e)
		job := dispatch(t, e, note{ID: "a"})
		eventually(t, 10*time.Second, "put off", func() bool {
			row, err := e.Store().Get(t.Context(), job.ID)
			return err == nil && row.RungAt.IsZero() && row.WakeAt.After(time.Now().Add(time.Minute))
		})
		if ran.Load() != 0 {
			t.Fatal("it ran while paused")
		}
		_, err := e.Resume(t.Context(), "notes", "")
		ok(t, err)
		waitStatus(t, e, job.ID, tracker.Success)
	})
}
