package enginetest

import (
	"testing"
	"time"
)

// NoError fails the test at once if err is not nil.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// slowness is the factor by which time limits are extended for slow machines.
const slowness = 5

// Eventually polls a condition until it is true. Use it where the test cannot wait for an event,
// for example while a server works. what describes the condition. within is the time limit on a
// machine of usual speed; Eventually waits five times as long, for slow machines. A test that must
// prove a duration has to measure the duration itself.
func Eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(slowness * within)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", slowness*within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
