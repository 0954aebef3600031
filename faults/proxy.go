package main

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// keepalive is how long the server's end of a silent connection stays open. On a real network the
// server's TCP keepalive finds the dead peer; until then its transaction keeps its locks.
const keepalive = 20 * time.Second

// proxy forwards the connections of one child to one server. It can make them silent: nothing is
// forwarded any more, and neither end learns of it.
type proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	links    map[*link]bool
	silent   time.Time // connections that are made before this time are silent
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn // server is nil if the connection was silent from the start
	silent         atomic.Bool
}

func newProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, links: map[*link]bool{}}
	go p.accept()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go p.serve(client)
		}
	}
}

// serve forwards one connection until it ends.
func (p *proxy) serve(client net.Conn) {
	l := &link{client: client}
	p.mu.Lock()
	l.silent.Store(time.Now().Before(p.silent))
	p.mu.Unlock()
	if !l.silent.Load() {
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			return
		}
		l.server = server
	}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	var wg sync.WaitGroup
	if l.server != nil {
		wg.Go(l.toClient)
	}
	l.toServer()
	wg.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// toServer forwards what the client sends until the client closes its end.
func (l *link) toServer() {
	buffer := make([]byte, 32<<10)
	for {
		n, err := l.client.Read(buffer)
		if n > 0 && !l.silent.Load() {
			if _, err := l.server.Write(buffer[:n]); err != nil && !l.silent.Load() {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = l.client.Close()
	if l.server != nil && !l.silent.Load() {
		_ = l.server.Close()
	}
}

// toClient forwards what the server sends. If the server closes a silent connection, the client
// does not learn of it.
func (l *link) toClient() {
	buffer := make([]byte, 32<<10)
	for {
		n, err := l.server.Read(buffer)
		if n > 0 && !l.silent.Load() {
			_, _ = l.client.Write(buffer[:n])
		}
		if err != nil {
			break
		}
	}
	_ = l.server.Close()
	if !l.silent.Load() {
		_ = l.client.Close()
	}
}

// silence makes the present connections silent, and the new ones of the given time. They stay
// silent until the child closes them.
func (p *proxy) silence(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = time.Now().Add(d)
	for l := range p.links {
		l.silent.Store(true)
		if l.server != nil {
			time.AfterFunc(keepalive, func() { _ = l.server.Close() })
		}
	}
}

// drop closes every connection, as the operating system does when a process dies.
func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		_ = l.client.Close()
		if l.server != nil {
			_ = l.server.Close()
		}
	}
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.drop()
}
