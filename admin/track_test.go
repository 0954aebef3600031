package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func describeMail(task *asynq.Task) (nawasync.Kind, nawasync.Target, bool) {
	return nawasync.Kind{Service: "mail", Type: "message", Action: task.Type()}, nawasync.Target{ID: "ann"}, true
}

func TestTrackedTasksAreShownBesideTheJobsAndRetriedFromTheirPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	redis := redisClient(t)
	client := asynq.NewClientFromRedisClient(redis)
	healthy := make(chan struct{}) // closed when the handler may succeed
	handler := asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		select {
		case <-healthy:
			return nil
		default:
		}
		if task.Type() == "welcome" {
			return fmt.Errorf("%w: refused", asynq.SkipRetry)
		}
		return enginetest.ErrBoom
	})
	delay := func(int, error, *asynq.Task) time.Duration { return time.Hour }
	server := asynq.NewServerFromRedisClient(redis, asynq.Config{LogLevel: asynq.FatalLevel, RetryDelayFunc: delay, TaskCheckInterval: 20 * time.Millisecond})
	noError(t, server.Start(s.engine.Track(nawasync.TrackOptions{Describe: describeMail, Client: client, RetryDelay: delay})(handler)))
	t.Cleanup(server.Shutdown)

	enqueue := func(typ string) {
		_, err := client.Enqueue(asynq.NewTask(typ, []byte(`{"password":"`+secretText+`"}`)))
		noError(t, err)
	}
	awaitRow := func(id int64, status tracker.Status) *tracker.Job {
		enginetest.Eventually(t, 10*time.Second, "the task has a row", func() bool {
			_, err := s.engine.Reader().Get(t.Context(), id)
			return err == nil
		})
		return s.await(id, status)
	}
	enqueue("welcome")
	failed := awaitRow(1, tracker.StatusFailed)
	enqueue("remind")
	awaitRow(2, tracker.StatusQueued)

	list := s.get("viewer", "/jobs?q=service%3Amail").body
	waiting := s.get("viewer", "/jobs/2").body
	for text, page := range map[string]string{"/jobs/1": list, "/jobs/2": list, "asynq delivers the task to the application again": waiting, "remind": waiting} {
		if !strings.Contains(page, text) {
			t.Errorf("a page lacks %q", text)
		}
	}
	if strings.Contains(list+waiting, secretText) {
		t.Error("a page shows the secret of a payload")
	}
	// The task is due by now, and nawasync has no worker for it: that is as it should be.
	noError(t, s.db.Exec("UPDATE nawasync_jobs SET not_before = ? WHERE id = 2", time.Now().Add(-time.Second).UnixMicro()).Error)
	if health := s.get("viewer", "/").body; strings.Contains(health, "No running process handles") {
		t.Error("health misses a worker for a task that asynq delivers")
	}
	close(healthy)
	if got := s.post("operator", fmt.Sprintf("/jobs/%d/retry", failed.ID), "force", "yes", "later", "2"); got.status != http.StatusSeeOther {
		t.Errorf("the retry answers %d", got.status)
	}
	if retry := awaitRow(3, tracker.StatusSuccess); retry.RetryOf != failed.ID || retry.TriggeredBy != "operator" {
		t.Errorf("the retry is %+v", retry)
	}
}
