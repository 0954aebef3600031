// Package loop is the start/stop contract of the engine's actors: a function that runs at
// once and then at an interval.
package loop

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Loop runs Tick until it is stopped. Stop before Start and a second Stop are
// legal; a stopped Loop does not start again. Start and Stop are safe for
// concurrent use.
type Loop struct {
	Name     string
	Interval time.Duration
	// Tick does one round; more says that there is work left, and that the next
	// round should not wait. An error is logged, and the next round comes as usual.
	Tick   func(ctx context.Context) (more bool, err error)
	Logger *slog.Logger

	mu      sync.Mutex
	cancel  context.CancelFunc
	stopped bool
	done    chan struct{}
}

// Start begins the rounds.
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

// Stop ends the rounds: the context of a running one is cancelled, and Stop
// returns when it has ended.
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
			l.Logger.Error("nawasync: an actor panicked; it goes on", "actor", l.Name, "panic", r, "stack", string(debug.Stack()))
			more = false
		}
	}()
	more, err := l.Tick(ctx)
	if err != nil && ctx.Err() == nil {
		l.Logger.Warn("nawasync: an actor's round failed; it tries again", "actor", l.Name, "error", err)
		return false
	}
	return more
}
