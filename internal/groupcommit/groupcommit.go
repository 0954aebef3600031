// Package groupcommit combines the individual writes of many callers into batches. A batch consists
// of the items that arrived while the previous batch ran. There is no timer, so a single caller
// never waits for others, and concurrent callers share a commit.
package groupcommit

import (
	"errors"
	"runtime"
	"sync"
)

// ErrStopped is returned for an item that was not run because the batcher was stopped.
var ErrStopped = errors.New("the batcher is stopped")

// Batcher runs items of type T in batches and returns to each caller the result of its item.
type Batcher[T, R any] struct {
	run     func(items []T) ([]R, []error)
	max     int
	queue   chan request[T, R]
	quit    chan struct{}
	stop    sync.Once
	done    chan struct{}
	started sync.Once
}

// maxYields is how many times in a row the batcher yields to other goroutines without receiving an
// item before it runs the batch.
const maxYields = 3

type request[T, R any] struct {
	item  T
	reply chan reply[R]
}

type reply[R any] struct {
	result R
	err    error
}

// New returns a batcher that calls run with up to limit items. run returns a result and an
// error for each item, in the order of the items. Calls of run never overlap.
func New[T, R any](limit int, run func(items []T) ([]R, []error)) *Batcher[T, R] {
	return &Batcher[T, R]{run: run, max: limit, queue: make(chan request[T, R], limit), quit: make(chan struct{}), done: make(chan struct{})}
}

// Start starts the goroutine that runs the batches.
func (b *Batcher[T, R]) Start() {
	b.started.Do(func() { go b.loop() })
}

// Stop stops the batcher and returns after the last batch has run. It may be called before
// Start and more than once.
func (b *Batcher[T, R]) Stop() {
	b.stop.Do(func() { close(b.quit) })
	b.started.Do(func() { close(b.done) })
	<-b.done
}

// Do runs an item in a batch and returns its result. It returns ErrStopped if the batcher is
// stopped before the item runs.
func (b *Batcher[T, R]) Do(item T) (R, error) {
	r := request[T, R]{item: item, reply: make(chan reply[R], 1)}
	var zero R
	select {
	case b.queue <- r:
	case <-b.quit:
		return zero, ErrStopped
	}
	select {
	case answer := <-r.reply:
		return answer.result, answer.err
	case <-b.done:
	}
	select {
	case answer := <-r.reply:
		return answer.result, answer.err
	default:
		return zero, ErrStopped
	}
}

func (b *Batcher[T, R]) loop() {
	defer close(b.done)
	for {
		select {
		case first := <-b.queue:
			b.flush(first)
		case <-b.quit:
			for {
				select {
				case first := <-b.queue:
					b.flush(first)
				default:
					return
				}
			}
		}
	}
}

func (b *Batcher[T, R]) flush(first request[T, R]) {
	batch := []request[T, R]{first}
	for yields := 0; len(batch) < b.max && yields < maxYields; {
		select {
		case r := <-b.queue:
			batch = append(batch, r)
			yields = 0
			continue
		default:
		}
		// Let callers that are ready to run add their items first. On a busy machine,
		// yielding doubles the size of a batch; on an idle one, it costs microseconds.
		yields++
		runtime.Gosched()
	}
	items := make([]T, len(batch))
	for i, r := range batch {
		items[i] = r.item
	}
	results, errs := b.run(items)
	for i, r := range batch {
		r.reply <- reply[R]{results[i], errs[i]}
	}
}
