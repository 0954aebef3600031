package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

const (
	// maxLost is how many calls in a row cannot reach the remote until the breaker opens.
	maxLost = 3
	// maxFailing is how many objects fail, without a success in between, until the breaker opens.
	maxFailing = 3
	// outsideAgain is how long an open breaker refuses calls outside of jobs until it lets one through.
	outsideAgain = 10 * time.Second
)

const hintUnavailable = "check that the remote runs and that this machine can reach it"

// breaker is the circuit breaker of one limit scope in this process.
//
// The error of an open breaker parks the limit scope in the database, which stops the jobs of all processes, and
// a job that the engine runs as a probe starts them again. So the breaker refuses the jobs that began before it
// opened, and lets later ones through: that they run means that the database allows it. Calls outside of jobs have
// nothing but the breaker, which lets one of them through at a time.
//
// The states and the one call at a time are those of sony/gobreaker: it has no dependencies and a stable API, and
// its two steps fit a call that ends when its body is read. failsafe-go has these and more, is before its version
// 1, and requires gRPC. When to open is decided here: both count failures, whichever object they concern.
type breaker struct {
	mu       sync.Mutex
	steps    *gobreaker.TwoStepCircuitBreaker[struct{}]
	lost     int             // calls in a row that did not reach the remote
	failing  map[string]bool // objects that have failed since the last success
	cause    string          // why the breaker is open, "" while it is closed
	running  int             // calls that have not ended
	openedAt time.Time       // by the clock of the machine, as remotecall.Job.Began
	epoch    int             // how often it has opened and closed: a call that began before says nothing
}

// What gobreaker is told about a call that has not succeeded.
var (
	errFailed      = errors.New("the call failed")
	errSaysNothing = errors.New("the call says nothing about the remote")
)

func newBreaker() *breaker {
	b := &breaker{failing: map[string]bool{}}
	b.steps = gobreaker.NewTwoStepCircuitBreaker[struct{}](b.settings())
	return b
}

func (b *breaker) settings() gobreaker.Settings {
	return gobreaker.Settings{
		Timeout:     outsideAgain,
		ReadyToTrip: func(gobreaker.Counts) bool { return b.cause != "" },
		IsExcluded:  func(err error) bool { return errors.Is(err, errSaysNothing) },
	}
}

// allow asks the breaker of a limit scope whether a call may be sent. If it may, the caller reports with done how
// the call has ended: connErr if it could not reach the remote, ok if the remote has answered and not with status
// 5xx, or which object it failed for. Neither is a call that says nothing, such as one that was cancelled. done
// returns an error of fault.ClassUnavailable if the call has failed and the breaker is open now. If nothing was
// changed, the caller returns that error, so that the job waits and keeps its attempt.
func (r *Remote) allow(ctx context.Context, scope string) (done func(connErr, ok bool, object string) error, err error) {
	b := r.breakers.of(scope)
	defer b.mu.Unlock()
	report, refused := b.steps.Allow()
	if refused != nil {
		if job := remotecall.From(ctx); job == nil || !job.Began().After(b.openedAt) {
			return nil, r.unavailable(scope, b.cause)
		}
		report = func(error) {}
	}
	epoch := b.epoch
	b.running++
	return func(connErr, ok bool, object string) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.running--
		if epoch == b.epoch {
			b.note(report, connErr, ok, object)
		}
		if failed := connErr || !ok && object != ""; !failed || b.cause == "" {
			return nil
		}
		return r.unavailable(scope, b.cause)
	}, nil
}

// note counts how a call has ended. The caller holds mu.
func (b *breaker) note(report func(error), connErr, ok bool, object string) {
	switch {
	case ok:
		report(nil)
		b.succeeded()
		return
	case connErr:
		b.lost++
	case object != "":
		b.lost, b.failing[object] = 0, true
	default:
		report(errSaysNothing)
		return
	}
	if b.cause == "" && b.mayOpen() {
		b.openedAt = time.Now()
		b.epoch++
	}
	report(errFailed)
}

// mayOpen decides whether a failure opens the breaker, and notes why.
func (b *breaker) mayOpen() bool {
	switch {
	case b.lost >= maxLost:
		b.cause = fmt.Sprintf("%d calls in a row did not reach it", b.lost)
	case len(b.failing) >= maxFailing:
		b.cause = fmt.Sprintf("calls for %d objects have failed, and none has succeeded in between", len(b.failing))
	}
	return b.cause != ""
}

// succeeded forgets all failures, and closes the breaker if it is open.
func (b *breaker) succeeded() {
	b.lost = 0
	clear(b.failing)
	if b.cause != "" {
		b.cause = ""
		b.epoch++
		b.steps = gobreaker.NewTwoStepCircuitBreaker[struct{}](b.settings()) // a probe may have gone past the old one
	}
}

// breakers are those of the limit scopes. They are safe for concurrent use.
type breakers struct {
	mu       sync.Mutex
	byScope  map[string]*breaker
	forgetAt int // at how many the idle ones are forgotten
}

// of returns the breaker of a limit scope. The caller unlocks it.
func (b *breakers) of(scope string) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := b.byScope[scope]
	if found == nil {
		if b.byScope == nil {
			b.byScope = map[string]*breaker{}
		}
		if len(b.byScope) >= max(b.forgetAt, forgetAbove) {
			maps.DeleteFunc(b.byScope, func(_ string, idle *breaker) bool { return idle.idle() })
			b.forgetAt = 2 * len(b.byScope)
		}
		found = newBreaker()
		b.byScope[scope] = found
	}
	found.mu.Lock()
	return found
}

// idle reports whether the breaker knows nothing that a new one does not.
func (b *breaker) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running == 0 && b.lost == 0 && len(b.failing) == 0 && b.cause == ""
}

func (r *Remote) unavailable(scope, cause string) error {
	return &fault.Error{
		Class: fault.ClassUnavailable, Hint: hintUnavailable,
		Err: fmt.Errorf("%s is unavailable: %s", strings.TrimSuffix(r.config.Service+"/"+scope, "/"), cause),
	}
}
