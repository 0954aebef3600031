package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
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
	down               time.Time // when it was last known not to answer
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
	s.down = time.Now()
	for ctx.Err() == nil {
		pingCtx, cancel := context.WithTimeout(ctx, time.Second)
		err := s.ping(pingCtx)
		cancel()
		if err == nil {
			return true
		}
		s.down = time.Now()
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
