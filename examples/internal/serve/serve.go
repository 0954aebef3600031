// Package serve runs the HTTP servers of the examples.
package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// stopTimeout is how long a server that stops waits for the requests that it is answering.
const stopTimeout = 5 * time.Second

// Until answers requests until ctx ends. Then it waits up to 5 s for those that it is answering and cuts off the
// others. It returns nil after a stop, and an error if the server cannot go on.
func Until(ctx context.Context, server *http.Server, listener net.Listener) error {
	u := unused{conns: map[net.Conn]bool{}}
	server.ConnState = u.note
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	u.close()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}

// unused are the connections on which no request has come yet: browsers open some ahead. Shutdown would wait 5 s for
// each of them.
type unused struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// note is the server's ConnState.
func (u *unused) note(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if state == http.StateNew {
		u.conns[conn] = true
	} else {
		delete(u.conns, conn)
	}
}

func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for conn := range u.conns {
		_ = conn.Close()
	}
}
