package enginetest

import (
	"testing"
	"time"
)

// NoError ends the test when there is an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// slowness is how much slower than the machine a limit was chosen on another may be.
const slowness = 5

// Eventually polls a condition: a real server is at work, and there is no event to wait
// for. The limit is for a machine of the usual speed; a slower one has five times as long.
// What a test promises of time it measures itself.
func Eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(slowness * within)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: not %s", slowness*within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
