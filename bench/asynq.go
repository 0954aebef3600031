package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"
)

// asynqSubject is bare asynq, which stores nothing durably, or asynq with one gorm write per
// transition.
type asynqSubject struct {
	redis   *redis.Client
	client  *asynq.Client
	workers int
	done    atomic.Int64
	db      *gorm.DB // nil for bare asynq
}

// trackerRow is a job's row as an application without nawasync would write it.
type trackerRow struct {
	ID         uint64 `gorm:"primaryKey"`
	Service    string `gorm:"size:50;index:idx_service_status"`
	Status     string `gorm:"size:20;index:idx_service_status"`
	TargetType string `gorm:"size:50;index:idx_target"`
	TargetID   string `gorm:"size:255;index:idx_target"`
	Payload    string
	Attempts   int
	StartedAt  *time.Time
	FinishedAt *time.Time
	DurationMS int64
	By         string    `gorm:"size:255;index"`
	CreatedAt  time.Time `gorm:"index"`
	UpdatedAt  time.Time
}

func openAsynq(_ context.Context, c config) (subject, error) {
	client := redisClient(c.redis)
	return &asynqSubject{redis: client, client: asynq.NewClientFromRedisClient(client), workers: c.workers}, nil
}

func openGorm(ctx context.Context, c config) (subject, error) {
	s, err := openAsynq(ctx, c)
	if err != nil {
		return nil, err
	}
	a := s.(*asynqSubject)
	if a.db, err = openDB(c.postgres, 50); err != nil {
		return nil, err
	}
	return a, a.db.AutoMigrate(&trackerRow{})
}

func (a *asynqSubject) Insert(ctx context.Context, n int) error {
	payload := []byte(`{"id":"` + strconv.Itoa(n) + `"}`)
	if a.db != nil {
		row := trackerRow{Service: "bench", Status: "queued", TargetType: "noop", TargetID: strconv.Itoa(n), Payload: string(payload), By: "bench"}
		if err := a.db.WithContext(ctx).Create(&row).Error; err != nil {
			return err
		}
		payload = []byte(`{"id":` + strconv.FormatUint(row.ID, 10) + `}`)
	}
	_, err := a.client.EnqueueContext(ctx, asynq.NewTask("noop", payload), asynq.MaxRetry(0))
	return err
}

func (a *asynqSubject) InsertMany(ctx context.Context, from, n int) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	var failed atomic.Pointer[error]
	for range 16 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := a.Insert(ctx, from+i); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (a *asynqSubject) work(ctx context.Context, t *asynq.Task) error {
	if a.db != nil {
		var payload struct{ ID uint64 }
		if err := json.Unmarshal(t.Payload(), &payload); err != nil {
			return err
		}
		db := a.db.WithContext(ctx)
		var row trackerRow
		if err := db.First(&row, payload.ID).Error; err != nil {
			return err
		}
		now := time.Now()
		if err := db.Model(&row).Updates(map[string]any{"status": "running", "started_at": now, "attempts": 1}).Error; err != nil {
			return err
		}
		if err := db.Model(&row).Updates(map[string]any{
			"status": "success", "finished_at": time.Now(),
			"duration_ms": time.Since(now).Milliseconds(),
		}).Error; err != nil {
			return err
		}
	}
	a.done.Add(1)
	return nil
}

func (a *asynqSubject) Drain(ctx context.Context, n int, drained func()) error {
	var servers []*asynq.Server
	for range 2 {
		server := asynq.NewServerFromRedisClient(a.redis, asynq.Config{
			Concurrency: a.workers / 2, TaskCheckInterval: 10 * time.Millisecond,
			LogLevel: asynq.ErrorLevel,
		})
		if err := server.Start(asynq.HandlerFunc(a.work)); err != nil {
			return err
		}
		servers = append(servers, server)
	}
	err := waitUntil(ctx, n, func() (int, error) { return int(a.done.Load()), nil })
	drained()
	log.SetOutput(os.Stderr)
	for _, server := range servers {
		server.Shutdown()
	}
	return err
}

func (a *asynqSubject) Close() {
	_ = a.redis.Close()
	if a.db != nil {
		if pool, err := a.db.DB(); err == nil {
			_ = pool.Close()
		}
	}
}
