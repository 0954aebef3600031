package nawasynctest

import (
	"net/http"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// RemoteSuite says what TestRemote needs to know of the adapter of an external API. Open, Scope, Object and, for
// an adapter with the method Update, Changes are required.
type RemoteSuite[T any] struct {
	// Open returns the configuration of the repository, with the Remote to test, and the server behind it. The
	// Remote must send all of its requests through transport. TestRemote uses Remote, Normalise, Details and
	// Settle of the configuration. Open is called at least once for each subtest, because a client may wait
	// after an error, for example until a Retry-After has passed. A simulator may be new each time.
	Open func(t testing.TB, transport *RemoteTransport) (mirror.Config[T], RemoteServer[T])
	// NoHTTP says that the Remote does not use HTTP. The subtests that need lost answers, statuses and failing
	// pages are then skipped.
	NoHTTP bool
	// Scope has the scope fields of the objects of Object.
	Scope T
	// OtherScope is another scope that exists. The objects of Scope must not be listed there. Optional.
	OtherScope T
	// GoneScope is a scope that does not exist, such as a zone that was removed. Optional.
	GoneScope T
	// Object returns the nth valid object of Scope as a user would create it, with its secrets. Different n
	// give objects with different names. With a real server, the names must also differ from those of earlier runs.
	Object func(n int) T
	// Changes are the changes that users make. Each sets one field, or several that only change together, to the
	// nth of several valid values. The first two must be independent of each other.
	Changes []func(object *T, n int)
	// PageSize is the number of objects on one page of a listing. 0 means that the API does not page.
	PageSize int
	// Secrets are the credentials of the Remote, as in nawasync.Config.Secrets.
	Secrets []nawasync.Secret
	// IsWrite reports whether a request may change something. It may read the body. Nil means all requests
	// but GET, HEAD and OPTIONS.
	IsWrite func(*http.Request) bool
	// ErrorBody returns the body with which the API answers an error of the given status. message is a text that
	// the body must contain. Nil is message as plain text.
	ErrorBody func(status int, message string) string
	// Skip names subtests that the API cannot pass, each with the reason.
	Skip map[string]string

	cancelLimit time.Duration // 0 is defaultCancelLimit
	pollLimit   time.Duration // 0 is defaultPollLimit
}

// RemoteServer changes the objects of a remote behind the adapter's back, as another client does. Its functions must
// not use the adapter or the transport of the test.
type RemoteServer[T any] struct {
	// Create stores an object and returns it with its key.
	Create func(object T) (T, error)
	// Change gives the object with the key of the argument the values that Changes set.
	Change func(object T) error
	// Delete deletes the object with the key of the argument. If there is none, the error is ignored.
	Delete func(object T) error
}

// TestRemote tests whether an adapter keeps the contract of mirror.Lister and of the optional interfaces that it
// implements. Each part of the contract is a subtest, whose failure says what is wrong and what to do in the adapter.
// What the adapter does not implement is skipped, with the reason.
//
// Listings that fail midway, lost answers, refused credentials, rate limits, cancellation and redaction are
// tested with a transport that makes the answers of the server fail. Run the test with the race detector too.
func TestRemote[T any](t *testing.T, suite RemoteSuite[T]) {
	t.Helper()
	for _, problem := range suite.problems() {
		t.Fatalf("RemoteSuite: %s", problem)
	}
	runChecks(&suite, func(name string, check func(testing.TB)) {
		t.Run(name, func(t *testing.T) { check(t) })
	})
}

// problems returns what is missing in the suite.
func (s *RemoteSuite[T]) problems() (list []string) {
	if s.Open == nil {
		list = append(list, "Open is nil; set it to a function that creates the Remote and its server")
	}
	if s.Object == nil {
		list = append(list, "Object is nil; set it to a function that returns the nth valid object")
	}
	known := map[string]bool{}
	for _, c := range remoteChecks[T]() {
		known[c.name] = true
	}
	for name, reason := range s.Skip {
		switch {
		case !known[name]:
			list = append(list, "Skip names "+name+", which is not a subtest of TestRemote")
		case reason == "":
			list = append(list, "Skip of "+name+" has no reason; say why the API cannot pass it")
		}
	}
	return list
}
