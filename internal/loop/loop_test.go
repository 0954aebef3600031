package loop_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nawasara/nawasync/internal/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newLoop(tick func(context.Context) (bool, error)) *loop.Loop {
	return &loop.Loop{Name: "test", Interval: time.Microsecond, Tick: tick, Logger: slog.New(slog.DiscardHandler)}
}

func TestStartAndStopAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	for range 50 {
		l := newLoop(func(context.Context) (bool, error) { return false, nil })
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if i%2 == 0 {
					l.Start()
				} else {
					l.Stop()
				}
			})
		}
		wg.Wait()
		l.Stop()
	}
}

func TestLoopContinuesAfterAPanic(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	thirdRound := make(chan struct{})
	l := newLoop(func(context.Context) (bool, error) {
		if n.Add(1) == 1 {
			panic("once")
		}
		if n.Load() == 3 {
			close(thirdRound)
		}
		return false, nil
	})
	l.Start()
	<-thirdRound
	l.Stop()
}

func TestStopCancelsARunningRound(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	l := newLoop(func(ctx context.Context) (bool, error) {
		close(started)
		<-ctx.Done()
		return true, ctx.Err()
	})
	l.Start()
	<-started
	l.Stop()
}
