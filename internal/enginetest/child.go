package enginetest

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/testdb"
)

// A child is this test binary started as a worker process, so that a test can
// really kill it.
const (
	childVariable = "NAWASYNC_TEST_CHILD" // dialect|dsn|redis address|mode
	ChildReady    = "ready"
)

// ChildProcess is what a child has to work with.
type ChildProcess struct {
	DB    *gorm.DB
	Redis *redis.Client
	Mode  string
}

// RunChild runs fn instead of the tests when a test started this binary as a child, and
// reports whether that was so.
func RunChild(fn func(*ChildProcess) error) bool {
	spec := strings.Split(os.Getenv(childVariable), "|")
	if len(spec) != 4 {
		return false
	}
	db, err := testdb.Open(spec[0], spec[1])
	if err == nil {
		err = fn(&ChildProcess{DB: db, Redis: redis.NewClient(&redis.Options{Addr: spec[2]}), Mode: spec[3]})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	return true
}

// Process is a running child.
type Process struct {
	cmd    *exec.Cmd
	Out    *LogBuffer
	exited chan struct{} // closed when it has
}

// WaitOutput waits until the child has written text.
func (p *Process) WaitOutput(t *testing.T, text string) {
	t.Helper()
	Eventually(t, 30*time.Second, "a child that says "+strconv.Quote(text), func() bool { return strings.Contains(p.Out.String(), text) })
}

// WaitExit waits until the child has exited.
func (p *Process) WaitExit(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		t.Fatal("the child lives on")
	}
}

// Signal sends the child a signal.
func (p *Process) Signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	NoError(t, p.cmd.Process.Signal(s))
}

// StartChild starts this binary as a child in a mode, and waits until it is ready. It is
// killed at the test's end.
func StartChild(t *testing.T, h *Harness, mode string) *Process {
	t.Helper()
	self, err := os.Executable()
	NoError(t, err)
	p := &Process{cmd: exec.Command(self), Out: &LogBuffer{}, exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{h.DB.Dialect, h.DB.DSN, h.Redis.Options().Addr, mode}, "|"))
	p.cmd.Stdout, p.cmd.Stderr = p.Out, p.Out
	NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("child %s:\n%s", mode, p.Out.String())
		}
	})
	p.WaitOutput(t, ChildReady)
	return p
}
