package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/secret"
)

// A child is this test binary started as a worker process, so that a test can
// really kill it.
const (
	childVariable = "NAWASYNC_TEST_CHILD" // dialect|dsn|redis address|mode
	childReady    = "ready"
)

// runChild becomes a worker process when a test started this binary as one.
func runChild() bool {
	spec := os.Getenv(childVariable)
	if spec == "" {
		return false
	}
	if err := child(strings.Split(spec, "|")); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	return true
}

func child(spec []string) error {
	dialect, dsn, address, mode := spec[0], spec[1], spec[2], spec[3]
	db, err := testdb.Open(dialect, dsn)
	if err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: address})
	if mode == "dequeue" {
		return dieBeforeClaim(db.Raw("SELECT value FROM nawasync_settings WHERE name = 'installation'").Row().Scan, client)
	}
	config := nawasync.Config{DB: db, Redis: client, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	call, url, shop := shopMode(mode)
	if shop {
		if config.Sealer, err = secret.NewKeyring(shopKey); err != nil {
			return err
		}
	}
	e, err := nawasync.New(config)
	if err != nil {
		return err
	}
	if shop {
		return shopChild(e, call, url)
	}
	err = nawasync.Register(e, &handler[note]{backoff: 10 * time.Millisecond, fn: func(ctx context.Context, run *nawasync.Run[note]) error {
		if mode == "lanes" {
			return workLane(db, run)
		}
		if mode == "poison" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if err := run.BeginWrite(ctx); err != nil {
			return err
		}
		fmt.Println("executing", run.Job().ID)
		select {
		case <-ctx.Done():
			fmt.Println("cancelled", context.Cause(ctx))
			return ctx.Err()
		case <-time.After(time.Minute):
			return nil
		}
	}})
	if err != nil {
		return err
	}
	if err := e.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(childReady)
	select {}
}

// workLane notes in the database that it is inside of its target, which the primary
// key lets one do at a time, whatever the process.
func workLane(db *gorm.DB, run *nawasync.Run[note]) error {
	job, target := run.Job(), run.Args.ID
	_ = db.Exec("INSERT INTO seen (worker) VALUES (?)", job.Worker).Error // the first time
	// Nobody works alone: the others' slots fill until the second process takes some.
	for seen := 0; target != "hot" && seen < 2; time.Sleep(5 * time.Millisecond) {
		if err := db.Raw("SELECT COUNT(*) FROM seen").Row().Scan(&seen); err != nil {
			return err
		}
	}
	if err := db.Exec("INSERT INTO inside (target) VALUES (?)", target).Error; err != nil {
		return errors.Join(db.Exec("INSERT INTO overlapped (target) VALUES (?)", target).Error, nawasync.Permanent(err))
	}
	time.Sleep(5 * time.Millisecond) // an overlap needs a while to be seen
	var outcome error
	switch {
	case target == "hot" && run.Args.N%5 == 1 && run.Attempt() == 1:
		outcome = errBoom
	case target == "hot" && run.Args.N%5 == 2 && job.Epoch == 0:
		outcome = &fault.Error{Class: fault.RateLimited, RetryAfter: 30 * time.Millisecond, Err: errBoom} // parks the scope
	default:
		outcome = db.Exec("INSERT INTO done (target, n, worker) VALUES (?, ?, ?)", target, run.Args.N, job.Worker).Error
	}
	return errors.Join(outcome, db.Exec("DELETE FROM inside WHERE target = ?", target).Error)
}

// dieBeforeClaim takes a task from Redis and dies with it.
func dieBeforeClaim(installation func(...any) error, client *redis.Client) error {
	var install string
	if err := installation(&install); err != nil {
		return err
	}
	server := asynq.NewServerFromRedisClient(client, asynq.Config{Concurrency: 1, Queues: map[string]int{install + ":default": 1}, TaskCheckInterval: 10 * time.Millisecond})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		return nil
	})); err != nil {
		return err
	}
	fmt.Println(childReady)
	select {}
}

// process is a running child.
type process struct {
	cmd    *exec.Cmd
	out    *logBuffer
	exited chan struct{} // closed when it has
}

func startChild(t *testing.T, h *harness, mode string) *process {
	t.Helper()
	self, err := os.Executable()
	ok(t, err)
	p := &process{cmd: exec.Command(self), out: &logBuffer{}, exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{h.db.Dialect, h.db.DSN, h.redis.Options().Addr, mode}, "|"))
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	ok(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("child %s:\n%s", mode, p.out.String())
		}
	})
	p.says(t, childReady)
	return p
}

func (p *process) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, 30*time.Second, "a child that says "+strconv.Quote(text), func() bool { return strings.Contains(p.out.String(), text) })
}

func (p *process) dies(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		t.Fatal("the child lives on")
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	ok(t, p.cmd.Process.Signal(s))
}
