package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/tracker"
)

// executed is the end of a job whose handler does as the example says.
func executed(execute func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error) *tracker.Job {
	engine, _, _, stop := enginetest.Example(func(engine *nawasync.Engine, _ *gorm.DB) error {
		return nawasync.Register(engine, &enginetest.Handler[enginetest.JobArgs]{Do: execute, Wait: time.Millisecond})
	})
	defer stop()
	job, err := engine.Dispatch(context.Background(), enginetest.JobArgs{ID: "welcome"}, nawasync.Options{})
	for deadline := time.Now().Add(time.Minute); err == nil && !job.Status.Terminal() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		job, err = engine.Reader().Get(context.Background(), job.ID)
	}
	return job
}

// No retry can help: the job fails at once.
func ExamplePermanent() {
	job := executed(func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		return nawasync.Permanent(errors.New("the plan has no such feature"))
	})
	fmt.Println(job.Status, job.Attempt, job.Error)
	// Output: failed 1 the plan has no such feature
}

// There was nothing to do.
func ExampleSkip() {
	job := executed(func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		return nawasync.Skip("the note is as it should be")
	})
	fmt.Println(job.Status, job.Error)
	// Output: skipped the note is as it should be
}

// The remote asks to come back later: that consumes no attempt. An error of class
// fault.ClassRateLimited does the same for every job of the instance.
func ExampleRetryAfter() {
	calls := 0
	job := executed(func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
		if calls++; calls < 3 {
			return nawasync.RetryAfter(time.Millisecond, errors.New("the index is being built"))
		}
		fmt.Println("call", calls, "is attempt", run.Attempt())
		return nil
	})
	fmt.Println(job.Status)
	// Output:
	// call 3 is attempt 1
	// success
}

// The remote was changed by somebody else. Repositories of package mirror find that by
// themselves.
func ExampleConflict() {
	job := executed(func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		return nawasync.Conflict("somebody else has changed the text", nawasync.ConflictDetail{
			Base: map[string]any{"text": "a"}, Desired: map[string]any{"text": "b"}, Remote: map[string]any{"text": "c"},
		})
	})
	fmt.Println(job.Status, job.Error)
	values, err := job.ConflictValues()
	fmt.Printf("%s %s %s %v\n", values.Base["text"], values.Desired["text"], values.Remote["text"], err)
	// Output:
	// conflict somebody else has changed the text
	// "a" "b" "c" <nil>
}

// What a handler has of its run.
func ExampleRun() {
	job := executed(func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
		run.Logf("%s of %s", run.Job().Action, run.Args.ID)
		if run.EarlierWrite() { // an earlier attempt may have changed the remote: read before writing again
			return nawasync.Skip("it is there already")
		}
		if err := run.BeginWrite(ctx); err != nil { // is the job still ours?
			return err
		}
		// Here the remote is called, with run.IdempotencyKey() where it takes one.
		if !run.LastAttempt() && run.Attempt() == 1 {
			return fault.WithClass(fault.ClassUnknownOutcome, errors.New("the answer got lost"))
		}
		run.Progress(ctx, 1, 1, "written")
		run.SetResult(map[string]int{"characters": 7})
		run.OnSuccess(func(*gorm.DB) error { return nil }) // rows of yours, in the transaction of the success
		return nil
	})
	fmt.Println(job.Status, "at attempt", job.Attempt, job.Error)
	// Output: skipped at attempt 2 it is there already
}
