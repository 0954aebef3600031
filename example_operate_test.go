package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// Retry dispatches a new job with the arguments of the failed one.
func ExampleEngine_Retry() {
	engine, _, events, stop := exampleEngine()
	defer stop()
	_, _ = engine.Dispatch(context.Background(), suspend{Account: "root"}, nawasync.Options{})
	failed := (<-events).Job
	fmt.Println(failed.Status, failed.ErrorClass, failed.Error)
	retried, err := engine.Retry(context.Background(), failed.ID, nawasync.RetryOptions{By: "user:1"})
	fmt.Println(retried.RetryOf == failed.ID, err)
	<-events
	// Output:
	// failed permanent root cannot be suspended
	// true <nil>
}

// A queued job is cancelled at once. For a running job, Cancel ends the context of its handler.
func ExampleEngine_Cancel() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	ctx := context.Background()
	job, _ := engine.Dispatch(ctx, suspend{Account: "ann"}, nawasync.Options{Delay: time.Hour})
	cancelled, err := engine.Cancel(ctx, job.ID, nawasync.OperatorOptions{By: "user:1", Reason: "dispatched by mistake"})
	fmt.Println(cancelled.Status, err)
	// Output:
	// cancelled <nil>
}

// A deleted job no longer appears in lists. It can be restored until its row is pruned.
func ExampleEngine_Delete() {
	engine, _, events, stop := exampleEngine()
	defer stop()
	ctx, by := context.Background(), nawasync.OperatorOptions{By: "user:1"}
	_, _ = engine.Dispatch(ctx, suspend{Account: "ann"}, nawasync.Options{})
	job := (<-events).Job
	fmt.Println(engine.Delete(ctx, job.ID, by))
	found, _ := engine.Reader().Search(ctx, tracker.Search{})
	fmt.Println(len(found.Jobs), "jobs, kept for", engine.Retention(job.Status))
	fmt.Println(engine.Restore(ctx, job.ID, by))
	// Output:
	// <nil>
	// 0 jobs, kept for 336h0m0s
	// <nil>
}

// While a service is paused, none of its queued jobs starts. The pause ends at Until, or
// earlier when an operator resumes the service.
func ExampleEngine_Pause() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	ctx := context.Background()
	err := engine.Pause(ctx, "whm", "", nawasync.PauseOptions{By: "user:1", Reason: "maintenance", Until: time.Now().Add(time.Hour)})
	fmt.Println(err)
	resumed, err := engine.Resume(ctx, "whm", "", nawasync.OperatorOptions{By: "user:1"})
	fmt.Println(resumed, err)
	// Output:
	// <nil>
	// true <nil>
}

// Forget erases the arguments, results and error texts of the ended jobs of one target. The
// rows themselves stay.
func ExampleEngine_Forget() {
	engine, _, events, stop := exampleEngine()
	defer stop()
	ctx := context.Background()
	_, _ = engine.Dispatch(ctx, suspend{Account: "ann"}, nawasync.Options{})
	<-events
	n, err := engine.Forget(ctx, tracker.Target{Service: "whm", Type: "account", ID: "ann"}, nawasync.OperatorOptions{By: "user:1", Reason: "right to erasure"})
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// SyncNow finds a repository of package mirror by its service and type. This engine has no
// repositories, so SyncNow, CountStates and InstancesWith return ErrNoRepository.
func ExampleEngine_SyncNow() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	ctx := context.Background()
	fmt.Println(len(engine.Repositories()))
	_, err := engine.SyncNow(ctx, nawasync.SyncRequest{Service: "whm", Type: "mailbox", Instance: "main"}, nawasync.OperatorOptions{By: "user:1"})
	fmt.Println(errors.Is(err, nawasync.ErrNoRepository))
	_, err = engine.CountStates(ctx, "whm", "mailbox", "")
	fmt.Println(errors.Is(err, nawasync.ErrNoRepository))
	_, err = engine.InstancesWith(ctx, "whm", "mailbox", []string{"main"}, "info@example.org")
	fmt.Println(errors.Is(err, nawasync.ErrNoRepository))
	// Output:
	// 0
	// true
	// true
	// true
}

// PlanNow asks for what SyncNow would do. It needs a repository of package mirror too.
func ExampleEngine_PlanNow() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	_, err := engine.PlanNow(context.Background(), nawasync.SyncRequest{Service: "whm", Type: "mailbox", Instance: "main"}, nawasync.OperatorOptions{By: "user:1"})
	fmt.Println(errors.Is(err, nawasync.ErrNoRepository))
	// Output: true
}

func ExampleEngine_RedisStatus() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	status := engine.RedisStatus(context.Background())
	fmt.Println(status.DownSince.IsZero(), status.Err)
	// Output:
	// true <nil>
}

// A host that works asynq queues of its own can handle the engine's wake-ups in the same server.
func ExampleEngine_WakeHandler() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	queues := map[string]int{"mails": 3}
	maps.Copy(queues, engine.WakeQueues()) // with Config.HostAsynqServer set
	mux := asynq.NewServeMux()
	mux.Handle(nawasync.WakeTask, engine.WakeHandler())
	fmt.Println(len(queues), nawasync.WakeTask)
	// Output:
	// 2 nawasync:wake
}
