package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/migrations"
)

type noop struct {
	ID string `json:"id"`
}

func (noop) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "bench", Type: "noop", Action: "run"}
}
func (n noop) Target() nawasync.Target { return nawasync.Target{ID: n.ID} }

// noopHandler calls started, unless it is nil, with the number of each job.
type noopHandler struct {
	nawasync.AbstractJob[noop]

	started func(n int)
}

func (h noopHandler) Execute(_ context.Context, run *nawasync.Run[noop]) error {
	if h.started == nil {
		return nil
	}
	n, err := strconv.Atoi(run.Args.ID)
	if err == nil {
		h.started(n)
	}
	return err
}

// nawasyncSubject dispatches with an engine that is not started. Each drain starts a new engine, as
// the drain of River does.
type nawasyncSubject struct {
	config   nawasync.Config
	dispatch *nawasync.Engine
	redis    *redis.Client // nil without Redis
	finished atomic.Int64
}

func openDB(url string, conns int) (*gorm.DB, error) {
	db, err := gorm.Open(postgres.Open(url), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return db, nil
}

func openNawasync(ctx context.Context, c config) (subject, error) {
	return newNawasync(ctx, c, redisClient(c.redis))
}

// openWithoutRedis opens nawasync without a Redis client. It returns errUnavailable if the engine
// cannot work jobs so.
func openWithoutRedis(ctx context.Context, c config) (subject, error) {
	s, err := newNawasync(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	engine, err := s.start(ctx, noopHandler{})
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	return s, stopEngine(ctx, engine)
}

// newNawasync opens a subject on an empty database. client may be nil.
func newNawasync(ctx context.Context, c config, client *redis.Client) (*nawasyncSubject, error) {
	db, err := openDB(c.postgres, connections)
	if err != nil {
		return nil, err
	}
	if err := migrations.Up(ctx, db); err != nil {
		return nil, err
	}
	s := &nawasyncSubject{redis: client}
	s.config = nawasync.Config{
		DB: db, Queues: map[string]nawasync.Queue{nawasync.DefaultQueue: {Slots: c.workers}},
		// An event is sent after the commit of its outcome.
		OnEvent: func(_ context.Context, event nawasync.Event) {
			if event.Type == nawasync.EventSucceeded {
				s.finished.Add(1)
			}
		},
	}
	if client != nil {
		s.config.Redis = client
	}
	s.dispatch, err = nawasync.New(s.config)
	return s, err
}

func insertWith(engine *nawasync.Engine) dispatchFunc {
	return func(ctx context.Context, n int) error {
		_, err := engine.Dispatch(ctx, noop{strconv.Itoa(n)}, nawasync.Options{By: "bench"})
		return err
	}
}

func (s *nawasyncSubject) Insert(ctx context.Context, n int) error {
	return insertWith(s.dispatch)(ctx, n)
}

func (s *nawasyncSubject) InsertMany(ctx context.Context, from, n int) error {
	args := make([]nawasync.Args, n)
	for i := range args {
		args[i] = noop{strconv.Itoa(from + i)}
	}
	_, err := s.dispatch.DispatchMany(ctx, args, nawasync.Options{By: "bench"})
	return err
}

// start starts a new engine.
func (s *nawasyncSubject) start(ctx context.Context, handler noopHandler) (*nawasync.Engine, error) {
	engine, err := nawasync.New(s.config)
	if err != nil {
		return nil, err
	}
	if err := nawasync.Register(engine, handler); err != nil {
		return nil, err
	}
	return engine, engine.Start(ctx)
}

func stopEngine(ctx context.Context, engine *nawasync.Engine) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return engine.Stop(ctx)
}

func (s *nawasyncSubject) Drain(ctx context.Context, n int, drained func()) error {
	engine, err := s.start(ctx, noopHandler{})
	if err != nil {
		return err
	}
	err = waitUntil(ctx, n, func() (int, error) { return int(s.finished.Load()), nil })
	drained()
	return errors.Join(err, stopEngine(ctx, engine))
}

func (s *nawasyncSubject) Work(ctx context.Context, started func(n int)) (working, error) {
	engine, err := s.start(ctx, noopHandler{started: started})
	if err != nil {
		return working{}, err
	}
	return working{other: s.Insert, own: insertWith(engine), stop: engine.Stop}, nil
}

func (s *nawasyncSubject) Close() {
	if s.redis != nil {
		_ = s.redis.Close()
	}
	if pool, err := s.config.DB.DB(); err == nil {
		_ = pool.Close()
	}
}
