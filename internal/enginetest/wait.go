package enginetest

import (
	"testing"
	"time"
)

func OK(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually polls a condition: a real server is at work, and there is no event
// to wait for.
func Eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: not %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
