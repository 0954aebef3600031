package nawasync_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
)

// A server repeats the client's token in an error. The engine stores, logs and shows the error without it.
func ExampleConfig_secrets() {
	db, _, closeServers := enginetest.ExampleServers()
	defer closeServers()
	token := nawasync.NewSecret("C0FFEE-T0KEN")
	events := make(chan nawasync.Event, 1)
	engine, err := nawasync.New(nawasync.Config{
		DB: db, Secrets: []nawasync.Secret{token}, OnEvent: func(_ context.Context, e nawasync.Event) { events <- e },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = nawasync.Register(engine, &enginetest.Handler[enginetest.JobArgs]{Do: func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		return nawasync.Permanent(errors.New("the server refused " + token.Reveal()))
	}})
	_ = engine.Start(context.Background())
	_, _ = engine.Dispatch(context.Background(), enginetest.JobArgs{ID: "a"}, nawasync.Options{})
	fmt.Println((<-events).Job.Error)
	_ = engine.Stop(context.Background())
	// Output: the server refused ***
}
