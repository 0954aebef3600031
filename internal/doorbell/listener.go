package doorbell

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Listener reads the wake-ups of one queue from its lists.
type Listener struct {
	doorbell *Doorbell
	queue    string
	keys     []string
	// stopKey is a list of this listener alone. An entry in it ends a read at once; go-redis has no
	// other way to end one.
	stopKey string
	// block is how long one read waits.
	block time.Duration
	// ready waits until the process has a free slot, or returns false when it stops.
	ready func() bool
	wake  func(jobstore.Wake)

	stopping chan struct{}
	stop     sync.Once
	done     chan struct{}
}

const (
	// errorPause is the pause after a failed read.
	errorPause = time.Second
	// stopKeyLife removes the stop entry of a listener that no longer reads it.
	stopKeyLife = 10 * time.Second
	// stopLimit is how long Stop waits for a read that does not end.
	stopLimit = 2 * time.Second
)

// Listen starts to read the wake-ups of a queue for the given kinds. Each wake-up reaches one of the
// processes that read. Before each read it calls ready, which returns when the process could run a
// job, or returns false to end. block is how long one read waits.
func (d *Doorbell) Listen(queue string, kinds []string, block time.Duration, ready func() bool, wake func(jobstore.Wake)) *Listener {
	l := &Listener{
		doorbell: d, queue: queue, stopKey: "nawasync:{" + d.prefix + "}:stop:" + rand.Text(), block: block, ready: ready, wake: wake,
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
	l.keys = append(l.keys, l.stopKey)
	for _, kind := range kinds {
		l.keys = append(l.keys, d.listKey(queue, kind))
	}
	go l.run()
	return l
}

func (l *Listener) run() {
	defer close(l.done)
	for l.ready() && !l.stopped() {
		reply, err := l.doorbell.redis.BLPop(context.Background(), l.block, l.keys...).Result()
		switch {
		case errors.Is(err, redis.Nil):
		case err != nil:
			l.doorbell.logger.Debug("could not read wake-ups from Redis", "queue", l.queue, "error", err)
			l.pause()
		case reply[0] != l.stopKey:
			if wake, err := Decode([]byte(reply[1])); err == nil && wake.Queue == l.queue {
				l.wake(wake)
			}
		}
	}
}

func (l *Listener) stopped() bool {
	select {
	case <-l.stopping:
		return true
	default:
		return false
	}
}

func (l *Listener) pause() {
	timer := time.NewTimer(errorPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.stopping:
	}
}

// Stop ends the listener. If Redis does not respond, the listener ends later, in the background.
func (l *Listener) Stop() {
	l.stop.Do(func() { close(l.stopping) })
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	sent := make(chan struct{})
	go func() { // the client may ignore the end of ctx
		defer close(sent)
		_, _ = l.doorbell.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.LPush(ctx, l.stopKey, "stop")
			p.PExpire(ctx, l.stopKey, stopKeyLife)
			return nil
		})
	}()
	select {
	case <-l.done:
	case <-ctx.Done():
	}
	select {
	case <-sent:
	case <-ctx.Done():
	}
}
