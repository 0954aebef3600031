package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
)

// child is what this test binary does when a test started it as a worker process.
func child(c *enginetest.ChildProcess) error {
	db, client, mode := c.DB, c.Redis, c.Mode
	if mode == "dequeue" {
		return dieBeforeClaim(db.Raw("SELECT value FROM nawasync_settings WHERE name = 'installation'").Row().Scan, client)
	}
	config := nawasync.Config{DB: db, Redis: client, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	e, err := nawasync.New(config)
	if err != nil {
		return err
	}
	err = nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{
		Wait: 10 * time.Millisecond,
		Do: func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
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
		},
	})
	if err != nil {
		return err
	}
	if err := e.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(enginetest.ChildReady)
	select {}
}

// workLane notes in the database that it is inside of its target, which the primary
// key lets one do at a time, whatever the process.
func workLane(db *gorm.DB, run *nawasync.Run[enginetest.JobArgs]) error {
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
		outcome = enginetest.ErrBoom
	case target == "hot" && run.Args.N%5 == 2 && job.Epoch == 0:
		outcome = &fault.Error{Class: fault.ClassRateLimited, RetryAfter: 30 * time.Millisecond, Err: enginetest.ErrBoom} // parks the scope
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
	server := asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency: 1, Queues: map[string]int{install + ":default": 1},
		TaskCheckInterval: 10 * time.Millisecond,
	})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		return nil
	})); err != nil {
		return err
	}
	fmt.Println(enginetest.ChildReady)
	select {}
}
