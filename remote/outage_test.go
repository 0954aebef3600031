package remote_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

func TestCallsOfAnUnavailableRemoteAreNotSentAndWritesWithLostAnswersKeepTheirClass(t *testing.T) {
	t.Parallel()
	broken := newServer(t, answer(500, ""))
	r := broken.remote(t, nil)
	classes := func(want fault.Class, method string, paths ...string) {
		t.Helper()
		for _, path := range paths {
			_, err := r.Call(t.Context(), "web1", remote.Call{Method: method, URL: broken.URL + path}, nil)
			if fault.ClassOf(err) != want {
				t.Errorf("%s %s: %v, want class %s", method, path, err, want)
			}
		}
	}
	classes(fault.ClassTransient, "GET", "/a", "/a", "/a", "/b")
	classes(fault.ClassUnknownOutcome, "POST", "/c") // opens the breaker
	before := broken.calls.Load()
	classes(fault.ClassUnavailable, "GET", "/a", "/d")
	classes(fault.ClassUnavailable, "POST", "/c")
	if n := broken.calls.Load() - before; n != 0 {
		t.Errorf("%d calls were sent to an unavailable remote", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// After three calls in a row that did not reach the remote, its limit scope is unavailable, and no
// further call is sent. In a job, the error parks the limit scope.
func ExampleRemote_Client_unavailable() {
	sent := 0
	r, err := remote.New(remote.Config{Service: "whm", Base: roundTripper(func(*http.Request) (*http.Response, error) {
		sent++
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	})})
	if err != nil {
		panic(err)
	}
	client := r.Client("web1")
	for range 4 {
		resp, err := client.Post("https://web1.example.org/mailboxes", "text/plain", nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		fmt.Println(fault.ClassOf(err), errors.Is(err, syscall.ECONNREFUSED))
	}
	fmt.Println(sent, "calls were sent")
	// Output:
	// transient true
	// transient true
	// unavailable true
	// unavailable false
	// 3 calls were sent
}
