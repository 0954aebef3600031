package nawasync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
)

// A host has an asynq server with a handler for welcome mails. Track gives each of its tasks a row
// among the jobs, from which it can be retried. ExampleServers is a helper of the examples.
func ExampleEngine_Track() {
	db, redis, closeServers := enginetest.ExampleServers()
	defer closeServers()
	events := make(chan nawasync.Event, 1)
	engine, err := nawasync.New(nawasync.Config{DB: db, Redis: redis, OnEvent: func(_ context.Context, e nawasync.Event) { events <- e }})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The host's own handler stays as it is.
	refused := true
	welcome := func(context.Context, *asynq.Task) error {
		if refused {
			return fmt.Errorf("%w: the mail server refused the address", asynq.SkipRetry)
		}
		return nil
	}

	client := asynq.NewClientFromRedisClient(redis)
	mux := asynq.NewServeMux()
	mux.Use(engine.Track(nawasync.TrackOptions{
		Client: client, // for retries
		Describe: func(task *asynq.Task) (nawasync.Kind, nawasync.Target, bool) {
			var payload struct {
				To string `json:"to"`
			}
			if err := json.Unmarshal(task.Payload(), &payload); err != nil {
				return nawasync.Kind{}, nawasync.Target{}, false
			}
			return nawasync.Kind{Service: "shop", Type: "mail", Action: "welcome"}, nawasync.Target{ID: payload.To}, task.Type() == "mail:welcome"
		},
	}))
	mux.HandleFunc("mail:welcome", welcome)
	server := asynq.NewServerFromRedisClient(redis, asynq.Config{LogLevel: asynq.FatalLevel})
	if err := server.Start(mux); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Shutdown()

	if _, err := client.Enqueue(asynq.NewTask("mail:welcome", []byte(`{"to":"ann@example.com"}`))); err != nil {
		fmt.Println(err)
		return
	}
	failed := (<-events).Job
	fmt.Println(failed.Service, failed.TargetID, failed.Status, failed.Error)

	refused = false
	if _, err := engine.Retry(context.Background(), failed.ID, nawasync.RetryOptions{By: "user:1"}); errors.Is(err, nawasync.ErrNotTracked) {
		fmt.Println("this process cannot enqueue the task")
	}
	again := (<-events).Job
	fmt.Println(again.Status, again.RetryOf == failed.ID)
	// Output:
	// shop ann@example.com failed skip retry for the task: the mail server refused the address
	// success true
}
