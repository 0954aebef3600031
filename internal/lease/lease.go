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
	"github.com/nawasara/nawasync/tracker"
)

// Lease beats with each Tick. A process whose beat has not committed for TTL
// must assume that it is given up: it cancels its handlers and claims no more.
// Others give it up when they have seen no beat for longer than that.
type Lease struct {
	Store  *jobstore.Store
	Logger *slog.Logger
	TTL    time.Duration
	Kinds  []string
	Queues []string
	// OnLost is called when the lease is lost, with the process's old id.
	OnLost func(worker string)
	// ReportRunning is called with each beat: with the jobs that run under this process's
	// id by the database's account, and those of them whose end was asked for.
	ReportRunning func(running, cancelled []jobstore.Claim)

	expiry     *time.Timer // ends the lease on time, however long a beat hangs
	mu         sync.Mutex
	id         string
	last       time.Time // with a monotonic clock reading
	lastBeatOK bool
}

// Join writes the first beat, so that the process is known before it claims.
func (l *Lease) Join(ctx context.Context) error {
	if err := l.join(ctx); err != nil {
		return err
	}
	l.expiry = time.AfterFunc(l.TTL, l.lose)
	return nil
}

// Leave deletes the row, which says that nothing runs here. Call it after the last Tick.
func (l *Lease) Leave(ctx context.Context) error {
	l.expiry.Stop()
	return l.Store.RemoveProcess(ctx, l.Worker())
}

// Worker is the id under which this process claims.
func (l *Lease) Worker() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id
}

// Valid reports whether the process may claim and write. It judges by the clock,
// not by the last round: a process that was stopped and continued must not wait
// for one.
func (l *Lease) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastBeatOK && time.Since(l.last) < l.TTL
}

func (l *Lease) join(ctx context.Context) error {
	host, _ := os.Hostname()
	id := fmt.Sprintf("%.30s-%d-%s", host, os.Getpid(), rand.Text()[:10])
	begun := time.Now()
	if err := l.Store.AddProcess(ctx, tracker.Process{ID: id, Host: host, PID: os.Getpid(), Kinds: l.Kinds, Queues: l.Queues}); err != nil {
		return fmt.Errorf("write the heartbeat row: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.last, l.lastBeatOK = id, begun, true
	return nil
}

// Tick is one beat.
func (l *Lease) Tick(ctx context.Context) (bool, error) {
	// Long enough to keep its place among SQLite's writers.
	beatCtx, cancel := context.WithTimeout(ctx, l.TTL/2)
	defer cancel()
	begun := time.Now()
	known, err := l.Store.Beat(beatCtx, l.Worker())
	if err == nil && known {
		l.mu.Lock()
		rejoined := !l.lastBeatOK
		l.last, l.lastBeatOK = begun, true
		l.mu.Unlock()
		l.expiry.Reset(l.TTL - time.Since(begun))
		if rejoined {
			l.Logger.Info("nawasync: this process beats again before anybody gave it up", "worker", l.Worker())
		}
		return false, l.runReport(beatCtx)
	}
	if err == nil {
		l.Logger.Warn("nawasync: others took this process for dead; it goes on under a new id", "worker", l.Worker())
		l.lose()
		if err := l.join(ctx); err != nil {
			return false, err
		}
		l.expiry.Reset(l.TTL)
		return false, nil
	}
	return false, err
}

func (l *Lease) lose() {
	l.mu.Lock()
	was := l.lastBeatOK
	l.lastBeatOK = false
	id := l.id
	l.mu.Unlock()
	if was {
		l.Logger.Error("nawasync: the heartbeat did not reach the database for too long; running jobs are cancelled here", "worker", id, "after", l.TTL)
		l.OnLost(id)
	}
}

func (l *Lease) runReport(ctx context.Context) error {
	running, cancelled, err := l.Store.RunningClaims(ctx, l.Worker())
	if err == nil {
		l.ReportRunning(running, cancelled)
	}
	return err
}
