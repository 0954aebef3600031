// Package doorbell wakes the workers of other processes through Redis. A wake-up carries no job: it
// says that a stream has due jobs. Wake-ups may be lost, repeated or late, because workers also poll
// the database.
//
// A wake-up goes into a short list, from which one waiting process reads it at once, and into the
// queue of asynq, where it is visible and from where a host's own asynq server can handle it.
package doorbell

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// TaskType is the type of the asynq tasks.
const TaskType = "nawasync:wake"

const (
	maxWaiting = 64   // wake-ups that wait in Redis for one list or queue
	maxPerWake = 8    // processes that the wake-up of one stream wakes
	maxPending = 1000 // streams that wait to be sent
	sendLimit  = 5 * time.Second
	// A list with this many wake-ups is read slowly or not at all. Its next ones wait for crowdedPause and
	// become one per stream meanwhile. So a burst costs Redis little, and no wake-up is trimmed off.
	crowded      = 8
	crowdedPause = 5 * time.Millisecond
	// taskTimeout and the missing retries keep asynq from holding on to a wake-up: another one is as
	// good.
	taskTimeout = 5 * time.Second
)

// Doorbell sends wake-ups. It is safe for concurrent use.
type Doorbell struct {
	redis  redis.UniversalClient
	client *asynq.Client
	prefix string
	logger *slog.Logger

	mu      sync.Mutex
	pending map[jobstore.Stream]jobstore.Wake
	sending chan struct{} // closed when nothing is pending; nil if nothing is being sent

	added chan struct{}        // has an entry when pending has changed
	pause map[string]time.Time // by list: when the next wake-up may be sent to a crowded list; of sendPending
}

// New returns a Doorbell. The names of lists and queues in Redis begin with prefix, so that two
// applications on one Redis do not wake each other.
func New(client redis.UniversalClient, prefix string, logger *slog.Logger) *Doorbell {
	return &Doorbell{
		redis: client, client: asynq.NewClientFromRedisClient(client), prefix: prefix, logger: logger,
		pending: map[jobstore.Stream]jobstore.Wake{}, added: make(chan struct{}, 1), pause: map[string]time.Time{},
	}
}

// QueueName returns the name of a queue in asynq.
func (d *Doorbell) QueueName(queue string) string { return d.prefix + ":" + queue }

// listKey is the list of a queue and kind. Only processes that serve the kind read it. The braces
// put all lists into one slot of a Redis cluster, so that one command can read several.
func (d *Doorbell) listKey(queue, kind string) string {
	return "nawasync:{" + d.prefix + "}:wake:" + queue + ":" + kind
}

// Ring sends wake-ups in the background and returns at once. Wake-ups of one stream that wait to be
// sent become one.
func (d *Doorbell) Ring(wakes []jobstore.Wake) {
	if len(wakes) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, wake := range wakes {
		waiting, known := d.pending[wake.Stream]
		if known {
			wake.At, wake.Jobs = min(wake.At, waiting.At), wake.Jobs+waiting.Jobs
		} else if len(d.pending) >= maxPending {
			continue // polling finds these jobs
		}
		d.pending[wake.Stream] = wake
	}
	if d.sending == nil {
		d.sending = make(chan struct{})
		go d.sendPending(d.sending)
		return
	}
	select {
	case d.added <- struct{}{}:
	default:
	}
}

// Flush waits until the pending wake-ups are sent or ctx ends.
func (d *Doorbell) Flush(ctx context.Context) {
	d.mu.Lock()
	sending := d.sending
	d.mu.Unlock()
	if sending == nil {
		return
	}
	select {
	case <-sending:
	case <-ctx.Done():
	}
}

// sendPending sends until nothing is pending.
func (d *Doorbell) sendPending(done chan struct{}) {
	for {
		d.mu.Lock()
		if len(d.pending) == 0 {
			d.sending = nil
			d.mu.Unlock()
			close(done)
			return
		}
		wakes, next := d.take(time.Now())
		d.mu.Unlock()
		if len(wakes) == 0 {
			d.await(next)
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), sendLimit)
		if err := d.send(ctx, wakes); err != nil {
			d.logger.Warn("could not wake workers through Redis; they find the jobs by polling", "streams", len(wakes), "error", err)
		}
		cancel()
	}
}

// take removes and returns the pending wake-ups whose lists are not crowded. If there are none, next is
// when it will return one.
func (d *Doorbell) take(now time.Time) (wakes []jobstore.Wake, next time.Time) {
	for stream, wake := range d.pending {
		until := d.pause[d.listKey(wake.Queue, wake.Kind())]
		if now.Before(until) {
			if next.IsZero() || until.Before(next) {
				next = until
			}
			continue
		}
		wakes = append(wakes, wake)
		delete(d.pending, stream)
	}
	return wakes, next
}

// await waits until a time, or until a wake-up is added.
func (d *Doorbell) await(until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.added:
	}
}

// send puts the wake-ups into their lists in one round trip, and then into asynq's queues as far as
// there is room.
func (d *Doorbell) send(ctx context.Context, wakes []jobstore.Wake) error {
	waiting, lists := map[string]*redis.IntCmd{}, map[string]*redis.IntCmd{}
	_, err := d.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, wake := range wakes {
			key, payload := d.listKey(wake.Queue, wake.Kind()), encode(wake)
			for range min(wake.Jobs, maxPerWake) {
				lists[key] = p.LPush(ctx, key, payload)
			}
			p.LTrim(ctx, key, 0, maxWaiting-1)
			if queue := d.QueueName(wake.Queue); waiting[queue] == nil {
				waiting[queue] = p.LLen(ctx, "asynq:{"+queue+"}:pending")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, length := range lists {
		if delete(d.pause, key); length.Val() >= crowded {
			d.pause[key] = time.Now().Add(crowdedPause)
		}
	}
	room := map[string]int{}
	for queue, length := range waiting {
		room[queue] = min(maxPerWake, maxWaiting-int(length.Val()))
	}
	for _, wake := range wakes {
		queue := d.QueueName(wake.Queue)
		if room[queue] <= 0 {
			continue
		}
		room[queue]--
		task := asynq.NewTask(TaskType, encode(wake), asynq.Queue(queue), asynq.MaxRetry(0), asynq.Timeout(taskTimeout))
		if _, err := d.client.EnqueueContext(ctx, task); err != nil {
			return err
		}
	}
	return nil
}

// wakeText is the text of a wake-up in Redis, which a person can read.
type wakeText struct {
	Queue    string `json:"queue"`
	Service  string `json:"service"`
	Type     string `json:"type"`
	Action   string `json:"action"`
	Instance string `json:"instance,omitempty"`
	At       int64  `json:"at"`
}

func encode(w jobstore.Wake) []byte {
	text, _ := json.Marshal(wakeText{w.Queue, w.Service, w.Type, w.Action, w.Instance, w.At}) // strings and a number always marshal
	return text
}

// Decode reads a wake-up from Redis.
func Decode(text []byte) (jobstore.Wake, error) {
	var w wakeText
	if err := json.Unmarshal(text, &w); err != nil {
		return jobstore.Wake{}, fmt.Errorf("read a wake-up from Redis: %w", err)
	}
	return jobstore.Wake{Stream: jobstore.Stream{Queue: w.Queue, Service: w.Service, Type: w.Type, Action: w.Action, Instance: w.Instance}, At: w.At, Jobs: 1}, nil
}

// EvictionPolicy returns Redis's maxmemory-policy, or "" where Redis does not tell.
func (d *Doorbell) EvictionPolicy(ctx context.Context) string {
	values, err := d.redis.ConfigGet(ctx, "maxmemory-policy").Result()
	if err != nil {
		return ""
	}
	return values["maxmemory-policy"]
}
