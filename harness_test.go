package nawasync_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	_ = flag.Set("rapid.checks", "40")
	goleak.VerifyTestMain(m)
}

// note is the arguments of most tests' jobs.
type note struct {
	Instance string `json:"instance,omitempty"`
	ID       string `json:"id"`
	N        int    `json:"n"`
}

func (note) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "note", Action: "write"}
}

func (n note) Target() nawasync.Target { return nawasync.Target{Instance: n.Instance, ID: n.ID} }

// handler runs a function; its backoff is short enough for real time.
type handler[A nawasync.Args] struct {
	nawasync.AbstractJob[A]
	fn      func(ctx context.Context, run *nawasync.Run[A]) error
	timeout time.Duration
	backoff time.Duration
}

func (h *handler[A]) Execute(ctx context.Context, run *nawasync.Run[A]) error { return h.fn(ctx, run) }

func (h *handler[A]) Timeout() time.Duration {
	if h.timeout > 0 {
		return h.timeout
	}
	return h.AbstractJob.Timeout()
}

func (h *handler[A]) Backoff(attempt int) time.Duration {
	if h.backoff > 0 {
		return h.backoff
	}
	return h.AbstractJob.Backoff(attempt)
}

// harness is one test's database, Redis and log.
type harness struct {
	t     *testing.T
	db    *testdb.Database
	redis *redis.Client
	mini  *miniredis.Miniredis // nil on a real server
	log   *logBuffer
	shift atomic.Int64 // added to the clock in virtual time
}

type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// newHarness uses a miniredis of its own beside SQLite and the real Redis beside
// the real databases.
func newHarness(t *testing.T, db *testdb.Database) *harness {
	t.Helper()
	h := &harness{t: t, db: db, log: &logBuffer{}}
	if db.Dialect == "sqlite" {
		h.mini, h.redis = miniRedis(t)
	} else {
		h.redis = testdb.Redis(t)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", h.log.String())
		}
	})
	return h
}

func miniRedis(t *testing.T) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	m := miniredis.NewMiniRedis()
	// A pool nobody waits for: go-redis keeps the timers of those waits for all, and a
	// timer made in virtual time may not be used outside of it.
	client := redis.NewClient(&redis.Options{PoolSize: 500, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}, Dialer: func(context.Context, string, string) (net.Conn, error) { return m.Dial() }})
	t.Cleanup(func() {
		_ = client.Close()
		m.Close()
	})
	return m, client
}

func (h *harness) config() nawasync.Config {
	return nawasync.Config{
		DB: h.db.DB, Redis: h.redis, StopGrace: time.Second,
		Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// engine makes an engine that is stopped at the test's end.
func (h *harness) engine(change func(*nawasync.Config)) *nawasync.Engine {
	return h.tuned(nawasync.Tuning{}, change)
}

func (h *harness) tuned(tuning nawasync.Tuning, change func(*nawasync.Config)) *nawasync.Engine {
	h.t.Helper()
	c := h.config()
	if change != nil {
		change(&c)
	}
	e, err := nawasync.NewTuned(c, tuning)
	ok(h.t, err)
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil && !strings.Contains(err.Error(), "ignored the end") {
			h.t.Error(err)
		}
	})
	return e
}

func (h *harness) start(e *nawasync.Engine) *nawasync.Engine {
	h.t.Helper()
	ok(h.t, e.Start(h.t.Context()))
	return e
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls a condition: a real server is at work, and there is no event
// to wait for.
func eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: not %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func waitStatus(t testing.TB, e *nawasync.Engine, id int64, want tracker.Status) *tracker.Job {
	t.Helper()
	var job *tracker.Job
	deadline := time.Now().Add(40 * time.Second)
	for {
		var err error
		if job, err = e.Store().Get(context.Background(), id); err == nil && job.Status == want {
			return job
		}
		if time.Now().After(deadline) || (err == nil && job.Status.Terminal()) {
			t.Fatalf("job %d is not %s: %+v (%v)", id, want, job, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func dispatch(t testing.TB, e *nawasync.Engine, args nawasync.Args) *tracker.Job {
	t.Helper()
	job, err := e.Dispatch(context.Background(), args, nawasync.Options{By: "user:7"})
	ok(t, err)
	return job
}

// runs counts executions by id and epoch.
type runs struct {
	mu   sync.Mutex
	seen map[string]int
}

func (r *runs) note(job tracker.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]int{}
	}
	r.seen[fmt.Sprint(job.ID, ".", job.Epoch)]++
}

func (r *runs) doubles() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, count := range r.seen {
		if count > 1 {
			n++
		}
	}
	return n
}

func (r *runs) total() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, count := range r.seen {
		n += count
	}
	return n
}

var errBoom = errors.New("boom")

// redisServer is a server of one test's own, which it may flush, kill and start
// again.
type redisServer struct {
	port, folder string
	client       *redis.Client
	process      *exec.Cmd
}

func privateRedis(t *testing.T) (*redis.Client, *redisServer) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	ok(t, err)
	ok(t, listener.Close())
	s := &redisServer{port: port, folder: t.TempDir(), client: redis.NewClient(&redis.Options{Addr: address})}
	t.Cleanup(func() {
		_ = s.client.Close()
		s.kill()
	})
	s.start(t)
	return s.client, s
}

func (s *redisServer) start(t *testing.T) {
	t.Helper()
	s.process = exec.Command("redis-server", "--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.folder)
	ok(t, s.process.Start())
	eventually(t, 10*time.Second, "a Redis that answers", func() bool { return s.client.Ping(context.Background()).Err() == nil })
}

func (s *redisServer) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}
