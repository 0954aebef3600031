// Package bell puts doorbells into Redis: asynq tasks that carry a job's id and
// epoch and nothing else.
package bell

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/pipeline"
)

// TaskType is the type of every task.
const TaskType = "nawasync:job"

// fanOut is how many tasks are on their way at once, to share round trips: asynq has
// no batch enqueue.
const fanOut = 64

// Bells rings. It is safe for concurrent use.
type Bells struct {
	redis  redis.UniversalClient
	prefix string

	mu        sync.Mutex
	client    *asynq.Client
	inspector *asynq.Inspector
}

// New rings on the client. Queue names in Redis begin with the installation's
// prefix, so that two applications on one Redis never hear each other.
func New(client redis.UniversalClient, prefix string) *Bells {
	b := &Bells{redis: pipeline.New(client), prefix: prefix}
	b.Reset()
	return b
}

// Reset forgets what asynq's client believes is in Redis already.
func (b *Bells) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.client = asynq.NewClientFromRedisClient(b.redis)
	b.inspector = asynq.NewInspectorFromRedisClient(b.redis)
}

func (b *Bells) parts() (*asynq.Client, *asynq.Inspector) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.client, b.inspector
}

// QueueName is the name of a queue in Redis.
func (b *Bells) QueueName(queue string) string { return b.prefix + ":" + queue }

// TaskID names one ring of one epoch. A ring is never reused: asynq keeps the id
// of a task whose worker died, and would refuse it forever.
func TaskID(bell jobstore.Bell) string {
	return string(encode(bell)) + "." + strconv.Itoa(bell.Ring)
}

// encode is a task's payload: id and epoch, as text that a person can read.
func encode(bell jobstore.Bell) []byte {
	return append(append(strconv.AppendInt(nil, bell.ID, 10), '.'), strconv.Itoa(bell.Epoch)...)
}

// Decode reads a task's payload.
func Decode(data []byte) (jobstore.Claim, error) {
	first, second, _ := strings.Cut(string(data), ".")
	id, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return jobstore.Claim{}, fmt.Errorf("no job id: %w", err)
	}
	epoch, err := strconv.Atoi(second)
	if err != nil {
		return jobstore.Claim{}, fmt.Errorf("no epoch: %w", err)
	}
	if id <= 0 || epoch < 0 {
		return jobstore.Claim{}, errors.New("no job id")
	}
	return jobstore.Claim{ID: id, Epoch: epoch}, nil
}

// Ring puts the bells into Redis, and returns those that did not get there, with
// the first error.
func (b *Bells) Ring(ctx context.Context, bells []jobstore.Bell) (missed []jobstore.Bell, err error) {
	if len(bells) == 1 {
		if err := b.ring(ctx, bells[0]); err != nil {
			return bells, err
		}
		return nil, nil
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range min(fanOut, len(bells)) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(bells) {
					return
				}
				if e := b.ring(ctx, bells[i]); e != nil {
					mu.Lock()
					missed = append(missed, bells[i])
					if err == nil {
						err = e
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return missed, err
}

func (b *Bells) ring(ctx context.Context, bell jobstore.Bell) error {
	client, _ := b.parts()
	// No retry, no retention, and a deadline that never comes: the row decides.
	_, err := client.EnqueueContext(ctx, asynq.NewTask(TaskType, encode(bell)), asynq.TaskID(TaskID(bell)), asynq.Queue(b.QueueName(bell.Queue)),
		asynq.MaxRetry(0), asynq.Deadline(time.Now().AddDate(10, 0, 0)))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil // this ring is there already
	}
	if err != nil {
		return fmt.Errorf("put job %d into Redis: %w", bell.ID, err)
	}
	return nil
}

// Waits reports whether the bell is in Redis and no worker has taken it.
func (b *Bells) Waits(bell jobstore.Bell) (bool, error) {
	_, inspector := b.parts()
	info, err := inspector.GetTaskInfo(b.QueueName(bell.Queue), TaskID(bell))
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return info.State == asynq.TaskStatePending, nil
}

// Pending is how many of a queue's tasks wait in Redis.
func (b *Bells) Pending(queue string) (int, error) {
	_, inspector := b.parts()
	info, err := inspector.GetQueueInfo(b.QueueName(queue))
	if notFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Pending, nil
}

// notFound says that a queue is not in Redis yet; asynq has more than one error
// for that, not all exported.
func notFound(err error) bool {
	return errors.Is(err, asynq.ErrQueueNotFound) || (err != nil && strings.Contains(err.Error(), "NOT_FOUND"))
}

// Tidy deletes the tasks that asynq archived: those of workers that died.
func (b *Bells) Tidy(queues []string) error {
	_, inspector := b.parts()
	for _, queue := range queues {
		if _, err := inspector.DeleteAllArchivedTasks(b.QueueName(queue)); err != nil && !notFound(err) {
			return err
		}
	}
	return nil
}

// Marker returns the value of the key whose loss shows that Redis lost its data,
// setting it to fresh when it is not there.
func (b *Bells) Marker(ctx context.Context, fresh string) (string, error) {
	key := "nawasync:" + b.prefix + ":marker"
	if err := b.redis.SetNX(ctx, key, fresh, 0).Err(); err != nil {
		return "", err
	}
	return b.redis.Get(ctx, key).Result()
}

// EvictionPolicy is Redis's maxmemory-policy, or "" where it does not tell.
func (b *Bells) EvictionPolicy(ctx context.Context) string {
	values, err := b.redis.ConfigGet(ctx, "maxmemory-policy").Result()
	if err != nil {
		return ""
	}
	return values["maxmemory-policy"]
}
