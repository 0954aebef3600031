package nawasynctest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// recorder is the testing.TB of one subtest whose result is recorded.
type recorder struct {
	testing.TB

	ctx      context.Context //nolint:containedctx // testing.TB has the method Context
	mu       sync.Mutex
	failed   bool
	skipped  bool
	messages []string
	cleanups []func()
}

// record runs the checks of a suite and returns the result of each.
func record[T any](t *testing.T, suite RemoteSuite[T]) map[string]*recorder {
	t.Helper()
	results := map[string]*recorder{}
	runChecks(&suite, func(name string, check func(testing.TB)) {
		ctx, cancel := context.WithCancel(t.Context())
		r := &recorder{TB: t, ctx: ctx}
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() {
				cancel()
				for _, cleanup := range slices.Backward(r.cleanups) {
					cleanup()
				}
			}()
			check(r)
		}()
		<-done
		results[name] = r
	})
	return results
}

// failedChecks returns the names of the failed subtests, sorted.
func failedChecks(results map[string]*recorder) (list []string) {
	for name, r := range results {
		if r.failed {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func (r *recorder) text() string { return strings.Join(r.messages, "\n") }

func (r *recorder) Helper() {}

func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Cleanup(fn func()) { r.cleanups = append(r.cleanups, fn) }

func (r *recorder) Log(args ...any) { r.note(fmt.Sprint(args...)) }

func (r *recorder) Logf(format string, args ...any) { r.note(fmt.Sprintf(format, args...)) }

func (r *recorder) Errorf(format string, args ...any) {
	r.Logf(format, args...)
	r.Fail()
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Logf(format, args...)
	r.FailNow()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Skip(args ...any) { r.Skipf("%s", fmt.Sprint(args...)) }

func (r *recorder) Skipf(format string, args ...any) {
	r.Logf(format, args...)
	r.SkipNow()
}

func (r *recorder) SkipNow() {
	r.mu.Lock()
	r.skipped = true
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *recorder) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, text)
}
