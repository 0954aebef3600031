package nawasync_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// Each handler holds a connection of the engine's pool for longer than the lease, and there are as many
// slots as connections. The engine gets one only between two handlers.
func TestHandlersThatUseUpThePoolFinishAndRunABoundedNumberOfTimes(t *testing.T) {
	for _, writes := range []bool{false, true} {
		t.Run(fmt.Sprintf("writes %t", writes), func(t *testing.T) {
			enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) { testUsedUpPool(t, h, writes) })
		})
	}
}

func testUsedUpPool(t *testing.T, h *enginetest.Harness, writes bool) {
	const connections, jobs, ttl = 4, 7, 4 * time.Second
	pool, err := h.DB.DB.DB()
	enginetest.NoError(t, err)
	pool.SetMaxOpenConns(connections)
	e := h.Tuned(host.Tuning{Beat: 200 * time.Millisecond, LeaseTTL: ttl, DeadAfter: ttl + 2*time.Second}, func(c *nawasync.Config) {
		c.Queues = map[string]nawasync.Queue{"default": {Slots: connections}}
	})
	var runs enginetest.Runs
	// The first job ends soon, and its connection goes to the handler that waits for one. Its outcome
	// gets none until the others end.
	firstHolds := make(chan struct{})
	begun := sync.OnceFunc(func() { close(firstHolds) })
	enginetest.Register(t, e, func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
		runs.Record(run.Job())
		hold := 2 * ttl
		if run.Args.N == 0 {
			hold = ttl / 8
		} else {
			<-firstHolds
		}
		return h.DB.WithContext(ctx).Transaction(func(*gorm.DB) error {
			if run.Args.N == 0 {
				begun()
			}
			if writes {
				if err := run.BeginWrite(ctx); err != nil {
					return err
				}
			}
			timer := time.NewTimer(hold)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	})
	ids := dispatchNumbered(t, e, "job", jobs)
	h.Start(e)
	for _, id := range ids {
		if job := enginetest.WaitStatus(t, e, id, tracker.StatusSuccess); job.Attempt > 3 {
			t.Errorf("job %+v, want at most 3 attempts", job)
		}
	}
	if runs.Total() > 5*jobs || runs.RanTwice() != 0 {
		t.Errorf("%d runs, %d attempts ran twice; want at most 5 of each job and none", runs.Total(), runs.RanTwice())
	}
}
