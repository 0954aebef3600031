package nawasynctest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nawasara/nawasync/nawasynctest"
)

// exampleT stands for the test that an example has not.
type exampleT struct{ testing.TB }

func (exampleT) Helper() {}

func (exampleT) Context() context.Context { return context.Background() }

// A handler is tested without an engine, a database or a Redis.
func ExampleWork() {
	t := exampleT{} // the test's own *testing.T
	got := nawasynctest.Work(t, &renameJob{}, rename{Mailbox: "ann@example.org", To: "anna@example.org"})
	fmt.Println(got.Err, got.BeganWrite, string(got.Result))
	// Output: <nil> true {"password":"***","to":"anna@example.org"}
}

// A remote in memory that refuses, loses answers, and lists in pages.
func ExampleFakeRemote() {
	remote := &nawasynctest.FakeRemote[zone]{Key: func(z zone) string { return z.Account + "/" + z.Name }}
	remote.Put(zone{Account: "acme", Name: "example.org", Plan: "free"})
	there, found := remote.Object(zone{Account: "acme", Name: "example.org"})
	fmt.Println(there.Plan, found, remote.Calls(nawasynctest.CallGet))
	// Output: free true 0
}
