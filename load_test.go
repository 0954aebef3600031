package nawasync_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
)

// loadArgs are the arguments of the jobs that measure throughput. Their kind differs from that of
// JobArgs, so that a child process that works on JobArgs takes none of them.
type loadArgs struct {
	ID string `json:"id"`
}

func (loadArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "load", Type: "job", Action: "run"}
}

func (l loadArgs) Target() nawasync.Target { return nawasync.Target{ID: l.ID} }

// load keeps a started engine busy: as soon as jobs have run, it dispatches others.
type load struct {
	engine *nawasync.Engine
	ran    atomic.Int64
	wg     sync.WaitGroup
	stop   chan struct{}
}

const (
	loadBatch = 250
	loadOpen  = 4 * loadBatch // how many jobs are open at most
)

// startLoad starts an engine and its load. The load ends with the function stopLoad.
func startLoad(t *testing.T, h *enginetest.Harness) *load {
	t.Helper()
	pool, err := h.DB.DB.DB()
	enginetest.NoError(t, err)
	if h.DB.Dialect != "sqlite" {
		pool.SetMaxOpenConns(20)
		pool.SetMaxIdleConns(20)
	}
	l := &load{stop: make(chan struct{})}
	l.engine = h.Engine(func(c *nawasync.Config) {
		c.Queues = map[string]nawasync.Queue{"default": {Slots: 100}}
		c.Logger = slog.New(slog.NewTextHandler(h.Log, &slog.HandlerOptions{Level: slog.LevelWarn})) // not a line for each job
	})
	enginetest.NoError(t, nawasync.Register(l.engine, &enginetest.Handler[loadArgs]{Do: func(context.Context, *nawasync.Run[loadArgs]) error {
		l.ran.Add(1)
		return nil
	}}))
	doNothing := func(context.Context, *nawasync.Run[lockedBoxArgs]) error { return nil }
	enginetest.NoError(t, nawasync.Register(l.engine, &enginetest.Handler[lockedBoxArgs]{Do: doNothing}))
	h.Start(l.engine)
	l.wg.Go(func() { l.dispatch(t) })
	t.Cleanup(l.stopLoad)
	return l
}

func (l *load) stopLoad() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
}

func (l *load) dispatch(t *testing.T) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for dispatched := int64(0); ; {
		for dispatched-l.ran.Load() > loadOpen-loadBatch {
			select {
			case <-l.stop:
				return
			case <-tick.C:
			}
		}
		args := make([]nawasync.Args, loadBatch)
		for i := range args {
			args[i] = loadArgs{ID: fmt.Sprint("load", dispatched+int64(i))}
		}
		if _, err := l.engine.DispatchMany(t.Context(), args, nawasync.Options{}); err != nil {
			t.Error(err)
			return
		}
		dispatched += loadBatch
		select {
		case <-l.stop:
			return
		default:
		}
	}
}

// rate is how many jobs ran in a time.
type rate struct {
	jobs int64
	took time.Duration
}

func (r rate) perSecond() float64 { return float64(r.jobs) / r.took.Seconds() }

func (r rate) String() string {
	return fmt.Sprintf("%.0f jobs/s (%d in %.1f s)", r.perSecond(), r.jobs, r.took.Seconds())
}

// measure waits until the load has run for at least the time and at least n jobs have run.
func (l *load) measure(t *testing.T, atLeast time.Duration, n int64) rate {
	t.Helper()
	before, begin := l.ran.Load(), time.Now()
	progress, at := before, begin
	for {
		now, ran := time.Now(), l.ran.Load()
		if ran > progress {
			progress, at = ran, now
		}
		if now.Sub(begin) >= atLeast && ran-before >= n {
			return rate{ran - before, now.Sub(begin)}
		}
		if now.Sub(at) > 30*time.Second {
			t.Fatalf("no job of the load has run for 30 s, after %s", rate{ran - before, now.Sub(begin)})
		}
		time.Sleep(5 * time.Millisecond)
	}
}
