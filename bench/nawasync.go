package main

import (
	"context"
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

type noopHandler struct{ nawasync.AbstractJob[noop] }

func (noopHandler) Execute(context.Context, *nawasync.Run[noop]) error { return nil }

// nawasyncSubject dispatches with an engine that is not started. Each drain starts a new engine, as
// the drain of River does.
type nawasyncSubject struct {
	config   nawasync.Config
	dispatch *nawasync.Engine
	redis    *redis.Client
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
	db, err := openDB(c.postgres, 20)
	if err != nil {
		return nil, err
	}
	if err := migrations.Up(ctx, db); err != nil {
		return nil, err
	}
	s := &nawasyncSubject{redis: redisClient(c.redis)}
	s.config = nawasync.Config{
		DB: db, Redis: s.redis, Queues: map[string]nawasync.Queue{nawasync.DefaultQueue: {Slots: c.workers, Loops: 8}},
		// An event is sent after the commit of its outcome.
		OnEvent: func(_ context.Context, event nawasync.Event) {
			if event.Type == nawasync.EventSucceeded {
				s.finished.Add(1)
			}
		},
	}
	s.dispatch, err = nawasync.New(s.config)
	return s, err
}

func (s *nawasyncSubject) Insert(ctx context.Context, n int) error {
	_, err := s.dispatch.Dispatch(ctx, noop{strconv.Itoa(n)}, nawasync.Options{By: "bench"})
	return err
}

func (s *nawasyncSubject) InsertMany(ctx context.Context, from, n int) error {
	args := make([]nawasync.Args, n)
	for i := range args {
		args[i] = noop{strconv.Itoa(from + i)}
	}
	_, err := s.dispatch.DispatchMany(ctx, args, nawasync.Options{By: "bench"})
	return err
}

func (s *nawasyncSubject) Drain(ctx context.Context, n int) error {
	engine, err := nawasync.New(s.config)
	if err != nil {
		return err
	}
	if err := nawasync.Register(engine, noopHandler{}); err != nil {
		return err
	}
	if err := engine.Start(ctx); err != nil {
		return err
	}
	err = waitUntil(ctx, n, func() (int, error) { return int(s.finished.Load()), nil })
	stopCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_ = engine.Stop(stopCtx)
	return err
}

func (s *nawasyncSubject) Close() {
	_ = s.redis.Close()
	if pool, err := s.config.DB.DB(); err == nil {
		_ = pool.Close()
	}
}
