package enginetest

import (
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// MiniRedis returns a new Redis inside this process, and a client of it.
func MiniRedis(t *testing.T) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	m := miniredis.NewMiniRedis()
	// The pool is so large that no call waits for a connection. go-redis reuses the timers of
	// such waits in all pools, and a timer made in a synctest bubble must not be used outside.
	client := redis.NewClient(&redis.Options{
		PoolSize: 500, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			conn, err := m.Dial()
			if err != nil {
				return nil, err
			}
			return newQueuedConn(conn), nil
		},
	})
	t.Cleanup(func() {
		_ = client.Close()
		m.Close()
	})
	return m, client
}

// RedisServer is a Redis server for a single test. The test may flush, kill and restart it.
type RedisServer struct {
	port, folder string
	client       *redis.Client
	process      *exec.Cmd
}

// Start starts the server and waits until it answers.
func (s *RedisServer) Start(t *testing.T) {
	t.Helper()
	s.process = exec.Command("redis-server", "--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.folder)
	NoError(t, s.process.Start())
	Eventually(t, 10*time.Second, "Redis answers", func() bool { return s.client.Ping(context.Background()).Err() == nil })
}

// Kill kills the server. Its data is lost.
func (s *RedisServer) Kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// PrivateRedis starts a redis-server for one test and returns a client of it.
func PrivateRedis(t *testing.T) (*redis.Client, *RedisServer) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	NoError(t, err)
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	NoError(t, err)
	NoError(t, listener.Close())
	s := &RedisServer{port: port, folder: t.TempDir(), client: redis.NewClient(&redis.Options{Addr: address})}
	t.Cleanup(func() {
		_ = s.client.Close()
		s.Kill()
	})
	s.Start(t)
	return s.client, s
}
