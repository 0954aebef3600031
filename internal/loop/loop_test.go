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

func TestStartAndStopMayRaceInAnyOrder(t *testing.T) {
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

func TestPanicDoesNotEndTheRounds(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	again := make(chan struct{})
	l := newLoop(func(context.Context) (bool, error) {
		if n.Add(1) == 1 {
			panic("once")
		}
		if n.Load() == 3 {
			close(again)
		}
		return false, nil
	})
	l.Start()
	<-again
	l.Stop()
}

func TestStopEndsARunningRound(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	l := newLoop(func(ctx context.Context) (bool, error) {
		close(begun)
		<-ctx.Done()
		return true, ctx.Err()
	})
	l.Start()
	<-begun
	l.Stop()
}
