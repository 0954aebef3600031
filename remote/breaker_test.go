package remote_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/remote"
)

// breaking is a remote whose breaker is told how calls end.
type breaking struct {
	*remote.Remote

	t *testing.T
}

func newBreaking(t *testing.T) breaking {
	t.Helper()
	r, err := remote.New(remote.Config{Service: "whm"})
	if err != nil {
		t.Fatal(err)
	}
	return breaking{r, t}
}

const (
	lost    = "lost" // the call did not reach the remote
	ok      = "ok"
	nothing = "" // the call says nothing; else the call failed for that object
)

// call makes one call. It reports whether the call was sent, and the class of the breaker's error.
func (b breaking) call(ctx context.Context, scope, how string) (sent bool, class fault.Class) {
	b.t.Helper()
	done, err := b.Allow(ctx, scope)
	if err != nil {
		return false, fault.ClassOf(err)
	}
	object := how
	if how == lost || how == ok {
		object = ""
	}
	return true, fault.ClassOf(done(how == lost, how == ok, object))
}

// expect makes calls, of which only the last one may have an error of the class.
func (b breaking) expect(ctx context.Context, want fault.Class, ends ...string) {
	b.t.Helper()
	for i, how := range ends {
		sent, class := b.call(ctx, "web1", how)
		if i < len(ends)-1 && class != "" || i == len(ends)-1 && class != want || !sent {
			b.t.Errorf("call %d of %q: sent %t, class %q; want %q at the end", i+1, ends, sent, class, want)
		}
	}
}

func TestBreakerOpensAfterThreeLostCallsInARowOrForThreeObjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want fault.Class
		ends []string
	}{
		{"three lost", fault.ClassUnavailable, []string{lost, lost, lost}},
		{"a success between", "", []string{lost, lost, ok, lost, lost}},
		{"an answer between", "", []string{lost, lost, "a", lost, lost}},
		{"cancelled calls between", fault.ClassUnavailable, []string{lost, nothing, lost, nothing, lost}},
		{"one object", "", []string{"a", "a", "a", "a", "a", "a", "a"}},
		{"two objects", "", []string{"a", "b", "a", "b", "a", "b"}},
		{"three objects", fault.ClassUnavailable, []string{"a", "b", "a", "c"}},
		{"three objects and a success", "", []string{"a", "b", ok, "c"}},
		{"three objects and a lost call", fault.ClassUnavailable, []string{"a", "b", lost, "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBreaking(t)
			b.expect(t.Context(), c.want, c.ends...)
			if sent, class := b.call(t.Context(), "web1", ok); sent != (c.want == "") || class != c.want {
				t.Errorf("the next call: sent %t, class %q; want %q", sent, class, c.want)
			}
			if sent, class := b.call(t.Context(), "web2", ok); !sent || class != "" {
				t.Errorf("a call of another limit scope: sent %t, class %q", sent, class)
			}
		})
	}
}

func TestOpenBreakerLetsOnlyLaterJobsThroughAndClosesWithTheirSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaking(t)
		job := func() context.Context {
			time.Sleep(time.Millisecond)
			return remotecall.With(t.Context(), &remotecall.Job{})
		}
		early := job()
		b.expect(early, fault.ClassUnavailable, lost, lost, lost)
		if sent, _ := b.call(early, "web1", ok); sent {
			t.Error("a call of a job that began before was sent")
		}
		b.expect(job(), fault.ClassUnavailable, lost) // a probe
		b.expect(job(), fault.ClassUnavailable, "a")
		if sent, _ := b.call(t.Context(), "web1", ok); sent {
			t.Error("a call outside of jobs was sent")
		}
		late, err := b.Allow(job(), "web1")
		if err != nil {
			t.Fatal(err)
		}
		b.expect(job(), "", ok)
		b.expect(early, "", ok, lost, lost)
		if err := late(true, false, ""); err != nil {
			t.Errorf("a call from before the breaker closed counts: %v", err)
		}
		b.expect(early, fault.ClassUnavailable, lost)
	})
}

func TestOpenBreakerLetsOneCallOutsideOfJobsThroughEvery10Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaking(t)
		b.expect(t.Context(), fault.ClassUnavailable, lost, lost, lost)
		for range 3 {
			time.Sleep(9 * time.Second)
			if sent, _ := b.call(t.Context(), "web1", ok); sent {
				t.Error("a call was sent after 9 s")
			}
			time.Sleep(2 * time.Second)
			b.expect(t.Context(), "", nothing)
			done, err := b.Allow(t.Context(), "web1")
			if err != nil {
				t.Fatal(err)
			}
			if sent, _ := b.call(t.Context(), "web1", ok); sent {
				t.Error("two calls were sent at a time")
			}
			if class := fault.ClassOf(done(true, false, "")); class != fault.ClassUnavailable {
				t.Errorf("a lost call has class %q", class)
			}
		}
		time.Sleep(11 * time.Second)
		b.expect(t.Context(), "", ok, ok, ok)
	})
}
