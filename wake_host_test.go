package nawasync_test

import (
	"context"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestAsynqServerOfTheHostHandlesItsOwnTasksAndTheWakeUps(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		// Without polling, only a wake-up starts a job of another process.
		e := h.Tuned(host.Tuning{Poll: time.Hour, Sweep: time.Hour}, func(c *nawasync.Config) { c.HostAsynqServer = true })
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		mail, wakes := make(chan string, 10), make(chan []byte, 10)
		client := asynq.NewClientFromRedisClient(h.Redis)
		mailQueue := "mail-" + db.Name() + "-" + time.Now().Format("150405.000000000") // tests share the server
		startHostServer(t, h, e, mailQueue, mail, wakes)

		_, err := client.Enqueue(asynq.NewTask("mail:deliver", []byte("to ann")), asynq.Queue(mailQueue))
		enginetest.NoError(t, err)
		if got := <-mail; got != "to ann" {
			t.Errorf("the host's handler got %q", got)
		}

		sender := h.Engine(nil) // not started, as in a web process
		job := enginetest.Dispatch(t, sender, enginetest.JobArgs{ID: "a"})
		enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		wake := <-wakes

		// The first job may also have been found through the list in Redis. This process writes to no list.
		mute := h.Engine(func(c *nawasync.Config) { c.Redis = nil })
		job = enginetest.Dispatch(t, mute, enginetest.JobArgs{ID: "b"})
		requireStatus(t, e, job.ID, tracker.StatusQueued)
		for queue := range e.WakeQueues() {
			_, err := client.Enqueue(asynq.NewTask(nawasync.WakeTask, wake), asynq.Queue(queue), asynq.MaxRetry(0))
			enginetest.NoError(t, err)
		}
		<-wakes
		enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
	})
}

// startHostServer starts an asynq server with a handler of the host and that of the engine. It sends
// what they get to mail and wakes.
func startHostServer(t *testing.T, h *enginetest.Harness, e *nawasync.Engine, queue string, mail chan<- string, wakes chan<- []byte) {
	t.Helper()
	queues := e.WakeQueues()
	queues[queue] = 1
	mux := asynq.NewServeMux()
	mux.HandleFunc("mail:deliver", func(_ context.Context, task *asynq.Task) error {
		mail <- string(task.Payload())
		return nil
	})
	handler := e.WakeHandler()
	mux.HandleFunc(nawasync.WakeTask, func(ctx context.Context, task *asynq.Task) error {
		err := handler.ProcessTask(ctx, task)
		wakes <- task.Payload()
		return err
	})
	server := asynq.NewServerFromRedisClient(h.Redis, asynq.Config{
		Concurrency: 2, Queues: queues, TaskCheckInterval: 50 * time.Millisecond, ShutdownTimeout: time.Second, LogLevel: asynq.FatalLevel,
	})
	enginetest.NoError(t, server.Start(mux))
	t.Cleanup(server.Shutdown)
}
