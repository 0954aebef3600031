package main

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// The limits of checkLeaks. A worker that has run for long may hold idle connections, each with a
// goroutine or two.
const (
	extraGoroutines = 80
	maxInUse        = 4
	maxRedisKeys    = 200
)

func checkCreated(e *evidence, f *findings) {
	for name, n := range e.log.Created {
		if n != 1 {
			f.addf("%s was created %d times", name, n)
		}
	}
	for _, j := range e.list {
		if j.Service == "mirror" && j.Action == "create" && j.Status == tracker.StatusSuccess && e.log.Created[j.TargetID] == 0 {
			f.addf("%s, but the remote has not created the object", j)
		}
	}
}

// checkThings compares the rows with the remote after a sync has copied every difference.
func checkThings(e *evidence, f *findings) {
	rows := map[string]bool{}
	for _, t := range e.things {
		rows[t.Name] = true
		value, found := e.log.Things[t.Name]
		switch {
		case t.IsPending():
			f.addf("row %d, %s, is %s for ever", t.ID, t.Name, t.State)
		case !t.IsSynced() && t.SyncError == "" && t.State != nawasync.StateMissing:
			f.addf("row %d, %s, is %s and does not say why", t.ID, t.Name, t.State)
		case t.IsSynced() && !found:
			f.addf("row %d, %s, is %s, but the remote has no such object", t.ID, t.Name, t.State)
		case t.IsSynced() && t.Value != value:
			f.addf("row %d, %s, is %s with %q, but the remote has %q", t.ID, t.Name, t.State, t.Value, value)
		}
	}
	for name := range e.log.Things {
		if !rows[name] {
			f.addf("the remote has %s, but no row has", name)
		}
	}
}

func (h *harness) checkScopes(ctx context.Context, f *findings) error {
	var scopes []struct {
		Service, Instance, Reason string
		PausedUntil               int64
	}
	err := h.db.WithContext(ctx).Raw("SELECT service, instance, reason, paused_until FROM nawasync_scopes WHERE paused_until > ?", time.Now().Add(time.Minute).UnixMicro()).
		Scan(&scopes).Error
	for _, s := range scopes {
		f.addf("%s %s is parked until %s: %s", s.Service, s.Instance, time.UnixMicro(s.PausedUntil).UTC().Format(time.RFC3339), s.Reason)
	}
	return err
}

// checkWorkers looks for living workers that run no jobs any more.
func (h *harness) checkWorkers(e *evidence, f *findings) {
	probes := map[int64]bool{}
	for _, o := range e.orders {
		if o.Kind == orderProbe {
			probes[o.JobID] = true
		}
	}
	works := map[string]bool{}
	for _, x := range e.log.Executions {
		works[x.Worker] = works[x.Worker] || probes[x.Job]
	}
	for _, name := range h.survivors {
		if !works[name] {
			f.addf("%s ran none of the %d jobs that were dispatched after the last fault", name, len(probes))
		}
	}
}

// checkLeaks stops one worker and starts another one in its place, so that the workers that have
// lived through the faults can be compared with it. Then it stops all of them.
func (h *harness) checkLeaks(ctx context.Context, f *findings) error {
	sleep(ctx, 5*time.Second) // for the last outcomes and idle connections
	h.checkSessions(ctx, f)
	h.stopWorker(ctx, h.workers[0], f)
	if err := h.startWorker(0); err != nil {
		return err
	}
	if _, err := h.workers[0].waitReady(ctx); err != nil {
		return err
	}
	sleep(ctx, 3*time.Second)
	fresh, err := h.workers[0].ask(ctx, command{Do: "stats"})
	if err != nil {
		return err
	}
	for _, s := range h.workers[1:] {
		have, err := s.ask(ctx, command{Do: "stats"})
		if err != nil {
			f.addf("%v", err)
			continue
		}
		if have.Goroutines > fresh.Goroutines+extraGoroutines {
			f.addf("%s has %d goroutines; one that just started has %d", s.name, have.Goroutines, fresh.Goroutines)
		}
		if have.InUse > maxInUse {
			f.addf("%s uses %d database connections without running a job", s.name, have.InUse)
		}
		h.stopWorker(ctx, s, f)
	}
	client := redis.NewClient(&redis.Options{Addr: h.redis.address})
	defer func() { _ = client.Close() }()
	keys, err := client.DBSize(ctx).Result()
	if err == nil && keys > maxRedisKeys {
		f.addf("Redis has %d keys although no job is open", keys)
	}
	return err
}

// stopWorker stops a worker that runs nothing, which must succeed.
func (h *harness) stopWorker(ctx context.Context, s *slot, f *findings) {
	if err := s.died(); err != nil {
		f.addf("%v", err)
		return
	}
	if _, err := s.ask(ctx, command{Do: "stop", For: 15 * time.Second}); err != nil {
		f.addf("%v", err)
	}
	s.kill()
}

// checkSessions looks for transactions that nobody ends. The server's end of a silent connection
// may have one for the time of a keepalive.
func (h *harness) checkSessions(ctx context.Context, f *findings) {
	query := "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' AND xact_start < now() - interval '10 seconds'"
	if h.dialect == "mysql" {
		query = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_started < NOW() - INTERVAL 10 SECOND"
	}
	var n int64
	for range int((keepalive + 5*time.Second) / time.Second) {
		if err := h.db.WithContext(ctx).Raw(query).Scan(&n).Error; err == nil && n == 0 {
			return
		}
		sleep(ctx, time.Second)
	}
	f.addf("%d transactions of the database are open although no job is", n)
}
