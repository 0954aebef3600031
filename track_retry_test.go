package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestRetryOfATrackedTaskEnqueuesItsSealedPayloadAgain(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := mailHarness(t, db)
		e := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		m := startMail(t, h, e, nawasync.TrackOptions{MaskKeys: []string{"code"}})
		payload := `{"to":"ann", "password":"hunter22-unique", "code":"4711-unique"}`
		var fails atomic.Bool
		fails.Store(true)
		got := make(chan string, 10)
		m.do(func(ctx context.Context, task *asynq.Task) error {
			deadline, _ := ctx.Deadline()
			got <- fmt.Sprint(string(task.Payload()), " ", time.Until(deadline).Round(time.Minute), " ", task.Headers()["tenant"])
			if fails.Load() {
				return errors.New("the server refused hunter22-unique and 4711-unique")
			}
			return nil
		})
		_, err := m.client.Enqueue(asynq.NewTaskWithHeaders("mail:deliver", []byte(payload), map[string]string{"tenant": "blue"}),
			asynq.MaxRetry(0), asynq.Timeout(7*time.Minute), asynq.Queue("bulk"))
		enginetest.NoError(t, err)
		first := m.wait(t, 1, tracker.StatusFailed)
		fails.Store(false)
		second, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{By: "user:1"})
		enginetest.NoError(t, err)
		done := m.wait(t, 2, tracker.StatusSuccess)
		if done.ID != second.ID || done.RetryOf != first.ID || done.TriggeredBy != "user:1" || done.TriggerSource != "retry" ||
			done.Queue != "asynq:bulk" || done.Attempt != 1 || done.MaxAttempts != 1 {
			t.Errorf("retry %+v of job %d", done, first.ID)
		}
		for _, task := range []string{<-got, <-got} {
			if want := payload + " 7m0s blue"; task != want {
				t.Errorf("a handler got %s, want %s", task, want)
			}
		}
		if texts := storedTexts(t, h); strings.Contains(texts, "hunter22") || strings.Contains(texts, "4711") || !strings.Contains(texts, `"code":"***"`) {
			t.Errorf("want the secrets masked in the database and the log:\n%s", texts)
		}
	})
}

// storedTexts returns the texts of all jobs and attempts, and the log.
func storedTexts(t *testing.T, h *enginetest.Harness) string {
	t.Helper()
	var texts []string
	enginetest.NoError(t, h.DB.Raw("SELECT payload FROM nawasync_jobs UNION ALL SELECT COALESCE(error, '') FROM nawasync_jobs"+
		" UNION ALL SELECT COALESCE(error, '') FROM nawasync_attempts").Scan(&texts).Error)
	return strings.Join(append(texts, h.Log.String()), "\n")
}

func TestRetryOfATrackedTaskIsOneTaskHoweverOftenItIsRequested(t *testing.T) {
	t.Parallel()
	h := mailHarness(t, testdb.SQLite(t))
	e := h.Engine(nil)
	m := startMail(t, h, e, nawasync.TrackOptions{})
	m.do(func(context.Context, *asynq.Task) error { return asynq.SkipRetry })
	m.enqueue(t, `{"to":"ann"}`)
	first := m.wait(t, 1, tracker.StatusFailed)
	release := make(chan struct{})
	var runs atomic.Int64
	m.do(func(context.Context, *asynq.Task) error {
		runs.Add(1)
		<-release
		return nil
	})
	for range 3 {
		again, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{})
		enginetest.NoError(t, err)
		if again.RetryOf != first.ID {
			t.Errorf("retry %+v", again)
		}
	}
	m.wait(t, 2, tracker.StatusRunning)
	close(release)
	m.wait(t, 2, tracker.StatusSuccess)
	if n := len(m.jobs(t)); n != 2 || runs.Load() != 1 {
		t.Errorf("%d jobs and %d runs of the retry, want 2 and 1", n, runs.Load())
	}
}

func TestRetryOfATrackedTaskIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	h := mailHarness(t, testdb.SQLite(t))
	e := h.Engine(nil)
	m := startMail(t, h, e, nawasync.TrackOptions{})
	m.do(func(context.Context, *asynq.Task) error { return asynq.SkipRetry })
	for i, payload := range []string{`{"to":"ann","password":"hunter22"}`, "\x00binary"} {
		m.enqueue(t, payload)
		job := m.wait(t, i+1, tracker.StatusFailed)
		_, err := e.Retry(t.Context(), job.ID, nawasync.RetryOptions{})
		if !errors.Is(err, nawasync.ErrNoArguments) || !strings.Contains(err.Error(), "Config.Sealer") || !job.ArgumentsDropped() || strings.Contains(string(job.Payload), "hunter22") {
			t.Errorf("retry of %s: %v", job.Payload, err)
		}
	}
	m.enqueue(t, `{"to":"bob"}`)
	job := m.wait(t, 3, tracker.StatusFailed)
	other := h.Engine(nil) // a process without Track
	if _, err := other.Retry(t.Context(), job.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrNotTracked) {
		t.Errorf("a process without Track: %v", err)
	}
	other.Track(nawasync.TrackOptions{Describe: describeMail}) // without a client
	if _, err := other.Retry(t.Context(), job.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrNotTracked) {
		t.Errorf("a process without a client: %v", err)
	}
	if n := len(m.jobs(t)); n != 3 {
		t.Errorf("%d jobs, want no row for a refused retry", n)
	}
	other.Track(nawasync.TrackOptions{Describe: describeMail, Client: m.client})
	m.do(func(context.Context, *asynq.Task) error { return nil })
	_, err := other.Retry(t.Context(), job.ID, nawasync.RetryOptions{})
	enginetest.NoError(t, err)
	m.wait(t, 4, tracker.StatusSuccess)
}

func TestBinaryPayloadIsHiddenAndRetriedUnchanged(t *testing.T) {
	t.Parallel()
	h := mailHarness(t, testdb.SQLite(t))
	e := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
	m := startMail(t, h, e, nawasync.TrackOptions{})
	payload := "\x00\xff\x01 binary"
	m.do(func(context.Context, *asynq.Task) error { return asynq.SkipRetry })
	m.enqueue(t, payload)
	job := m.wait(t, 1, tracker.StatusFailed)
	if string(job.Payload) != `{"task":"mail:deliver","payload_base64":"***"}` {
		t.Errorf("the payload is shown as %s", job.Payload)
	}
	got := make(chan string, 1)
	m.do(func(_ context.Context, task *asynq.Task) error {
		got <- string(task.Payload())
		return nil
	})
	_, err := e.Retry(t.Context(), job.ID, nawasync.RetryOptions{})
	enginetest.NoError(t, err)
	if again := <-got; again != payload {
		t.Errorf("the handler got %q, want %q", again, payload)
	}
}

func TestCancelledTrackedTaskIsDroppedWhenAsynqDeliversIt(t *testing.T) {
	t.Parallel()
	h := mailHarness(t, testdb.SQLite(t))
	e := h.Engine(nil)
	m := startMail(t, h, e, nawasync.TrackOptions{})
	var runs atomic.Int64
	running, fail := make(chan struct{}), make(chan struct{})
	m.do(func(context.Context, *asynq.Task) error {
		runs.Add(1)
		running <- struct{}{}
		<-fail
		return enginetest.ErrBoom
	})
	m.enqueue(t, `{"to":"ann"}`, asynq.MaxRetry(5))
	<-running
	job, err := e.Cancel(t.Context(), m.jobs(t)[0].ID, nawasync.OperatorOptions{By: "user:1"})
	enginetest.NoError(t, err)
	if job.Status != tracker.StatusRunning {
		t.Errorf("job %+v, want it still running", job)
	}
	close(fail)
	m.wait(t, 1, tracker.StatusCancelled)
	enginetest.Eventually(t, 10*time.Second, "asynq has dropped the task", func() bool {
		info, err := asynq.NewInspectorFromRedisClient(h.Redis).GetQueueInfo("default")
		return err == nil && info.Size == 0
	})
	if runs.Load() != 1 || len(m.jobs(t)) != 1 {
		t.Errorf("%d runs and %d jobs, want one of each", runs.Load(), len(m.jobs(t)))
	}
}
