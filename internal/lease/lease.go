// Package lease keeps this process's heartbeat row, and knows when others may
// take the process for dead.
package lease

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"

	"github.com/nawasara/nawasync/internal/loop"
	"github.com/nawasara/nawasync/tracker"
)

// Lease beats once per Interval. A process whose beat has not committed for Trust
// must assume that it is given up: it cancels its handlers and claims no more.
// Others give it up when they have seen no beat for longer than that.
type Lease struct {
	Store    *jobstore.Store
	Logger   *slog.Logger
	Interval time.Duration
	Trust    time.Duration
	Kinds    []string
	Queues   []string
	// Lost is called when the lease is lost, with the process's old id.
	Lost func(worker string)
	// Running is called with each beat: with the jobs that run under this process's
	// id by the database's account, and those of them whose end was asked for.
	Running func(running, cancelled []jobstore.Claim)

	loop   *loop.Loop
	expiry *time.Timer // ends the lease on time, however long a beat hangs
	mu     sync.Mutex
	id     string
	last   time.Time // with a monotonic clock reading
	held   bool
}

// Start writes the first beat, so that the process is known before it claims.
func (l *Lease) Start(ctx context.Context) error {
	if err := l.join(ctx); err != nil {
		return err
	}
	l.expiry = time.AfterFunc(l.Trust, l.lose)
	l.loop = &loop.Loop{Name: "lease", Interval: l.Interval, Tick: l.tick, Logger: l.Logger}
	l.loop.Start()
	return nil
}

// Stop ends the beats and deletes the row, which says that nothing runs here.
func (l *Lease) Stop(ctx context.Context) error {
	if l.loop == nil {
		return nil
	}
	l.loop.Stop()
	l.expiry.Stop()
	return l.Store.RemoveProcess(ctx, l.Worker())
}

// Worker is the id under which this process claims.
func (l *Lease) Worker() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id
}

// Held reports whether the process may claim and write. It judges by the clock,
// not by the last round: a process that was stopped and continued must not wait
// for one.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held && time.Since(l.last) < l.Trust
}

func (l *Lease) join(ctx context.Context) error {
	host, _ := os.Hostname()
	id := fmt.Sprintf("%.30s-%d-%s", host, os.Getpid(), rand.Text()[:10])
	begun := time.Now()
	if err := l.Store.AddProcess(ctx, tracker.Process{ID: id, Host: host, PID: os.Getpid(), Kinds: l.Kinds, Queues: l.Queues}); err != nil {
		return fmt.Errorf("nawasync: write the heartbeat row: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.last, l.held = id, begun, true
	return nil
}

func (l *Lease) tick(ctx context.Context) (bool, error) {
	// Long enough to keep its place among SQLite's writers.
	beatCtx, cancel := context.WithTimeout(ctx, l.Trust/2)
	defer cancel()
	begun := time.Now()
	known, err := l.Store.Beat(beatCtx, l.Worker())
	if err == nil && known {
		l.mu.Lock()
		rejoined := !l.held
		l.last, l.held = begun, true
		l.mu.Unlock()
		l.expiry.Reset(l.Trust - time.Since(begun))
		if rejoined {
			l.Logger.Info("nawasync: this process beats again before anybody gave it up", "worker", l.Worker())
		}
		return false, l.account(beatCtx)
	}
	if err == nil {
		l.Logger.Warn("nawasync: others took this process for dead; it goes on under a new id", "worker", l.Worker())
		l.lose()
		if err := l.join(ctx); err != nil {
			return false, err
		}
		l.expiry.Reset(l.Trust)
		return false, nil
	}
	return false, err
}

func (l *Lease) lose() {
	l.mu.Lock()
	was := l.held
	l.held = false
	id := l.id
	l.mu.Unlock()
	if was {
		l.Logger.Error("nawasync: the heartbeat did not reach the database for too long; running jobs are cancelled here", "worker", id, "after", l.Trust)
		l.Lost(id)
	}
}

func (l *Lease) account(ctx context.Context) error {
	running, cancelled, err := l.Store.RunningClaims(ctx, l.Worker())
	if err == nil {
		l.Running(running, cancelled)
	}
	return err
}
