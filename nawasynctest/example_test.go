package nawasynctest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nawasara/nawasync/nawasynctest"
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
