package enginetest

import (
	"os"
	"testing"
	"time"
)

// FullVariable names the environment variable that, set to 1, runs the tests named TestMeasured… with
// many jobs and for minutes, and makes them check the limits that the documentation promises. Without it
// they are small and check generous limits, because other tests use the processor at the same time.
const FullVariable = "NAWASYNC_TEST_FULL"

// Full reports whether FullVariable is set to 1.
func Full() bool { return os.Getenv(FullVariable) == "1" }

// Sized returns full if Full reports true, and small otherwise.
func Sized[T any](small, full T) T {
	if Full() {
		return full
	}
	return small
}

// AtMost fails the test if a duration is longer than the promised limit. Without Full, generous is
// the limit. In both cases it logs the duration.
func AtMost(t testing.TB, what string, took, promised, generous time.Duration) {
	t.Helper()
	t.Logf("%s: %s", what, took)
	if limit := Sized(generous, promised); took > limit {
		t.Errorf("%s: %s, want at most %s", what, took, limit)
	}
}
