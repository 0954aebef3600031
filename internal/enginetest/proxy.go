package enginetest

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
)

// Proxy forwards the connections between an engine and its database. A test can cut them, make them
// stall, or have them fall silent.
type Proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	down     bool
	stalled  chan struct{}             // closed when the connections go on; nil if they do not stall
	conns    map[net.Conn]*atomic.Bool // whether the connection has fallen silent
	wg       sync.WaitGroup
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.pipe(c) })
	}
}

func (p *Proxy) pipe(c net.Conn) {
	defer func() { _ = c.Close() }()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.mu.Lock()
	if p.down {
		p.mu.Unlock()
		return
	}
	silent := new(atomic.Bool)
	p.conns[c], p.conns[server] = silent, silent
	p.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{c, server}, {server, c}} {
		p.wg.Go(func() {
			_, _ = io.Copy(pair[0], stallingReader{pair[1], p, silent})
			_ = pair[0].Close()
			done <- struct{}{}
		})
	}
	<-done
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, server)
	p.mu.Unlock()
}

// SetDown closes every connection and refuses new ones, or, with down false, allows new ones again.
func (p *Proxy) SetDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for c := range p.conns {
		if down {
			_ = c.Close()
		}
	}
}

// SetStalled makes every connection stall: the proxy accepts new ones and forwards nothing. With
// stalled false it forwards what has waited.
func (p *Proxy) SetStalled(stalled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case stalled && p.stalled == nil:
		p.stalled = make(chan struct{})
	case !stalled && p.stalled != nil:
		close(p.stalled)
		p.stalled = nil
	}
}

// Silence makes the present connections fall silent, as if a firewall had forgotten them: they stay open, and nothing
// that is sent arrives. New connections work.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, silent := range p.conns {
		silent.Store(true)
	}
}

// stallingReader reads from a connection. It keeps what it has read while the proxy stalls, and drops it if the
// connection has fallen silent.
type stallingReader struct {
	io.Reader
	proxy  *Proxy
	silent *atomic.Bool
}

func (r stallingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	for err == nil && r.silent.Load() {
		n, err = r.Reader.Read(b)
	}
	if r.silent.Load() {
		n = 0
	}
	r.proxy.mu.Lock()
	stalled := r.proxy.stalled
	r.proxy.mu.Unlock()
	if stalled != nil && n > 0 {
		<-stalled
	}
	return n, err
}

// NewProxy returns a proxy that listens on a free port and forwards connections to target.
func NewProxy(t *testing.T, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	NoError(t, err)
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]*atomic.Bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.SetStalled(false)
		p.SetDown(true)
		p.wg.Wait()
	})
	return p
}

// ProxiedDSN returns the DSN of the harness's database through a new proxy.
func ProxiedDSN(t *testing.T, h *Harness) (dsn string, p *Proxy) {
	t.Helper()
	dsn = h.DB.DSN
	if h.DB.Dialect == "postgres" {
		u, err := url.Parse(dsn)
		NoError(t, err)
		p = NewProxy(t, u.Host)
		u.Host = p.listener.Addr().String()
		return u.String(), p
	}
	from, to := strings.Index(dsn, "tcp(")+4, strings.Index(dsn, ")")
	p = NewProxy(t, dsn[from:to])
	return dsn[:from] + p.listener.Addr().String() + dsn[to:], p
}

// NewProxiedServers opens the harness's database through a proxy.
func NewProxiedServers(t *testing.T, h *Harness) (*testdb.Database, *Proxy) {
	t.Helper()
	dsn, p := ProxiedDSN(t, h)
	db, err := testdb.Open(h.DB.Dialect, dsn)
	NoError(t, err)
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	return &testdb.Database{DB: db, Dialect: h.DB.Dialect, DSN: dsn}, p
}

// Servers runs a test on PostgreSQL and on MySQL, where several processes can share a database and
// a Redis.
func Servers(t *testing.T, fn func(t *testing.T, h *Harness)) {
	t.Helper()
	t.Parallel()
	for _, opener := range testdb.Openers()[1:] {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			fn(t, New(t, opener.Open(t)))
		})
	}
}
