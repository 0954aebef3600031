package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync"
)

const (
	syncQueue = "sync"
	slots     = 8
)

// runWorker runs an engine with handlers until the parent stops it.
func runWorker(c *child) error {
	var engine *nawasync.Engine
	err := retry(func(ctx context.Context) (err error) {
		if engine, err = newWorker(c); err != nil {
			c.logger.Warn("the worker could not be made", "error", err)
			return err
		}
		if err = engine.Start(ctx); err != nil {
			c.logger.Warn("the worker could not start", "error", err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	return c.serve(func(cmd command) error {
		if cmd.Do != "stop" {
			return fmt.Errorf("unknown command %q", cmd.Do)
		}
		ctx, cancel := context.WithTimeout(context.Background(), cmd.For)
		defer cancel()
		begin := time.Now()
		err := engine.Stop(ctx)
		// Stop must return when its context ends, whatever the servers do.
		if late := time.Since(begin) - cmd.For; late > 2*time.Second {
			err = errors.Join(err, fmt.Errorf("the engine stopped %s after the context of Stop had ended", late))
		}
		return err
	})
}

// newWorker makes an engine and registers every handler. Both read the database.
func newWorker(c *child) (*nawasync.Engine, error) {
	engine, err := nawasync.New(nawasync.Config{
		DB: c.db, Redis: c.redis, Logger: c.logger, Now: c.now,
		Queues: map[string]nawasync.Queue{nawasync.DefaultQueue: {Slots: slots}, syncQueue: {Slots: 2}},
	})
	if err != nil {
		return nil, err
	}
	if err := nawasync.Register(engine, taskHandler{engine: engine, remote: c.remote, worker: c.spec.Name}); err != nil {
		return nil, err
	}
	if err := nawasync.Register(engine, resetHandler{remote: c.remote, worker: c.spec.Name}); err != nil {
		return nil, err
	}
	_, err = newThings(engine, thingRemote{c.remote, c.spec.Name})
	return engine, err
}
