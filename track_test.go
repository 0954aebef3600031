package nawasync_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

var mailKind = nawasync.Kind{Service: "mail", Type: "message", Action: "deliver"}

// describeMail describes tasks of type mail:deliver. Their target is the field "to", or "binary".
func describeMail(task *asynq.Task) (nawasync.Kind, nawasync.Target, bool) {
	var payload mailArgs
	if json.Unmarshal(task.Payload(), &payload) != nil || payload.To == "" {
		payload.To = "binary"
	}
	return mailKind, nawasync.Target{ID: payload.To}, task.Type() == "mail:deliver"
}

// mailServer is an asynq server of a host, with a tracked handler.
type mailServer struct {
	*enginetest.Harness
	engine *nawasync.Engine
	client *asynq.Client
	server *asynq.Server

	mu     sync.Mutex
	handle func(ctx context.Context, task *asynq.Task) error
}

func (m *mailServer) do(fn func(context.Context, *asynq.Task) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handle = fn
}

// startMail starts an asynq server whose handler succeeds until do changes it. Failed tasks are
// delivered again at once.
func startMail(t *testing.T, h *enginetest.Harness, e *nawasync.Engine, o nawasync.TrackOptions) *mailServer {
	t.Helper()
	m := &mailServer{Harness: h, engine: e, client: asynq.NewClientFromRedisClient(h.Redis)}
	m.do(func(context.Context, *asynq.Task) error { return nil })
	o.Describe, o.Client, o.RetryDelay = describeMail, m.client, noDelay
	m.server = asynq.NewServerFromRedisClient(h.Redis, mailConfig())
	enginetest.NoError(t, m.server.Start(e.Track(o)(asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		m.mu.Lock()
		handle := m.handle
		m.mu.Unlock()
		return handle(ctx, task)
	}))))
	t.Cleanup(m.server.Shutdown)
	return m
}

func noDelay(int, error, *asynq.Task) time.Duration { return 0 }

func mailConfig() asynq.Config {
	return asynq.Config{
		Concurrency: 4, Queues: map[string]int{"default": 1, "bulk": 1}, RetryDelayFunc: noDelay, LogLevel: asynq.FatalLevel,
		TaskCheckInterval: 20 * time.Millisecond, DelayedTaskCheckInterval: 20 * time.Millisecond, ShutdownTimeout: time.Second,
	}
}

func (m *mailServer) enqueue(t *testing.T, payload string, o ...asynq.Option) {
	t.Helper()
	_, err := m.client.Enqueue(asynq.NewTask("mail:deliver", []byte(payload)), o...)
	enginetest.NoError(t, err)
}

// wait waits until the nth tracked job has a status, and returns it.
func (m *mailServer) wait(t *testing.T, n int, status tracker.Status) *tracker.Job {
	t.Helper()
	var job *tracker.Job
	enginetest.Eventually(t, 20*time.Second, fmt.Sprintf("job %d is %s", n, status), func() bool {
		list := m.jobs(t)
		if len(list) < n {
			return false
		}
		job = list[n-1]
		return job.Status == status
	})
	return enginetest.WaitStatus(t, m.engine, job.ID, status)
}

// jobs returns the tracked jobs, oldest first.
func (m *mailServer) jobs(t *testing.T) (list []*tracker.Job) {
	t.Helper()
	var ids []int64
	enginetest.NoError(t, m.DB.Raw("SELECT id FROM nawasync_jobs WHERE service = 'mail' ORDER BY id").Scan(&ids).Error)
	for _, id := range ids {
		job, err := m.engine.Reader().Get(t.Context(), id)
		enginetest.NoError(t, err)
		list = append(list, job)
	}
	return list
}

func (m *mailServer) attempts(t *testing.T, job *tracker.Job) string {
	t.Helper()
	list, err := m.engine.Reader().Attempts(t.Context(), job)
	enginetest.NoError(t, err)
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "%d %s %s\n", a.Attempt, a.Outcome, a.ErrorClass)
	}
	return b.String()
}

func TestTrackedTaskHasARowWithItsAttemptsPayloadAndOutcome(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := mailHarness(t, db)
		m := startMail(t, h, h.Engine(nil), nawasync.TrackOptions{By: "shop"})
		var runs atomic.Int64
		m.do(func(context.Context, *asynq.Task) error {
			if runs.Add(1) == 1 {
				return enginetest.ErrBoom
			}
			time.Sleep(5 * time.Millisecond)
			return nil
		})
		m.enqueue(t, `{"to":"ann",  "n":1}`, asynq.MaxRetry(4), asynq.Queue("bulk"))
		job := m.wait(t, 1, tracker.StatusSuccess)
		if job.Attempt != 2 || job.MaxAttempts != 5 || job.Queue != "asynq:bulk" || job.TargetID != "ann" || job.TriggeredBy != "shop" ||
			job.Duration < 5*time.Millisecond {
			t.Errorf("job %+v", job)
		}
		if want := `{"task":"mail:deliver","payload":{"to":"ann",  "n":1}}`; string(job.Payload) != want {
			t.Errorf("payload %s, want %s", job.Payload, want)
		}
		if got, want := m.attempts(t, job), "1 retry error\n2 success \n"; got != want {
			t.Errorf("attempts %q, want %q", got, want)
		}
	})
}

// mailHarness is a harness whose Redis no other test uses: the names of a host's queues are not
// unique to a database.
func mailHarness(t *testing.T, db *testdb.Database) *enginetest.Harness {
	t.Helper()
	h := enginetest.New(t, db)
	if h.Mini == nil {
		h.Redis, _ = enginetest.PrivateRedis(t)
	}
	return h
}

func TestTrackedTaskEndsAsAsynqEndsIt(t *testing.T) {
	t.Parallel()
	h := mailHarness(t, testdb.SQLite(t))
	m := startMail(t, h, h.Engine(nil), nawasync.TrackOptions{})
	for i, c := range []struct {
		name     string
		options  []asynq.Option
		handle   func(ctx context.Context) error
		status   tracker.Status
		class    string
		attempts string
	}{
		{"retries exhausted", []asynq.Option{asynq.MaxRetry(1)}, func(context.Context) error { return enginetest.ErrBoom }, tracker.StatusFailed, "error", "1 retry error\n2 failed error\n"},
		{"SkipRetry", nil, func(context.Context) error {
			return fmt.Errorf("bad address: %w", asynq.SkipRetry)
		}, tracker.StatusFailed, "permanent", "1 failed permanent\n"},
		{"RevokeTask", nil, func(context.Context) error { return fmt.Errorf("sent before: %w", asynq.RevokeTask) }, tracker.StatusSkipped, "", "1 skipped \n"},
		{"panic", []asynq.Option{asynq.MaxRetry(0)}, func(context.Context) error { panic("boom") }, tracker.StatusFailed, "panic", "1 failed panic\n"},
		{"success after the timeout", []asynq.Option{asynq.MaxRetry(0), asynq.Timeout(time.Second)}, func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		}, tracker.StatusFailed, "timeout", "1 failed timeout\n"},
	} {
		m.do(func(ctx context.Context, _ *asynq.Task) error { return c.handle(ctx) })
		m.enqueue(t, fmt.Sprintf(`{"to":"case-%d"}`, i), c.options...)
		job := m.wait(t, i+1, c.status)
		if attempts := m.attempts(t, job); job.ErrorClass != c.class || attempts != c.attempts {
			t.Errorf("%s: class %q, attempts %q; want %q and %q", c.name, job.ErrorClass, attempts, c.class, c.attempts)
		}
	}
}

func TestTrackedRowIsListedCountedAndNeverClaimed(t *testing.T) {
	t.Parallel()
	h := mailHarness(t, testdb.SQLite(t))
	// This engine serves the kind of the tracked tasks, and its sweeper runs all the time.
	e := h.Tuned(host.Tuning{Sweep: 10 * time.Millisecond, Poll: 10 * time.Millisecond, Beat: 20 * time.Millisecond, DeadAfter: 200 * time.Millisecond}, nil)
	enginetest.NoError(t, nawasync.Register(e, &mailJob{}))
	h.Start(e)
	m := startMail(t, h, e, nawasync.TrackOptions{})
	running, fail := make(chan struct{}), make(chan struct{})
	m.do(func(context.Context, *asynq.Task) error {
		running <- struct{}{}
		<-fail
		return enginetest.ErrBoom
	})
	m.enqueue(t, `{"to":"ann"}`, asynq.MaxRetry(1))
	<-running
	found, err := e.Reader().Search(t.Context(), tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldStatus, Values: []string{"running"}}}})
	enginetest.NoError(t, err)
	open, _, err := e.Reader().OpenJobs(t.Context())
	enginetest.NoError(t, err)
	if len(found.Jobs) != 1 || !found.Jobs[0].Tracked() || len(open) != 1 || open[0].Running != 1 {
		t.Errorf("found %+v, open %+v; want the task in both", found.Jobs, open)
	}
	other := enginetest.Dispatch(t, e, mailArgs{To: "ann"})
	enginetest.WaitStatus(t, e, other.ID, tracker.StatusSuccess) // the lane is free
	time.Sleep(300 * time.Millisecond)                           // longer than DeadAfter and several sweeps
	fail <- struct{}{}
	<-running
	stored := enginetest.Stored(t, e, found.Jobs[0].ID)
	if stored.Status != tracker.StatusRunning || stored.Epoch != 1 || stored.Attempt != 2 || !stored.WakeAt.IsZero() || stored.DeadlineAt.IsZero() {
		t.Errorf("job %+v, want the second attempt running", stored)
	}
	fail <- struct{}{}
	m.wait(t, 1, tracker.StatusFailed)
	enginetest.Eventually(t, 10*time.Second, "the statistics count the task", func() bool {
		var n int
		enginetest.NoError(t, h.DB.Raw("SELECT COALESCE(SUM(jobs), 0) FROM nawasync_stats WHERE period = 'minute' AND outcome = 'failed'").Row().Scan(&n))
		return n == 1
	})
}

// mailArgs has the kind of the tracked tasks: what a host gets when it moves to AbstractJob.
type mailArgs struct {
	To string `json:"to"`
}

func (mailArgs) Kind() nawasync.Kind       { return mailKind }
func (a mailArgs) Target() nawasync.Target { return nawasync.Target{ID: a.To} }

type mailJob struct{ nawasync.AbstractJob[mailArgs] }

func (*mailJob) Execute(context.Context, *nawasync.Run[mailArgs]) error { return nil }

func TestTrackedTaskRunsWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	h := mailHarness(t, db)
	e := h.Engine(nil)
	m := startMail(t, h, e, nawasync.TrackOptions{})
	enginetest.NoError(t, db.Exec("ALTER TABLE nawasync_jobs RENAME TO away").Error)
	ran := make(chan struct{})
	m.do(func(context.Context, *asynq.Task) error {
		close(ran)
		return nil
	})
	start := time.Now()
	m.enqueue(t, `{"to":"ann"}`)
	<-ran
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the task started after %s", took)
	}
	enginetest.Eventually(t, 10*time.Second, "asynq has ended the task", func() bool {
		info, err := asynq.NewInspectorFromRedisClient(h.Redis).GetQueueInfo("default")
		return err == nil && info.Active+info.Pending+info.Retry == 0 && info.Processed == 1 && info.Failed == 0
	})
	if !strings.Contains(h.Log.String(), "the start of a task is not recorded") {
		t.Error("no warning was logged")
	}
	enginetest.NoError(t, db.Exec("ALTER TABLE away RENAME TO nawasync_jobs").Error)
}

func TestOutcomeOfATrackedTaskIsWrittenWhenTheDatabaseIsBack(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	h := mailHarness(t, db)
	m := startMail(t, h, h.Engine(nil), nawasync.TrackOptions{})
	m.do(func(context.Context, *asynq.Task) error {
		return db.Exec("ALTER TABLE nawasync_jobs RENAME TO away").Error
	})
	m.enqueue(t, `{"to":"ann"}`)
	enginetest.Eventually(t, 10*time.Second, "the outcome is not written", func() bool {
		return strings.Contains(h.Log.String(), "the outcome of a task is not recorded yet")
	})
	enginetest.NoError(t, db.Exec("ALTER TABLE away RENAME TO nawasync_jobs").Error)
	m.wait(t, 1, tracker.StatusSuccess)
}

func TestUndescribedAndInvalidTasksRunUntracked(t *testing.T) {
	t.Parallel()
	h := mailHarness(t, testdb.SQLite(t))
	m := startMail(t, h, h.Engine(nil), nawasync.TrackOptions{})
	ran := make(chan string, 4)
	m.do(func(_ context.Context, task *asynq.Task) error {
		ran <- task.Type()
		return nil
	})
	_, err := m.client.Enqueue(asynq.NewTask("other", nil))
	enginetest.NoError(t, err)
	<-ran
	m.enqueue(t, `{"to":"`+strings.Repeat("x", 300)+`"}`)
	<-ran
	m.enqueue(t, `{"to":"ann"}`)
	m.wait(t, 1, tracker.StatusSuccess)
	if n := len(m.jobs(t)); n != 1 || !strings.Contains(h.Log.String(), "over the limit of 255") {
		t.Errorf("%d jobs, want only that of the valid task, and a warning", n)
	}
}

func TestTaskThatIsDeliveredAfterItsJobEndedGetsANewRow(t *testing.T) {
	t.Parallel()
	h := mailHarness(t, testdb.SQLite(t))
	m := startMail(t, h, h.Engine(nil), nawasync.TrackOptions{})
	m.do(func(context.Context, *asynq.Task) error { return enginetest.ErrBoom })
	m.enqueue(t, `{"to":"ann"}`, asynq.MaxRetry(1), asynq.TaskID("nightly"))
	first := m.wait(t, 1, tracker.StatusFailed)
	enginetest.NoError(t, h.DB.Exec("DELETE FROM nawasync_keys").Error) // as the pruner does
	m.do(func(context.Context, *asynq.Task) error { return nil })
	enginetest.Eventually(t, 10*time.Second, "the archived task runs", func() bool {
		return asynq.NewInspectorFromRedisClient(h.Redis).RunTask("default", "nightly") == nil
	})
	if again := m.wait(t, 2, tracker.StatusSuccess); again.RetryOf != first.ID {
		t.Errorf("job %+v, want it to be a retry of job %d", again, first.ID)
	}
	enginetest.Eventually(t, 10*time.Second, "the id can be used again", func() bool {
		_, err := m.client.Enqueue(asynq.NewTask("mail:deliver", []byte(`{"to":"ann"}`)), asynq.TaskID("nightly"))
		return err == nil
	})
	if other := m.wait(t, 3, tracker.StatusSuccess); other.RetryOf != 0 {
		t.Errorf("job %+v, want it to be of no other", other)
	}
}
