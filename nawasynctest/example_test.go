package nawasynctest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/secret"
)

// exampleT replaces the *testing.T, which an example does not have.
type exampleT struct{ testing.TB }

func (exampleT) Helper() {}

func (exampleT) Context() context.Context { return context.Background() }

// Work runs a handler without an engine, a database or Redis. It returns the result of the job as the
// engine would store it, with secrets masked.
func ExampleWork() {
	t := exampleT{} // in a test, use its *testing.T
	got := nawasynctest.Work(t, &renameJob{}, rename{Mailbox: "ann@example.org", To: "anna@example.org"})
	fmt.Println(got.Err, got.BeganWrite, string(got.Result))
	// Output: <nil> true {"password":"***","to":"anna@example.org"}
}

// FakeRemote keeps the objects of a remote in memory and counts the calls. Put and Object read and
// write the objects directly, which does not count as a call.
func ExampleFakeRemote() {
	remote := &nawasynctest.FakeRemote[zone]{Key: func(z zone) string { return z.Account + "/" + z.Name }}
	remote.Put(zone{Account: "acme", Name: "example.org", Plan: "free"})
	object, found := remote.Object(zone{Account: "acme", Name: "example.org"})
	fmt.Println(object.Plan, found, remote.Calls(nawasynctest.CallGet))
	// Output: free true 0
}

// flakyRename fails once and then renames the mailbox.
type flakyRename struct{ nawasync.AbstractJob[rename] }

func (flakyRename) Execute(_ context.Context, run *nawasync.Run[rename]) error {
	if run.Attempt() == 1 {
		return errors.New("the remote hung up")
	}
	return nil
}

func (flakyRename) Backoff(int) time.Duration { return time.Minute }

// Drain runs all jobs in the caller's goroutine. It moves the clock to the time at which the next job
// is due: here over a delay of a day and the backoff after the failure.
func ExampleDrain() {
	db, _, closeAll := enginetest.ExampleServers()
	defer closeAll()
	clock, ctx := nawasynctest.NewClock(time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)), context.Background()
	// In a test, use nawasynctest.NewEngine, which sets everything but Now.
	keyring, _ := secret.NewKeyring([]byte("example key with 32 characters.."))
	engine, err := nawasync.New(nawasync.Config{DB: db, Now: clock.Now, Sealer: keyring, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = nawasync.Register(engine, flakyRename{})
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err := engine.Dispatch(ctx, rename{Mailbox: "ann@example.org", To: "anna@example.org"}, nawasync.Options{Delay: 24 * time.Hour})
	if err == nil {
		err = nawasynctest.Drain(ctx, engine, clock)
	}
	if err == nil {
		job, err = engine.Reader().Get(ctx, job.ID)
	}
	fmt.Println(err, job.Status, job.Attempt, clock.Now().Format(time.DateTime))
	// Output: <nil> success 2 2030-05-02 12:01:00
}
