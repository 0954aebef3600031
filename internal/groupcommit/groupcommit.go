// Package groupcommit turns many callers' single writes into batches, without a
// timer: a batch is what arrived while the one before it ran. A lone caller
// therefore waits for nobody, and a crowd shares a commit.
package groupcommit

import (
	"errors"
	"runtime"
	"sync"
)

// ErrStopped says that the batcher was stopped before it took the item.
var ErrStopped = errors.New("stopped")

// Batcher gathers items of type T and gives each caller its own result.
type Batcher[T, R any] struct {
	run     func(items []T) ([]R, []error)
	max     int
	queue   chan request[T, R]
	quit    chan struct{}
	stop    sync.Once
	done    chan struct{}
	started sync.Once
}

// maxWait is how often in a row nobody may have come before a batch goes off.
const maxWait = 3

type request[T, R any] struct {
	item  T
	reply chan reply[R]
}

type reply[R any] struct {
	result R
	err    error
}

// New returns a batcher that calls run with up to limit items. run returns a
// result and an error for each item, in their order.
func New[T, R any](limit int, run func(items []T) ([]R, []error)) *Batcher[T, R] {
	return &Batcher[T, R]{run: run, max: limit, queue: make(chan request[T, R], limit), quit: make(chan struct{}), done: make(chan struct{})}
}

// Start begins to take items.
func (b *Batcher[T, R]) Start() {
	b.started.Do(func() { go b.loop() })
}

// Stop takes no more items and returns when the last batch has run.
func (b *Batcher[T, R]) Stop() {
	b.stop.Do(func() { close(b.quit) })
	b.started.Do(func() { close(b.done) })
	<-b.done
}

// Do hands an item over and waits for its fate.
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
	for quiet := 0; len(batch) < b.max && quiet < maxWait; {
		select {
		case r := <-b.queue:
			batch = append(batch, r)
			quiet = 0
			continue
		default:
		}
		// No timer: but callers that are ready to run may hand over theirs first. On
		// a busy machine that doubles a batch, on an idle one it costs microseconds.
		quiet++
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
