package nawasynctest_test

import (
	"fmt"
	"testing"

	"github.com/nawasara/nawasync/nawasynctest"
)

// A handler is tested without an engine, a database or a Redis.
func ExampleWork() {
	var t *testing.T // the test's own
	got := nawasynctest.Work(t, &renameJob{}, rename{Mailbox: "ann@example.org", To: "anna@example.org"})
	if got.Err != nil || !got.BeganWrite {
		t.Errorf("the rename failed, or wrote unannounced: %+v", got)
	}
}

// A remote in memory that refuses, loses answers, and lists in pages.
func ExampleFakeRemote() {
	remote := &nawasynctest.FakeRemote[zone]{Key: func(z zone) string { return z.Account + "/" + z.Name }}
	remote.Put(zone{Account: "acme", Name: "example.org", Plan: "free"})
	there, found := remote.Object(zone{Account: "acme", Name: "example.org"})
	fmt.Println(there.Plan, found, remote.Calls(nawasynctest.CallGet))
	// Output: free true 0
}
