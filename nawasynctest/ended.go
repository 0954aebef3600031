package nawasynctest

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// waitLimit is how long WaitEnded waits.
const waitLimit = time.Minute

// WaitEnded waits until a job of a started engine has finished, and returns the job. After a
// minute it fails the test and reports the job's status.
func WaitEnded(t testing.TB, e *nawasync.Engine, id int64) *tracker.Job {
	t.Helper()
	for deadline := time.Now().Add(waitLimit); ; time.Sleep(time.Millisecond) {
		job, err := e.Reader().Get(t.Context(), id)
		requireNoError(t, err)
		if job.Status.Terminal() {
			return job
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %d has not finished after %s: its status is %s, attempt %d; register a handler for its kind and start the engine", id, waitLimit, job.Status, job.Attempt)
		}
	}
}
