package reaper_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/reaper"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// SQLite lets everybody read while one transaction writes for long, but nobody beats meanwhile.
func TestProcessThatCouldNotBeatBecauseOfSQLitesOnlyWriterIsNotReaped(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	opened, err := testdb.Open("sqlite", strings.Replace(db.DSN, "busy_timeout(5000)", "busy_timeout(50)", 1))
	requireNoError(t, err)
	pool, err := opened.DB()
	requireNoError(t, err)
	t.Cleanup(func() { requireNoError(t, pool.Close()) })
	store, err := jobstore.New(opened, jobstore.Options{})
	requireNoError(t, err)
	requireNoError(t, store.AddProcess(t.Context(), tracker.Process{ID: "other"}))
	const deadAfter = 2 * time.Second
	r := &reaper.Reaper{
		Store: store, Logger: slog.New(slog.DiscardHandler), Interval: 50 * time.Millisecond, DeadAfter: deadAfter,
		Self: func() string { return "self" },
	}
	// tick runs the reaper until a condition is true. The errors of rounds without the lock are expected.
	tick := func(until func() bool) {
		t.Helper()
		for limit := time.Now().Add(time.Minute); !until(); {
			_, _ = r.Tick(t.Context())
			if time.Now().After(limit) {
				t.Fatal("the condition was not met within a minute")
			}
		}
	}
	known := func() bool {
		processes, err := store.Processes(t.Context())
		requireNoError(t, err)
		return len(processes) == 1
	}
	after := func(d time.Duration) func() bool {
		at := time.Now().Add(d)
		return func() bool { return time.Now().After(at) }
	}

	_, err = r.Tick(t.Context())
	requireNoError(t, err)
	writer, err := pool.Conn(t.Context())
	requireNoError(t, err)
	_, err = writer.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	requireNoError(t, err)
	tick(after(deadAfter + time.Second))
	_, err = writer.ExecContext(t.Context(), "ROLLBACK")
	requireNoError(t, err)
	requireNoError(t, writer.Close())
	if _, err := r.Tick(t.Context()); err != nil || !known() {
		t.Fatalf("the process was reaped although it could not beat (%v)", err)
	}
	// Now it could beat, and does not.
	begun := time.Now()
	tick(func() bool { return !known() })
	if took := time.Since(begun); took < deadAfter/4 {
		t.Errorf("the process was reaped after %s, want at least %s", took, deadAfter/4)
	}
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
