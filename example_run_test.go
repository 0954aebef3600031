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

// runToEnd dispatches a job whose handler is execute, and returns the job when it has ended.
func runToEnd(execute func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error) *tracker.Job {
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

// A retry cannot help, so the job fails after one attempt.
func ExamplePermanent() {
	job := runToEnd(func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		return nawasync.Permanent(errors.New("the plan has no such feature"))
	})
	fmt.Println(job.Status, job.Attempt, job.Error)
	// Output: failed 1 the plan has no such feature
}

// The handler finds nothing to do, so the job ends as skipped.
func ExampleSkip() {
	job := runToEnd(func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		return nawasync.Skip("the note is as it should be")
	})
	fmt.Println(job.Status, job.Error)
	// Output: skipped the note is as it should be
}

// The remote is not ready yet, so the job runs again later. RetryAfter consumes no attempt.
// An error of class fault.ClassRateLimited also delays the other jobs of the instance.
func ExampleRetryAfter() {
	calls := 0
	job := runToEnd(func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
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

// The remote object has changed since the user saw it, so the handler does not overwrite it.
// Repositories of package mirror detect conflicts themselves.
func ExampleConflict() {
	job := runToEnd(func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		return nawasync.Conflict("the text has changed on the remote", nawasync.ConflictDetail{
			Base: map[string]any{"text": "a"}, Desired: map[string]any{"text": "b"}, Remote: map[string]any{"text": "c"},
		})
	})
	fmt.Println(job.Status, job.Error)
	values, err := job.ConflictValues()
	fmt.Printf("%s %s %s %v\n", values.Base["text"], values.Desired["text"], values.Remote["text"], err)
	// Output:
	// conflict the text has changed on the remote
	// "a" "b" "c" <nil>
}

// A Run gives the handler its arguments, the state of the job, and methods to report progress
// and results. In this example the first attempt writes and gets no response. The second
// attempt therefore reads first, and finds that nothing is left to do.
func ExampleRun() {
	job := runToEnd(func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
		run.Logf("%s of %s", run.Job().Action, run.Args.ID)
		if run.EarlierWrite() { // an earlier attempt may have changed the remote: read before writing again
			return nawasync.Skip("the text is already stored")
		}
		if err := run.BeginWrite(ctx); err != nil { // do not write to the remote after an error
			return err
		}
		// Call the remote here. Send run.IdempotencyKey() if its API accepts idempotency keys.
		if !run.LastAttempt() && run.Attempt() == 1 {
			return fault.WithClass(fault.ClassUnknownOutcome, errors.New("the connection was closed before the response arrived"))
		}
		run.Progress(ctx, 1, 1, "written")
		run.SetResult(map[string]int{"characters": 7})
		run.OnSuccess(func(*gorm.DB) error { return nil }) // write your own rows in the job's last transaction
		return nil
	})
	fmt.Println(job.Status, "at attempt", job.Attempt, job.Error)
	// Output: skipped at attempt 2 the text is already stored
}
