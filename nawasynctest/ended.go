package nawasynctest

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// endLimit is how long WaitEnded waits.
const endLimit = time.Minute

// WaitEnded waits until a job of a started engine has ended, and returns its row. After a
// minute it fails the test, and says where the job stands.
func WaitEnded(t testing.TB, e *nawasync.Engine, id int64) *tracker.Job {
	t.Helper()
	for deadline := time.Now().Add(endLimit); ; time.Sleep(time.Millisecond) {
		job, err := e.Reader().Get(t.Context(), id)
		requireNoError(t, err)
		if job.Status.Terminal() {
			return job
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %d has not ended after %s: it is %s, at attempt %d; was its kind registered, and the engine started?", id, endLimit, job.Status, job.Attempt)
		}
	}
}
