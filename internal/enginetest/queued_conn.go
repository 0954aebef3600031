package enginetest

import (
	"net"
	"sync"
	"time"
)

// queuedConn is an in-memory connection whose writes do not wait for the other side to read. Without that, a pipeline
// of Redis that is longer than the buffers of client and server stops both until the client's write times out: the
// client waits until all is read, and the server until its first answers are.
type queuedConn struct {
	net.Conn
	mu     sync.Mutex
	added  *sync.Cond
	queue  []byte
	closed bool
}

func newQueuedConn(conn net.Conn) *queuedConn {
	c := &queuedConn{Conn: conn}
	c.added = sync.NewCond(&c.mu)
	go c.send()
	return c
}

func (c *queuedConn) send() {
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.closed {
			c.added.Wait()
		}
		part := c.queue
		c.queue = nil
		c.mu.Unlock()
		if len(part) == 0 {
			return
		}
		if _, err := c.Conn.Write(part); err != nil {
			_ = c.Close()
			return
		}
	}
}

// Write implements net.Conn.
func (c *queuedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	c.queue = append(c.queue, p...)
	c.added.Signal()
	return len(p), nil
}

// Close implements net.Conn.
func (c *queuedConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.added.Signal()
	return c.Conn.Close()
}

// SetDeadline implements net.Conn.
func (c *queuedConn) SetDeadline(at time.Time) error { return c.SetReadDeadline(at) }

// SetWriteDeadline implements net.Conn. Writes do not wait.
func (*queuedConn) SetWriteDeadline(time.Time) error { return nil }
