package main

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// inject injects the faults of the schedule at their times. It returns when the last one is over.
func (h *harness) inject(ctx context.Context) {
	begin := time.Now()
	var wg sync.WaitGroup
	for _, e := range h.schedule.events {
		if !sleep(ctx, time.Until(begin.Add(e.At))) {
			break
		}
		h.logf("%s", e)
		wg.Go(func() {
			if err := h.injectOne(ctx, e); err != nil {
				h.logf("%s: %v", e.Kind, err)
				h.surprise(string(e.Kind) + ": " + err.Error())
			}
		})
	}
	wg.Wait()
	sleep(ctx, time.Until(begin.Add(h.dur)))
}

// surprise records something that must not happen whatever fault is injected.
func (h *harness) surprise(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.past = append(h.past, text)
}

func (h *harness) injectOne(ctx context.Context, e event) error {
	switch e.Kind {
	case killWorker:
		return h.killAndReplace(ctx, e)
	case freezeWorker:
		return h.freeze(ctx, e)
	case killHost:
		h.host.Load().kill()
		sleep(ctx, e.For)
		return h.startHost()
	case flushRedis:
		client := redis.NewClient(&redis.Options{Addr: h.redis.address})
		defer func() { _ = client.Close() }()
		_ = client.FlushAll(ctx).Err() // fails while Redis is down, and then has no data
	case restartRedis:
		return h.restart(ctx, h.redis, e.For, "Redis")
	case restartDatabase:
		return h.restart(ctx, h.database, e.For, "database")
	case endSessions:
		h.endSessions(ctx)
	case silenceDatabase:
		s := h.workers[e.Worker]
		if e.For > leaseTime {
			_ = h.remote.tell(ctx, "/cut", report{Worker: s.name, Kind: "silent database"}, nil)
		}
		s.database.silence(e.For)
		sleep(ctx, e.For)
	case silenceRedis:
		h.workers[e.Worker].redis.silence(e.For)
		sleep(ctx, e.For)
	case holdRows, holdQueued, holdDispatch:
		h.host.Load().send(command{Do: string(e.Kind), For: e.For})
		sleep(ctx, e.For)
	case jumpClock:
		s := h.workers[e.Worker]
		skew := h.schedule.skews[e.Worker]
		s.send(command{Do: "clock", For: skew + e.Skew})
		sleep(ctx, e.For)
		s.send(command{Do: "clock", For: skew})
	}
	return nil
}

// leaseTime is how long a process may be without the database before another one takes its jobs.
const leaseTime = 15 * time.Second

func (h *harness) killAndReplace(ctx context.Context, e event) error {
	s := h.workers[e.Worker]
	if err := s.died(); err != nil {
		h.surprise(err.Error())
	}
	s.kill()
	if err := h.remote.tell(ctx, "/cut", report{Worker: s.name, Kind: "SIGKILL", Dead: true}, nil); err != nil {
		return err
	}
	sleep(ctx, e.For)
	return h.startWorker(e.Worker)
}

func (h *harness) freeze(ctx context.Context, e event) error {
	s := h.workers[e.Worker]
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	if err := h.remote.tell(ctx, "/cut", report{Worker: s.name, Kind: "SIGSTOP"}, nil); err != nil {
		return err
	}
	sleep(ctx, e.For)
	return nil
}

func (h *harness) restart(ctx context.Context, s *server, down time.Duration, name string) error {
	s.kill()
	_ = h.remote.tell(ctx, "/mark", report{Kind: downMark(name)}, nil)
	sleep(ctx, down)
	if err := s.start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return h.remote.tell(ctx, "/mark", report{Kind: name + " back", Ago: time.Since(s.down)}, nil)
}

// endSessions terminates every second session of the database. It ignores errors: the database may
// be down.
func (h *harness) endSessions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	db := h.db.WithContext(ctx)
	if h.dialect == "postgres" {
		_ = db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid % 2 = 0").Error
		return
	}
	var ids []int64
	_ = db.Raw("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() AND id % 2 = 0").Scan(&ids).Error
	for _, id := range ids {
		_ = db.Exec("KILL ?", id).Error
	}
}

// replaceAddress returns the DSN of a database server with the address of a proxy.
func replaceAddress(s *server, address string) string {
	return strings.Replace(s.dsn, s.address, address, 1)
}

// sleep waits for d. It returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
