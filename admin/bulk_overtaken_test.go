package admin_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// The run retries an overtaken retry first. It must count it as done when it gets to it.
func TestOvertakenRetryIsCountedAsDone(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, admin.Register(s.engine, s.enforcer))
	noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "test"}))
	s.store([]*past{
		{id: 1, original: 1, action: "create", status: tracker.StatusFailed, retriedAs: 3},
		{id: 2, original: 2, action: "update", status: tracker.StatusFailed},
		{id: 3, original: 1, retryOf: 1, action: "create", status: tracker.StatusFailed},
	})
	s.start()
	preview, page := s.retryAll("status:failed")
	if n := s.count("status = 'queued'"); n != 2 || !strings.Contains(preview, "Retry 2 jobs") {
		t.Errorf("%d retries, want 2", n)
	}
	for _, text := range []string{"<dt>Succeeded</dt><dd>2</dd>", "<dt>Skipped</dt><dd>1</dd>", "Of 2 new jobs:"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
	if at := strings.Index(page, "<dl class=\"totals\">"); at >= 0 && t.Failed() {
		t.Log(page[at : at+900])
	}
}

// A retry that was overtaken cannot run: its error is not that of the other job.
func TestOvertakenRetryWithoutArgumentsStopsNoOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, admin.Register(s.engine, s.enforcer))
	noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "test"}))
	s.store([]*past{
		{id: 1, original: 1, action: "create", status: tracker.StatusFailed, retriedAs: 3},
		{id: 2, original: 2, action: "update", status: tracker.StatusFailed},
		{id: 3, original: 1, retryOf: 1, action: "create", status: tracker.StatusFailed},
	})
	noError(t, s.db.Exec("UPDATE nawasync_jobs SET sealed = '' WHERE id = 3").Error)
	s.start()
	_, page := s.retryAll("status:failed")
	if n := s.count("retry_of = 2"); n != 1 {
		at := strings.Index(page, "by reason")
		t.Errorf("%d retries of job 2, want 1: %s", n, page[at:at+250])
	}
}

// Job 3 is a retry of job 1 from before migration 8, or of an old process: its original is NULL. Job 2 is the newer wish.
func TestRetryFromBeforeTheMigrationIsNotTheNewestWish(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, admin.Register(s.engine, s.enforcer))
	noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "test"}))
	s.store([]*past{
		{id: 1, original: 1, action: "update", status: tracker.StatusFailed},
		{id: 2, original: 2, action: "update", status: tracker.StatusFailed},
		{id: 3, original: 1, retryOf: 1, action: "update", status: tracker.StatusFailed},
	})
	noError(t, s.db.Exec("UPDATE nawasync_jobs SET original = NULL, retried_as = NULL").Error)
	s.start()
	s.retryAll("status:failed")
	if n := s.count("retry_of = 2"); n != 1 {
		t.Errorf("job 2, the newest wish, was retried %d times; job 3, which repeats job 1, %d times", n, s.count("retry_of = 3"))
	}
}

// A second operator presses Retry on a page from before the first one's retry.
func TestSecondOperatorIsToldOfTheRetry(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "test"}))
	s.store([]*past{{id: 1, original: 1, action: "update", status: tracker.StatusFailed}})
	s.start()
	_, err := s.engine.Retry(t.Context(), 1, nawasync.RetryOptions{By: "first"})
	noError(t, err)
	page := s.follow(s.browser("operator"), "/jobs/1/retry", "back", "/jobs/1")
	if strings.Contains(page, "select “Retry although …” on this page") && !strings.Contains(page, `name="force"`) {
		t.Error("the page says to select “Retry although …”, which it does not offer, and not that the job is being retried")
	}
}

// A process that dies between the row of a retry and its task leaves an open row without a task. The pages must offer
// what repairs it: to retry the job again (see retryTracked).
func TestTrackedRetryWithoutItsTaskCanBeMended(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, admin.Register(s.engine, s.enforcer))
	s.start()
	redis := redisClient(t)
	client := asynq.NewClientFromRedisClient(redis)
	server := asynq.NewServerFromRedisClient(redis, asynq.Config{LogLevel: asynq.FatalLevel, TaskCheckInterval: 20 * time.Millisecond})
	handler := asynq.HandlerFunc(func(context.Context, *asynq.Task) error { return fmt.Errorf("%w: refused", asynq.SkipRetry) })
	noError(t, server.Start(s.engine.Track(nawasync.TrackOptions{Describe: describeMail, Client: client})(handler)))
	_, err := client.Enqueue(asynq.NewTask("welcome", []byte(`{}`)))
	noError(t, err)
	enginetest.Eventually(t, 10*time.Second, "failed", func() bool {
		job, err := s.engine.Reader().Get(t.Context(), 1)
		return err == nil && job.Status == tracker.StatusFailed
	})
	server.Shutdown()
	next, err := s.engine.Retry(t.Context(), 1, nawasync.RetryOptions{By: "x"})
	noError(t, err)
	noError(t, redis.FlushAll(t.Context()).Err()) // as if the process had died before it enqueued the task
	for _, id := range []int64{1, next.ID} {
		if page := s.get("operator", fmt.Sprintf("/jobs/%d", id)).body; strings.Contains(page, fmt.Sprintf("/jobs/%d/retry", id)) {
			return
		}
	}
	t.Errorf("neither the page of job 1 nor that of its retry %d offers to enqueue the task again", next.ID)
}
