package nawasync_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// gorm's plugin dbresolver sends reads to a replica. None of the engine's statements may go there: the
// beats of all processes would be late as soon as the replica is.
func TestReplicaOfDbresolverThatStallsDelaysNothing(t *testing.T) {
	for _, sources := range []bool{false, true} {
		t.Run(fmt.Sprintf("sources %t", sources), func(t *testing.T) {
			enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) { testStalledReplica(t, h, sources) })
		})
	}
}

func testStalledReplica(t *testing.T, h *enginetest.Harness, sources bool) {
	dsn, proxy := enginetest.ProxiedDSN(t, h)
	tuning := host.Tuning{Beat: 200 * time.Millisecond, LeaseTTL: 6 * time.Second, DeadAfter: 8 * time.Second}
	var runs enginetest.Runs
	release := make(chan struct{})
	work := func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
		runs.Record(run.Job())
		if run.Args.ID == "long" {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		if err := run.BeginWrite(ctx); err != nil {
			return err
		}
		return ctx.Err()
	}
	// The host opens its databases before the stall: gorm waits for the replica when it opens.
	opened := testdb.WithReplica(t, h.DB, dsn, sources)
	before := h.Tuned(tuning, func(c *nawasync.Config) { c.DB = testdb.WithReplica(t, h.DB, dsn, sources).DB })
	enginetest.Register(t, before, work)
	h.Start(before)
	long := enginetest.Dispatch(t, before, enginetest.JobArgs{ID: "long"})
	enginetest.WaitStatus(t, before, long.ID, tracker.StatusRunning)

	proxy.SetStalled(true)
	requireStalledReads(t, before)
	during := h.Tuned(tuning, func(c *nawasync.Config) { c.DB = opened.DB }) // a process that starts meanwhile
	enginetest.Register(t, during, work)
	h.Start(during)
	ids := dispatchNumbered(t, during, "during", 20)
	waitSuccess(t, before, append(ids, dispatchNumbered(t, before, "before", 20)...))
	enginetest.Eventually(t, 30*time.Second, "both processes beat for longer than DeadAfter", beatFor(t, during, 9*time.Second))
	requireStatus(t, during, long.ID, tracker.StatusRunning)
	close(release)
	if done := enginetest.WaitStatus(t, during, long.ID, tracker.StatusSuccess); done.Epoch != 0 || done.Attempt != 1 {
		t.Errorf("the long job ended as %+v, want its first attempt at epoch 0", done)
	}
	if runs.Total() != 41 || runs.RanTwice() != 0 {
		t.Errorf("%d runs, %d attempts ran twice; want 41 and none", runs.Total(), runs.RanTwice())
	}
	for _, lost := range []string{"has lost its lease", "a process died"} {
		if strings.Contains(h.Log.String(), lost) {
			t.Errorf("the log says %q although only the replica stalls", lost)
		}
	}
}

// requireStalledReads checks that the reads of the host itself do stall.
func requireStalledReads(t *testing.T, e *nawasync.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var n int
	read := e.Internals(host.NewKey()).DB().WithContext(ctx).Raw("SELECT COUNT(*) FROM nawasync_jobs").Scan(&n)
	if read.Error == nil {
		t.Fatal("a read of the host got through although the replica stalls")
	}
}

// beatFor returns a condition: for d, two processes have been known, and each has beaten ten times.
func beatFor(t *testing.T, e *nawasync.Engine, d time.Duration) func() bool {
	t.Helper()
	first, begun := map[string]int64{}, time.Now()
	return func() bool {
		processes, err := e.Reader().Processes(t.Context())
		enginetest.NoError(t, err)
		beaten := 0
		for _, p := range processes {
			if _, seen := first[p.ID]; !seen {
				first[p.ID] = p.Beat
			}
			if p.Beat >= first[p.ID]+10 {
				beaten++
			}
		}
		return beaten == 2 && len(first) == 2 && time.Since(begun) > d
	}
}
