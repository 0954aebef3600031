package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
)

// runChild runs this binary as a worker process for a test. It returns only with an error; the
// test kills the process. The mode decides what the process does with its jobs:
//
//	work      waits a minute, or until the job's context ends
//	poison    kills the process
//	lanes     calls workLane
//	dequeue   kills the process before it claims a job
//	track     handles tracked tasks in an asynq server of its own; each waits a minute
func runChild(c *enginetest.ChildProcess) error {
	db, client, mode := c.DB, c.Redis, c.Mode
	config := nawasync.Config{DB: db, Redis: client, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	e, err := nawasync.New(config)
	if err != nil {
		return err
	}
	if mode == "track" {
		return runTrackedServer(e, client)
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

// workLane inserts the job's target into the table inside while the job runs. The table's
// primary key refuses a second job of the target, in whichever process it runs. workLane
// records such an overlap in the table overlapped.
func workLane(db *gorm.DB, run *nawasync.Run[enginetest.JobArgs]) error {
	job, target := run.Job(), run.Args.ID
	_ = db.Exec("INSERT INTO seen (worker) VALUES (?)", job.Worker).Error // fails unless this is the first job of the worker
	// Jobs of targets other than hot wait until both processes have run a job. They fill the
	// slots of the first process, so that the second process gets some jobs, too.
	for seen := 0; target != "hot" && seen < 2; time.Sleep(5 * time.Millisecond) {
		if err := db.Raw("SELECT COUNT(*) FROM seen").Row().Scan(&seen); err != nil {
			return err
		}
	}
	if err := db.Exec("INSERT INTO inside (target) VALUES (?)", target).Error; err != nil {
		return errors.Join(db.Exec("INSERT INTO overlapped (target) VALUES (?)", target).Error, nawasync.Permanent(err))
	}
	time.Sleep(5 * time.Millisecond) // gives another job of the target time to overlap
	var err error
	switch {
	case target == "hot" && run.Args.N%5 == 1 && run.Attempt() == 1:
		err = enginetest.ErrBoom
	case target == "hot" && run.Args.N%5 == 2 && job.Epoch == 0:
		err = &fault.Error{Class: fault.ClassRateLimited, RetryAfter: 30 * time.Millisecond, Err: enginetest.ErrBoom} // parks the scope
	default:
		err = db.Exec("INSERT INTO done (target, n, worker) VALUES (?, ?, ?)", target, run.Args.N, job.Worker).Error
	}
	return errors.Join(err, db.Exec("DELETE FROM inside WHERE target = ?", target).Error)
}
