package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// startTimeout is how long a server may take to answer. MariaDB's recovery takes a few seconds.
const startTimeout = time.Minute

// server is a private database or Redis server that the command can kill and start again.
type server struct {
	name, dir, address string
	dsn                string // of a database: what a client without a proxy uses
	args               []string
	ping               func(ctx context.Context) error
	mu                 sync.Mutex
	cmd                *exec.Cmd
	exited             chan struct{}
}

// start starts the server and waits until it answers. A server that exits is started again: after
// a SIGKILL, PostgreSQL refuses to start while the processes of its sessions still run.
func (s *server) start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for ctx.Err() == nil {
		if err := s.launch(); err != nil {
			return err
		}
		if s.answers(ctx) {
			return nil
		}
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	return fmt.Errorf("%s did not answer within %s; see %s.log", s.name, startTimeout, s.dir)
}

func (s *server) launch() error {
	log, err := os.OpenFile(s.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd, s.exited = exec.Command(s.args[0], s.args[1:]...), make(chan struct{})
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = log, log, s.dir
	if s.cmd.SysProcAttr, err = serverAttributes(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	return nil
}

// answers waits until the server answers. It returns false if the server exits first.
func (s *server) answers(ctx context.Context) bool {
	for ctx.Err() == nil {
		pingCtx, cancel := context.WithTimeout(ctx, time.Second)
		err := s.ping(pingCtx)
		cancel()
		if err == nil {
			return true
		}
		select {
		case <-s.exited:
			time.Sleep(100 * time.Millisecond)
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false
}

// kill ends the server with SIGKILL and waits until it has exited.
func (s *server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}

// serverAttributes runs a server as nobody if this process is root, since PostgreSQL and MariaDB
// refuse to run as root, and ends it when this process ends.
func serverAttributes() (*syscall.SysProcAttr, error) {
	attributes := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		return attributes, nil
	}
	uid, gid, err := nobody()
	attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attributes, err
}

func nobody() (uid, gid int, err error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return 0, 0, fmt.Errorf("find the user that runs the servers: %w", err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}

// newServer creates the folder of a server and gives it a free port.
func newServer(dir, name string) (*server, error) {
	s := &server{name: name, dir: filepath.Join(dir, name)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		uid, gid, err := nobody()
		if err != nil {
			return nil, err
		}
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.address = l.Addr().String()
	return s, l.Close()
}

// prepare runs a program that creates the files of a server.
func (s *server) prepare(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = s.dir
	var err error
	if cmd.SysProcAttr, err = serverAttributes(); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, out)
	}
	return nil
}

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.address)
	return port
}

// startPostgres starts PostgreSQL with an empty database. fsync=off loses data only when the
// operating system fails, not when the server is killed.
func startPostgres(ctx context.Context, dir string) (*server, error) {
	s, err := newServer(dir, "postgres")
	if err != nil {
		return nil, err
	}
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(bins) == 0 {
		return nil, fmt.Errorf("PostgreSQL's programs are not in /usr/lib/postgresql; install the package postgresql")
	}
	bin := slices.MaxFunc(bins, func(a, b string) int { return len(a) - len(b) })
	if err := s.prepare(ctx, bin+"/initdb", "-D", s.dir+"/data", "-U", "postgres", "-A", "trust"); err != nil {
		return nil, err
	}
	s.args = []string{
		bin + "/postgres", "-D", s.dir + "/data", "-p", s.port(), "-k", s.dir, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300", "-c", "fsync=off",
	}
	admin := "postgres://postgres@" + s.address + "/postgres?sslmode=disable"
	s.dsn = "postgres://postgres@" + s.address + "/nawasync?sslmode=disable"
	s.ping = pingSQL("pgx", admin)
	return s, s.startDatabase(ctx, "pgx", admin)
}

// startMariaDB starts MariaDB with an empty database. A commit is written to the operating system
// before it is confirmed, so that a killed server loses none.
func startMariaDB(ctx context.Context, dir string) (*server, error) {
	s, err := newServer(dir, "mysql")
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath("mariadbd")
	if err != nil {
		program = "/usr/sbin/mariadbd"
	}
	data := "--datadir=" + s.dir + "/data"
	if err := s.prepare(ctx, "mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", data); err != nil {
		return nil, err
	}
	s.args = []string{
		program, "--no-defaults", data, "--port=" + s.port(), "--bind-address=127.0.0.1", "--socket=" + s.dir + "/sock", "--pid-file=" + s.dir + "/pid",
		"--max-connections=300", "--innodb-flush-log-at-trx-commit=2",
	}
	admin := "root@tcp(" + s.address + ")/"
	s.dsn = admin + "nawasync"
	s.ping = pingSQL("mysql", admin)
	return s, s.startDatabase(ctx, "mysql", admin)
}

// startDatabase starts a new server and creates the database nawasync.
func (s *server) startDatabase(ctx context.Context, driver, admin string) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	db, err := sql.Open(driver, admin)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, "CREATE DATABASE nawasync")
	return err
}

func pingSQL(driver, dsn string) func(context.Context) error {
	return func(ctx context.Context) error {
		db, err := sql.Open(driver, dsn)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		return db.PingContext(ctx)
	}
}

func startRedis(ctx context.Context, dir string) (*server, error) {
	s, err := newServer(dir, "redis")
	if err != nil {
		return nil, err
	}
	s.args = []string{"redis-server", "--port", s.port(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir}
	s.ping = func(ctx context.Context) error {
		client := redis.NewClient(&redis.Options{Addr: s.address, MaxRetries: -1})
		defer func() { _ = client.Close() }()
		return client.Ping(ctx).Err()
	}
	return s, s.start(ctx)
}
