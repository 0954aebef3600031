package nawasynctest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/mirror"
)

// remoteCheck is one subtest of TestRemote.
type remoteCheck[T any] struct {
	name string
	// http says that the check needs the transport.
	http bool
	run  func(w *remoteWorld[T])
}

func remoteChecks[T any]() []remoteCheck[T] {
	return []remoteCheck[T]{
		{"GetGone", false, checkGetGone[T]},
		{"GetListed", false, checkGetListed[T]},
		{"GetFresh", false, checkGetFresh[T]},
		{"ListEqualsGet", false, checkListEqualsGet[T]},
		{"ListScope", false, checkListScope[T]},
		{"ListStops", false, checkListStops[T]},
		{"Normalise", false, checkNormalise[T]},
		{"ScopeExists", false, checkScopeExists[T]},
		{"Paging", false, checkPaging[T]},
		{"Resume", false, checkResume[T]},
		{"ListFails", true, checkListFails[T]},
		{"Changes", false, checkChanges[T]},
		{"Create", false, checkCreate[T]},
		{"CreateExisting", false, checkCreateExisting[T]},
		{"Update", false, checkUpdate[T]},
		{"UpdateSecret", false, checkUpdateSecret[T]},
		{"UpdateTouchedOnly", false, checkUpdateTouchedOnly[T]},
		{"UpdateVersion", false, checkUpdateVersion[T]},
		{"UpdateGone", false, checkUpdateGone[T]},
		{"Delete", false, checkDelete[T]},
		{"DeleteGone", false, checkDeleteGone[T]},
		{"Poll", false, checkPoll[T]},
		{"PollFails", true, checkPollFails[T]},
		{"LimitScope", false, checkLimitScope[T]},
		{"LostAnswer", true, checkLostAnswer[T]},
		{"NotSent", true, checkNotSent[T]},
		{"ServerError", true, checkServerError[T]},
		{"Credentials", true, checkCredentials[T]},
		{"Forbidden", true, checkForbidden[T]},
		{"RateLimit", true, checkRateLimit[T]},
		{"Masking", true, checkMasking[T]},
		{"Cancelled", false, checkCancelled[T]},
		{"CancelledMidway", true, checkCancelledMidway[T]},
		{"Concurrency", false, checkConcurrency[T]},
	}
}

// runChecks calls run once for each check.
func runChecks[T any](suite *RemoteSuite[T], run func(name string, check func(testing.TB))) {
	shared := &remoteShared{}
	for _, c := range remoteChecks[T]() {
		run(c.name, func(t testing.TB) {
			t.Helper()
			if reason := suite.Skip[c.name]; reason != "" {
				t.Skip(reason)
			}
			if c.http && suite.NoHTTP {
				t.Skip("the Remote does not use HTTP (RemoteSuite.NoHTTP)")
			}
			c.run((&remoteWorld[T]{t: t, suite: suite, shared: shared}).again())
		})
	}
}

// remoteShared is what all checks of a run have in common.
type remoteShared struct {
	numbers  atomic.Int64 // how many objects Object has returned
	once     sync.Once
	snapshot host.Snapshot
	err      error
}

// remoteWorld is a Remote with its server, for one check.
type remoteWorld[T any] struct {
	t      testing.TB
	suite  *RemoteSuite[T]
	shared *remoteShared

	host.Snapshot

	config    mirror.Config[T]
	remote    mirror.Lister[T]
	server    RemoteServer[T]
	transport *RemoteTransport
	raw       bool // whether the abilities are those of the Remote, which may return mirror.Accepted
}

// again opens another Remote for the same check.
func (w *remoteWorld[T]) again() *remoteWorld[T] {
	w.t.Helper()
	out := &remoteWorld[T]{t: w.t, suite: w.suite, shared: w.shared, transport: newRemoteTransport(w.suite.IsWrite, w.suite.ErrorBody)}
	w.t.Cleanup(out.transport.release)
	out.config, out.server = w.suite.Open(w.t, out.transport)
	if out.config.Remote == nil {
		w.t.Fatal("RemoteSuite.Open returned a configuration without a Remote")
	}
	out.remote = out.config.Remote
	w.shared.once.Do(func() { w.shared.snapshot, w.shared.err = out.config.Internals(host.NewKey()) }) // reads tags, which takes long
	requireNoError(w.t, w.shared.err)
	out.Snapshot = w.shared.snapshot
	return out
}

// failf reports what is wrong and what to do about it.
func (w *remoteWorld[T]) failf(fix, format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("%s\n\tTo fix: %s", fmt.Sprintf(format, args...), fix)
}

// stopf is failf that ends the check.
func (w *remoteWorld[T]) stopf(fix, format string, args ...any) {
	w.t.Helper()
	w.failf(fix, format, args...)
	w.t.FailNow()
}

// eventually calls try until it returns "", for as long as the remote may show an earlier state, and fails with
// what it returned last. It reports whether that was "".
func (w *remoteWorld[T]) eventually(fix string, try func() string) (succeeded bool) {
	w.t.Helper()
	settle := w.config.Settle
	if settle == 0 {
		settle = 5 * time.Second // the default of mirror.Config
	}
	deadline := time.Now().Add(settle)
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		problem := try()
		switch {
		case problem == "":
			return true
		case !time.Now().Add(pause).Before(deadline):
			w.failf(fix, "%s", problem)
			return false
		}
		time.Sleep(pause)
	}
}

// The abilities of the Remote. A check that needs one is skipped without it.

func (w *remoteWorld[T]) reader() mirror.Reader[T] {
	w.t.Helper()
	return ability[mirror.Reader[T]](w.t, w.remote, "Get")
}

func (w *remoteWorld[T]) creator() mirror.Creator[T] {
	w.t.Helper()
	return w.polled(ability[mirror.Creator[T]](w.t, w.remote, "Create"), nil, nil)
}

func (w *remoteWorld[T]) updater() mirror.Updater[T] {
	w.t.Helper()
	if len(w.suite.Changes) == 0 {
		if _, ok := w.remote.(mirror.Updater[T]); ok {
			w.t.Fatal("RemoteSuite.Changes is empty, and the Remote has the method Update; add a function that changes a field of an object")
		}
	}
	return w.polled(nil, ability[mirror.Updater[T]](w.t, w.remote, "Update"), nil)
}

func (w *remoteWorld[T]) deleter() mirror.Deleter[T] {
	w.t.Helper()
	return w.polled(nil, nil, ability[mirror.Deleter[T]](w.t, w.remote, "Delete"))
}

func ability[I any](t testing.TB, remote any, method string) I {
	t.Helper()
	out, ok := remote.(I)
	if !ok {
		t.Skipf("the Remote has no method %s", method)
	}
	return out
}
