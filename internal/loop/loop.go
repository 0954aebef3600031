// Package loop runs a function in the background, at once and then at an interval, until it is
// stopped.
package loop

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Loop calls Tick in one goroutine until it is stopped. Stop may be called before Start and
// more than once. A stopped Loop cannot be started again. Start and Stop are safe for
// concurrent use.
type Loop struct {
	Name     string
	Interval time.Duration
	// Tick runs one round. If more is true, there is work left, and the next round starts at
	// once. An error or a panic is logged, and the next round starts after Interval.
	Tick   func(ctx context.Context) (more bool, err error)
	Logger *slog.Logger

	mu      sync.Mutex
	cancel  context.CancelFunc
	stopped bool
	done    chan struct{}
}

// Start starts the loop. It does nothing if the loop was started or stopped before.
func (l *Loop) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.done = cancel, make(chan struct{})
	go l.run(ctx)
}

// Stop stops the loop. It cancels the context of a running round and returns when the round has
// ended.
func (l *Loop) Stop() {
	l.mu.Lock()
	l.stopped = true
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

func (l *Loop) run(ctx context.Context) {
	defer close(l.done)
	timer := time.NewTimer(l.Interval)
	defer timer.Stop()
	for {
		more := l.tick(ctx)
		if ctx.Err() != nil {
			return
		}
		if more {
			continue
		}
		timer.Reset(l.Interval)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

func (l *Loop) tick(ctx context.Context) (more bool) {
	defer func() {
		if r := recover(); r != nil {
			l.Logger.Error("background loop panicked; the next round runs as usual", "loop", l.Name, "panic", r, "stack", string(debug.Stack()))
			more = false
		}
	}()
	more, err := l.Tick(ctx)
	if err != nil && ctx.Err() == nil {
		l.Logger.Warn("background loop failed; the next round tries again", "loop", l.Name, "error", err)
		return false
	}
	return more
}
