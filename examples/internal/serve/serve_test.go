package serve_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/internal/serve"
)

// start serves a handler on a free port. stop ends the context, and returns what Until returned and how long it took.
func start(t *testing.T, handler http.Handler) (address string, stop func() (took time.Duration, err error)) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serve.Until(ctx, &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}, listener)
	}()
	return listener.Addr().String(), func() (time.Duration, error) {
		begin := time.Now()
		cancel()
		err := <-ended
		return time.Since(begin), err
	}
}

// Browsers and Go's client open connections that they may never use. With one of them, Ctrl-C took five seconds and
// ended with an error.
func TestConnectionThatWasNeverUsedDoesNotDelayTheStop(t *testing.T) {
	t.Parallel()
	address, stop := start(t, http.NotFoundHandler())
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	get(t, address) // by now the server has accepted the first connection
	if took, err := stop(); err != nil || took > 4*time.Second {
		t.Errorf("the server stopped after %s with the error %v, want soon and nil", took, err)
	}
}

func TestStopWaitsForTheRequestThatIsBeingAnswered(t *testing.T) {
	t.Parallel()
	begun, answer := make(chan bool), make(chan bool)
	address, stop := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		begun <- true
		<-answer
		w.WriteHeader(http.StatusTeapot)
	}))
	status := make(chan int, 1)
	go func() { status <- get(t, address) }()
	<-begun
	stopped := make(chan error, 1)
	go func() {
		_, err := stop()
		stopped <- err
	}()
	select {
	case err := <-stopped:
		t.Errorf("the server stopped during a request, with the error %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(answer)
	if got := <-status; got != http.StatusTeapot {
		t.Errorf("status %d, want %d", got, http.StatusTeapot)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestPortInUseIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if err := serve.Until(t.Context(), &http.Server{ReadHeaderTimeout: time.Second}, server.Listener); err == nil {
		t.Error("a closed listener is no error")
	}
}

func get(t *testing.T, address string) (status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}
