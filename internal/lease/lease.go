// Package lease writes the heartbeats of this process and tracks whether other processes may
// already consider this process dead.
package lease

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/loop"
	"github.com/nawasara/nawasync/tracker"
)

// Lease writes a heartbeat with each Tick. When no heartbeat has been committed for TTL, the
// process loses its lease: it cancels its running jobs and claims no more. The reapers of other
// processes wait longer than TTL before they take over the jobs.
type Lease struct {
	Store  *jobstore.Store
	Heart  *jobstore.Heart
	Logger *slog.Logger
	TTL    time.Duration
	Kinds  []string
	Queues []string
	Slots  map[string]int // how many jobs of each queue run at once
	// OnLost is called with the process's old id when the lease is lost.
	OnLost func(worker string)
	// Running lists the jobs that run in this process.
	Running func() []jobstore.Claim
	// ReportCancelled is called with each heartbeat, with the running jobs whose cancellation was
	// requested.
	ReportCancelled func(cancelled []jobstore.Claim)
	// ReportRunning is called at most once each heartbeat with the jobs that run under this process's
	// id according to the database.
	ReportRunning func(running []jobstore.Claim)

	// Blocked returns how long neither claims nor outcomes have got through to the database. A process
	// that only writes heartbeats is not alive: after TTL it loses its lease and writes none.
	Blocked func() time.Duration

	// Troubles returns what hinders this process, for the operators.
	Troubles func() []tracker.Trouble

	listing    loop.Share  // of the jobs that run according to the database
	expiry     *time.Timer // ends the lease on time, even if a heartbeat hangs
	mu         sync.Mutex
	id         string
	last       time.Time // when the last successful heartbeat began; has a monotonic clock reading
	lastBeatOK bool
}

// Join writes the first heartbeat. Call it before the process claims jobs.
func (l *Lease) Join(ctx context.Context) error {
	if err := l.join(ctx); err != nil {
		return err
	}
	l.expiry = time.AfterFunc(l.TTL, l.lose)
	return nil
}

// Leave deletes the heartbeat row. Call it after the last Tick, when no job of this process runs
// any more.
func (l *Lease) Leave(ctx context.Context) error {
	l.expiry.Stop()
	l.Heart.Close()
	return l.Store.RemoveProcess(ctx, l.Worker())
}

// Worker returns the id under which this process claims jobs.
func (l *Lease) Worker() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id
}

// Valid reports whether the process may claim jobs and write to remotes. It compares the time
// of the last heartbeat with the clock: a process that was frozen must know at once that it has
// lost its lease, before its next Tick.
func (l *Lease) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastBeatOK && time.Since(l.last) < l.TTL
}

func (l *Lease) join(ctx context.Context) error {
	host, _ := os.Hostname()
	id := fmt.Sprintf("%.30s-%d-%s", host, os.Getpid(), rand.Text()[:10])
	start := time.Now()
	program, version := buildVersion()
	process := tracker.Process{ID: id, Host: host, PID: os.Getpid(), Kinds: l.Kinds, Queues: l.Queues, Slots: l.Slots, Version: version}
	if err := l.Store.AddProcess(ctx, process); err != nil {
		return fmt.Errorf("write the heartbeat row: %w", err)
	}
	if err := l.Store.NoteVersion(ctx, program, version); err != nil {
		l.Logger.Warn("the pages will not show when this version was deployed", "error", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.last, l.lastBeatOK = id, start, true
	return nil
}

// Tick writes one heartbeat. If the heartbeat row no longer exists, Tick joins again under a new
// id. more is always false.
func (l *Lease) Tick(ctx context.Context) (more bool, err error) {
	// Half of TTL leaves enough time to wait for another writer in SQLite, which allows only one.
	beatCtx, cancel := context.WithTimeout(ctx, l.TTL/2)
	defer cancel()
	if blocked := l.Blocked(); blocked > l.TTL {
		l.lose()
		return false, fmt.Errorf(
			"no claim or outcome has got through to the database for %s; this process stops its heartbeat until one does",
			blocked.Round(time.Second),
		)
	}
	start := time.Now()
	known, err := l.Heart.Beat(beatCtx, l.Worker(), l.Troubles())
	if err == nil && known {
		l.mu.Lock()
		rejoined := !l.lastBeatOK
		l.last, l.lastBeatOK = start, true
		l.mu.Unlock()
		l.expiry.Reset(l.TTL - time.Since(start))
		if rejoined {
			l.Logger.Info("this process writes heartbeats again; no other process has taken over its jobs", "worker", l.Worker())
		}
		return false, l.runReport(beatCtx)
	}
	if err == nil {
		l.Logger.Warn("another process considered this process dead; it continues under a new id", "worker", l.Worker())
		l.lose()
		if err := l.join(ctx); err != nil {
			return false, err
		}
		l.expiry.Reset(l.TTL)
		return false, nil
	}
	return false, err
}

// lose ends the lease, unless it has already ended.
func (l *Lease) lose() {
	l.mu.Lock()
	hadLease := l.lastBeatOK
	l.lastBeatOK = false
	id := l.id
	l.mu.Unlock()
	if hadLease {
		l.Logger.Error(
			"this process has lost its lease, because its heartbeats, claims or outcomes did not reach the database for too long; its running jobs are cancelled",
			"worker",
			id,
			"lease_ttl",
			l.TTL,
		)
		l.OnLost(id)
	}
}

// runReport reads what the database says about the jobs of this process.
func (l *Lease) runReport(ctx context.Context) error {
	if running := l.Running(); len(running) > 0 {
		cancelled, err := l.Heart.CancelledClaims(ctx, running)
		if err != nil {
			return err
		}
		l.ReportCancelled(cancelled)
	}
	_, err := l.listing.Run(time.Now(), func() error {
		running, err := l.Heart.RunningClaims(ctx, l.Worker())
		if err == nil {
			l.ReportRunning(running)
		}
		return err
	})
	return err
}

// buildVersion returns the version of the program: of its main module or, if it was built from a checkout, the
// first digits of the commit.
func buildVersion() (program, version string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return info.Main.Path, v
	}
	var revision, modified string
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = fmt.Sprintf("%.12s", setting.Value)
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = "+dirty"
		}
	}
	if revision == "" {
		return info.Main.Path, ""
	}
	return info.Main.Path, revision + modified
}
