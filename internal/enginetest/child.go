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

// A child is this test binary, started as a worker process, so that a test can kill a real
// process.
const (
	// childVariable names the environment variable that makes the binary a child. Its value is
	// dialect|dsn|redis address|mode.
	childVariable = "NAWASYNC_TEST_CHILD"
	// ChildReady is the text that a child prints when it is ready.
	ChildReady = "ready"
)

// ChildProcess holds what StartChild passes to a child.
type ChildProcess struct {
	DB    *gorm.DB
	DSN   string // of DB
	Redis *redis.Client
	Mode  string
}

// RunChild runs fn if a test started this binary as a child, and reports whether it did. Call it
// before the tests, and skip them if it reports true. If fn fails, RunChild exits.
func RunChild(fn func(*ChildProcess) error) bool {
	spec := strings.Split(os.Getenv(childVariable), "|")
	if len(spec) != 4 {
		return false
	}
	db, err := testdb.Open(spec[0], spec[1])
	if err == nil {
		err = fn(&ChildProcess{DB: db, DSN: spec[1], Redis: redis.NewClient(&redis.Options{Addr: spec[2]}), Mode: spec[3]})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	return true
}

// Process is a child process.
type Process struct {
	cmd    *exec.Cmd
	Out    *LogBuffer
	exited chan struct{} // closed when the child has exited
}

// WaitOutput waits until the child has written text.
func (p *Process) WaitOutput(t *testing.T, text string) {
	t.Helper()
	Eventually(t, 30*time.Second, "the child has written "+strconv.Quote(text), func() bool { return strings.Contains(p.Out.String(), text) })
}

// WaitExit waits until the child has exited.
func (p *Process) WaitExit(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		t.Fatal("the child has not exited")
	}
}

// Signal sends the child a signal.
func (p *Process) Signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	NoError(t, p.cmd.Process.Signal(s))
}

// StartChild starts this binary as a child in the given mode and waits until it is ready. The
// child is killed at the end of the test.
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
