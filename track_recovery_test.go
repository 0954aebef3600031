package nawasync_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// runTrackedServer is what a child process does in the mode track.
func runTrackedServer(e *nawasync.Engine, client *redis.Client) error {
	handler := asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		fmt.Println("executing", string(task.Payload()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return nil
		}
	})
	server := asynq.NewServerFromRedisClient(client, mailConfig())
	if err := server.Start(e.Track(nawasync.TrackOptions{Describe: describeMail})(handler)); err != nil {
		return err
	}
	fmt.Println(enginetest.ChildReady)
	select {}
}

// killMail enqueues a task, and kills the process that runs it. It returns the task's id and its job.
func killMail(t *testing.T, h *enginetest.Harness, o ...asynq.Option) (id string, job *tracker.Job) {
	t.Helper()
	h.Redis, _ = enginetest.PrivateRedis(t)
	child := enginetest.StartChild(t, h, "track")
	info, err := asynq.NewClientFromRedisClient(h.Redis).Enqueue(asynq.NewTask("mail:deliver", []byte(`{"to":"ann"}`)), o...)
	enginetest.NoError(t, err)
	child.WaitOutput(t, "executing")
	child.Signal(t, syscall.SIGKILL)
	child.WaitExit(t)
	m := mailServer{Harness: h, engine: h.Engine(nil)}
	return info.ID, m.wait(t, 1, tracker.StatusRunning)
}

func TestTrackedTaskOfAKilledProcessContinuesItsRow(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		id, job := killMail(t, h, asynq.MaxRetry(3))
		// asynq delivers the task again a minute after its lease has expired: let that be now.
		enginetest.NoError(t, h.Redis.ZAdd(t.Context(), "asynq:{default}:lease", redis.Z{Member: id, Score: 1}).Err())
		m := startMail(t, h, h.Engine(nil), nawasync.TrackOptions{})
		done := m.wait(t, 1, tracker.StatusSuccess)
		if done.ID != job.ID || done.Attempt != 2 || done.MaxAttempts != 4 || len(m.jobs(t)) != 1 {
			t.Errorf("%d jobs, the first is %+v; want one job with a second attempt", len(m.jobs(t)), done)
		}
		if got, want := m.attempts(t, done), "1 reaped worker_died\n2 success \n"; got != want {
			t.Errorf("attempts %q, want %q", got, want)
		}
	})
}

func TestTrackedTaskThatNeverReturnsIsStuckAndCanBeCancelledAndRetried(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		_, job := killMail(t, h, asynq.Timeout(2*time.Second))
		enginetest.NoError(t, h.Redis.FlushAll(t.Context()).Err())
		m := startMail(t, h, h.Engine(nil), nawasync.TrackOptions{})
		enginetest.Eventually(t, 10*time.Second, "the search finds the stuck job", func() bool {
			found, err := m.engine.Reader().Search(t.Context(), tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldStuck}}})
			return err == nil && len(found.Jobs) == 1 && found.Jobs[0].Stuck(time.Now())
		})
		cancelled, err := m.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.NoError(t, err)
		if cancelled.Status != tracker.StatusCancelled || cancelled.CancelBy != "user:1" {
			t.Errorf("job %+v, want it cancelled", cancelled)
		}
		_, err = m.engine.Retry(t.Context(), job.ID, nawasync.RetryOptions{})
		enginetest.NoError(t, err)
		m.wait(t, 2, tracker.StatusSuccess)
	})
}

func TestTaskWaitsForALockedDatabaseForAMomentOnly(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := mailHarness(t, db)
		m := startMail(t, h, h.Engine(nil), nawasync.TrackOptions{})
		started := make(chan time.Time, 1)
		m.do(func(context.Context, *asynq.Task) error {
			started <- time.Now()
			return nil
		})
		unlock := lockJobs(t, db)
		defer unlock()
		enqueued := time.Now()
		m.enqueue(t, `{"to":"ann"}`)
		began := <-started
		enginetest.Eventually(t, 10*time.Second, "asynq has ended the task", func() bool {
			info, err := asynq.NewInspectorFromRedisClient(h.Redis).GetQueueInfo("default")
			return err == nil && info.Processed == 1 && info.Size == 0
		})
		// Twice what is promised, for a slow machine. SQLite would wait 5 s by itself.
		if wait, rest := began.Sub(enqueued), time.Since(began); wait > 4*time.Second || rest > 4*time.Second {
			t.Errorf("the task waited %s before its handler and %s after it, want 2 s each", wait, rest)
		}
	})
}

// lockJobs locks all jobs, as a migration or a host's transaction may do, until unlock is called.
func lockJobs(t *testing.T, db *testdb.Database) (unlock func()) {
	t.Helper()
	pool, err := db.DB.DB()
	enginetest.NoError(t, err)
	conn, err := pool.Conn(context.Background())
	enginetest.NoError(t, err)
	statements := map[string][]string{
		"sqlite":   {"BEGIN IMMEDIATE", "ROLLBACK"},
		"postgres": {"BEGIN", "LOCK TABLE nawasync_jobs IN ACCESS EXCLUSIVE MODE", "ROLLBACK"},
		"mysql":    {"LOCK TABLES nawasync_jobs WRITE", "UNLOCK TABLES"},
	}[db.Dialect]
	for _, statement := range statements[:len(statements)-1] {
		_, err := conn.ExecContext(context.Background(), statement)
		enginetest.NoError(t, err)
	}
	return func() {
		_, err := conn.ExecContext(context.Background(), statements[len(statements)-1])
		enginetest.NoError(t, err)
		enginetest.NoError(t, conn.Close())
	}
}
