package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// servers runs a test where processes can share a database and a Redis.
func servers(t *testing.T, fn func(t *testing.T, h *harness)) {
	t.Helper()
	t.Parallel()
	for _, opener := range testdb.All()[1:] {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			fn(t, newHarness(t, opener.Open(t)))
		})
	}
}

func TestJobOfAKilledWorkerRunsElsewhereWithin20Seconds(t *testing.T) {
	servers(t, func(t *testing.T, h *harness) {
		dispatcher := h.engine(nil)
		victim := startChild(t, h, "work")
		job := dispatch(t, dispatcher, note{ID: "a"})
		victim.says(t, fmt.Sprint("executing ", job.ID))
		e := h.engine(nil)
		var earlier atomic.Bool
		ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error {
			earlier.Store(run.EarlierWrite())
			return nil
		}}))
		h.start(e)
		victim.signal(t, syscall.SIGKILL)
		killed := time.Now()
		done := waitStatus(t, e, job.ID, tracker.Success)
		if took := time.Since(killed); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		if done.Epoch != 1 || done.Attempt != 2 || !earlier.Load() {
			t.Errorf("earlier write %v, %+v", earlier.Load(), done)
		}
	})
}

func TestJobOfAWorkerKilledBeforeItsClaimRunsElsewhere(t *testing.T) {
	servers(t, func(t *testing.T, h *harness) {
		e := h.engine(nil)
		victim := startChild(t, h, "dequeue")
		job := dispatch(t, e, note{ID: "a"})
		victim.dies(t)
		killed := time.Now()
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		h.start(e)
		done := waitStatus(t, e, job.ID, tracker.Success)
		if took := time.Since(killed); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		if done.Attempt != 1 || done.Ring < 2 {
			t.Errorf("%+v", done)
		}
	})
}

func TestWorkerPausedPastItsLeaseChangesNothingWhenItComesBack(t *testing.T) {
	servers(t, func(t *testing.T, h *harness) {
		dispatcher := h.engine(nil)
		victim := startChild(t, h, "work")
		job := dispatch(t, dispatcher, note{ID: "a"})
		victim.says(t, fmt.Sprint("executing ", job.ID))
		victim.signal(t, syscall.SIGSTOP)
		e := h.engine(nil)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		h.start(e)
		done := waitStatus(t, e, job.ID, tracker.Success)
		victim.signal(t, syscall.SIGCONT)
		victim.says(t, "cancelled "+nawasync.ErrLeaseLost.Error())
		victim.says(t, "late verdict was refused")
		after, err := e.Store().Get(t.Context(), job.ID)
		ok(t, err)
		if after.Epoch != done.Epoch || after.Status != tracker.Success || !after.UpdatedAt.Equal(done.UpdatedAt) || after.Worker != done.Worker {
			t.Errorf("before %+v\nafter %+v", done, after)
		}
	})
}

func TestJobThatKillsItsProcessFailsAfterItsAttempts(t *testing.T) {
	servers(t, func(t *testing.T, h *harness) {
		// The neighbours reap and do not serve the kind.
		neighbour := h.tuned(nawasync.Tuning{Patience: 3 * time.Second, Beat: 200 * time.Millisecond}, nil)
		var fine atomic.Int64
		ok(t, nawasync.Register(neighbour, &handler[other]{fn: func(context.Context, *nawasync.Run[other]) error { fine.Add(1); return nil }}))
		h.start(neighbour)
		poison := dispatch(t, neighbour, note{ID: "poison"})
		for range 3 {
			startChild(t, h, "poison").dies(t)
		}
		job := waitStatus(t, neighbour, poison.ID, tracker.Failed)
		if job.ErrorClass != "worker_died" || job.Attempt != 3 {
			t.Errorf("%+v", job)
		}
		waitStatus(t, neighbour, dispatch(t, neighbour, other{ID: "x"}).ID, tracker.Success)
	})
}

// proxy stands between an engine and its database, and can be cut.
type proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	down     bool
	conns    map[net.Conn]bool
	wg       sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cut(true)
		p.wg.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.pipe(c) })
	}
}

func (p *proxy) pipe(c net.Conn) {
	defer func() { _ = c.Close() }()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.mu.Lock()
	if p.down {
		p.mu.Unlock()
		return
	}
	p.conns[c], p.conns[server] = true, true
	p.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{c, server}, {server, c}} {
		p.wg.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].Close()
			done <- struct{}{}
		})
	}
	<-done
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, server)
	p.mu.Unlock()
}

// cut closes every connection and refuses new ones, or allows them again.
func (p *proxy) cut(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for c := range p.conns {
		if down {
			_ = c.Close()
		}
	}
}

// through opens the harness's database by way of a proxy.
func through(t *testing.T, h *harness) (*gorm.DB, *proxy) {
	t.Helper()
	var p *proxy
	dsn := h.db.DSN
	if h.db.Dialect == "postgres" {
		u, err := url.Parse(dsn)
		ok(t, err)
		p = newProxy(t, u.Host)
		u.Host = p.listener.Addr().String()
		dsn = u.String()
	} else {
		from, to := strings.Index(dsn, "tcp(")+4, strings.Index(dsn, ")")
		p = newProxy(t, dsn[from:to])
		dsn = dsn[:from] + p.listener.Addr().String() + dsn[to:]
	}
	db, err := testdb.Open(h.db.Dialect, dsn)
	ok(t, err)
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	return db, p
}

func TestDatabaseAwayFor10SecondsLosesNoVerdictAndRequeuesNoLiveJob(t *testing.T) {
	servers(t, func(t *testing.T, h *harness) {
		db, wire := through(t, h)
		// A second process whose database stays: it must not take the first for dead.
		// Both are given more than 13 and 15 s: three seconds of margin were too few where
		// other tests have the processor.
		slow := nawasync.Tuning{Trust: 25 * time.Second, Patience: 30 * time.Second}
		witness := h.tuned(slow, nil)
		ok(t, nawasync.Register(witness, &handler[other]{fn: func(context.Context, *nawasync.Run[other]) error { return nil }}))
		h.start(witness)
		e := h.tuned(slow, func(c *nawasync.Config) { c.DB = db })
		var r runs
		done := make(chan struct{})
		ok(t, nawasync.Register(e, &handler[note]{fn: func(ctx context.Context, run *nawasync.Run[note]) error {
			r.note(run.Job())
			if run.Args.N == 1 {
				<-done
			}
			return ctx.Err()
		}}))
		h.start(e)
		long := dispatch(t, witness, note{ID: "long", N: 1})
		waitStatus(t, witness, long.ID, tracker.Running)
		var short []int64
		for i := range 20 {
			short = append(short, dispatch(t, witness, note{ID: fmt.Sprint(i)}).ID)
		}
		wire.cut(true)
		time.AfterFunc(5*time.Second, func() { close(done) }) // its verdict falls into the outage
		outage := time.NewTimer(10 * time.Second)
		defer outage.Stop()
		<-outage.C
		wire.cut(false)
		for _, id := range append(short, long.ID) {
			job := waitStatus(t, witness, id, tracker.Success)
			if job.Epoch != 0 || job.Attempt != 1 {
				t.Errorf("%+v", job)
			}
		}
		if r.total() != 21 || r.doubles() != 0 {
			t.Errorf("%d runs, %d doubles", r.total(), r.doubles())
		}
	})
}

func TestDatabaseAwayFor60SecondsCancelsHandlersAndRunsTheirJobsAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	servers(t, func(t *testing.T, h *harness) {
		db, wire := through(t, h)
		watcher := h.engine(nil)
		e := h.engine(func(c *nawasync.Config) { c.DB = db })
		var began atomic.Int64
		causes := make(chan error, 10)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(ctx context.Context, _ *nawasync.Run[note]) error {
			if began.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		}}))
		h.start(e)
		job := dispatch(t, watcher, note{ID: "a"})
		waitStatus(t, watcher, job.ID, tracker.Running)
		// The row says so before the worker has its answer.
		eventually(t, 20*time.Second, "begun", func() bool { return began.Load() == 1 })
		wire.cut(true)
		cut := time.Now()
		if cause := <-causes; !errors.Is(cause, nawasync.ErrLeaseLost) || time.Since(cut) > 20*time.Second {
			t.Errorf("%v after %s", cause, time.Since(cut))
		}
		rest := time.NewTimer(time.Until(cut.Add(time.Minute)))
		defer rest.Stop()
		<-rest.C
		wire.cut(false)
		if done := waitStatus(t, watcher, job.ID, tracker.Success); began.Load() != 2 || done.Epoch != 1 {
			t.Errorf("%d runs, %+v", began.Load(), done)
		}
	})
}
