package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

func ExampleEngine_Retry() {
	engine, _, events, stop := exampleEngine()
	defer stop()
	_, _ = engine.Dispatch(context.Background(), suspend{Account: "root"}, nawasync.Options{})
	failed := (<-events).Job
	fmt.Println(failed.Status, failed.ErrorClass, failed.Error)
	again, err := engine.Retry(context.Background(), failed.ID, nawasync.RetryOptions{By: "user:1"})
	fmt.Println(again.RetryOf == failed.ID, err)
	<-events
	// Output:
	// failed permanent root cannot be suspended
	// true <nil>
}

func ExampleEngine_Cancel() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	ctx := context.Background()
	job, _ := engine.Dispatch(ctx, suspend{Account: "ann"}, nawasync.Options{Delay: time.Hour})
	where, err := engine.TaskState(ctx, job.ID)
	fmt.Println(where, err)
	cancelled, err := engine.Cancel(ctx, job.ID, nawasync.OperatorOptions{By: "user:1", Reason: "asked for by mistake"})
	fmt.Println(cancelled.Status, err)
	// Output:
	// not yet <nil>
	// cancelled <nil>
}

// A deleted job is off the lists until it is restored or pruned.
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

// A paused service starts no job until Until, or until somebody resumes it.
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

// What jobs have stored of a person is blanked; the rows stay.
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

// Repositories of package mirror are known to the engine by service and type. A service
// without one is an error.
func ExampleEngine_SyncNow() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	ctx := context.Background()
	fmt.Println(len(engine.Repositories()))
	_, err := engine.SyncNow(ctx, "whm", "mailbox", "main", "", nawasync.OperatorOptions{By: "user:1"})
	fmt.Println(errors.Is(err, nawasync.ErrNoRepository))
	_, err = engine.CountStates(ctx, "whm", "mailbox", "")
	fmt.Println(errors.Is(err, nawasync.ErrNoRepository))
	// Output:
	// 0
	// true
	// true
}
