package nawasynctest_test

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// The tests in guide_*_test.go are those of docs/testing.md. They use the exported names of the library only.

func TestRenameReportsTheNewName(t *testing.T) {
	t.Parallel()
	job := &renameJob{}
	got := nawasynctest.Work(t, job, rename{Mailbox: "ann@example.org", To: "anna@example.org", Password: nawasync.NewSecret("hunter22")})
	if got.Outcome != tracker.OutcomeSuccess || !got.BeganWrite || string(got.Result) != `{"password":"***","to":"anna@example.org"}` {
		t.Errorf("Work = %+v, want success with the new name and without the password", got)
	}
	if err := got.OnSuccess(nawasynctest.NewDB(t)); err != nil { // what the job writes with its outcome
		t.Error(err)
	}
}

func TestRenameIsTriedAgainAMinuteLater(t *testing.T) {
	t.Parallel()
	clock := nawasynctest.NewClock(time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC))
	engine := nawasynctest.NewEngine(t, func(c *nawasync.Config) { c.Now = clock.Now })
	if err := nawasync.Register(engine, flakyRename{}); err != nil {
		t.Fatal(err)
	}
	args := rename{Mailbox: "ann@example.org", To: "anna@example.org"}
	if _, err := engine.Dispatch(t.Context(), args, nawasync.Options{Delay: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	if err := nawasynctest.Drain(t.Context(), engine, clock); err != nil {
		t.Fatal(err) // names the jobs that cannot run, and why
	}
	job := nawasynctest.RequireDispatched(t, engine, args)
	if want := time.Date(2030, 5, 2, 12, 1, 0, 0, time.UTC); job.Status != tracker.StatusSuccess || !job.FinishedAt.Equal(want) {
		t.Errorf("the job is %s at %s, want success at %s", job.Status, job.FinishedAt, want)
	}
}

func TestRenameRunsOnAStartedEngine(t *testing.T) {
	t.Parallel()
	engine := nawasynctest.NewEngine(t)
	if err := nawasync.Register(engine, &renameJob{}); err != nil {
		t.Fatal(err)
	}
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	job, err := engine.Dispatch(t.Context(), rename{Mailbox: "ann@example.org", To: "anna@example.org"}, nawasync.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if job := nawasynctest.WaitEnded(t, engine, job.ID); job.Status != tracker.StatusSuccess {
		t.Errorf("the job is %s: %s", job.Status, job.Error)
	}
}
