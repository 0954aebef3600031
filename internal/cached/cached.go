// Package cached keeps figures that cost a query for a few seconds, so that many readers cost no
// more than one.
package cached

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClosed is returned by Get after Close.
var ErrClosed = errors.New("the reader of these figures is closed")

// Value is the last result of Read. At most one Read runs at a time. A Value is safe for
// concurrent use; its fields must not change after the first Get.
type Value[T any] struct {
	// Read reads the value. Its context ends after Timeout and at Close.
	Read func(context.Context) (T, error)
	// MaxAge is how long a result, also an error, is used.
	MaxAge time.Duration
	// Timeout is how long Get waits, even if Read ignores the end of its context.
	Timeout time.Duration

	mu      sync.Mutex
	value   T
	err     error
	readAt  time.Time // zero before the first result
	reading chan struct{}
	cancel  context.CancelFunc // ends the running Read
	closed  bool
}

// Get returns the last result, or reads a new one if it is older than MaxAge. It returns an error
// if Read fails or takes longer than Timeout, if ctx ends, and ErrClosed after Close.
func (v *Value[T]) Get(ctx context.Context) (T, error) {
	done := v.start()
	if done != nil {
		timeout := time.NewTimer(v.Timeout)
		defer timeout.Stop()
		var none T
		select {
		case <-done:
		case <-ctx.Done():
			return none, context.Cause(ctx)
		case <-timeout.C:
			return none, fmt.Errorf("no answer within %s: %w", v.Timeout, context.DeadlineExceeded)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.value, v.err
}

// start starts a read if the last result is too old. It returns the channel that is closed at the
// end of the running read, or nil if none runs.
func (v *Value[T]) start() chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	fresh := !v.readAt.IsZero() && time.Since(v.readAt) < v.MaxAge
	switch {
	case v.reading != nil:
		return v.reading
	case v.closed:
		v.err = ErrClosed
		return nil
	case fresh:
		return nil
	}
	done := make(chan struct{})
	v.reading = done
	ctx, cancel := context.WithTimeout(context.Background(), v.Timeout)
	v.cancel = cancel
	go v.read(ctx, done)
	return done
}

func (v *Value[T]) read(ctx context.Context, done chan struct{}) {
	value, err := v.Read(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cancel()
	v.value, v.err, v.readAt, v.reading = value, err, time.Now(), nil
	if err != nil {
		var none T
		v.value = none
	}
	close(done)
}

// Close ends the running Read and waits for it until ctx ends. Later calls of Get return
// ErrClosed.
func (v *Value[T]) Close(ctx context.Context) {
	v.mu.Lock()
	v.closed = true
	reading := v.reading
	if reading != nil {
		v.cancel()
	}
	v.mu.Unlock()
	if reading == nil {
		return
	}
	select {
	case <-reading:
	case <-ctx.Done():
	}
}
