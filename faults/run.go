package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/mirror"
)

// harness runs the schedule on one database.
type harness struct {
	options
	dialect   string
	database  *server
	redis     *server
	db        *gorm.DB // without a proxy
	remote    *client
	api       *process
	host      atomic.Pointer[process]
	workers   []*slot
	schedule  schedule
	mu        sync.Mutex
	hosts     int      // hosts that were started
	survivors []string // the workers that live after the last fault
	past      []string // what must not happen whatever fault is injected
}

// slot is the place of one worker. A killed worker is replaced by a process with another name.
type slot struct {
	*process
	started  int
	database *proxy
	redis    *proxy
}

// run starts everything, injects the faults, waits until the jobs are finished, and checks.
func run(ctx context.Context, o options, dialect string) (*result, error) {
	h := &harness{options: o, dialect: dialect, schedule: makeSchedule(o)}
	defer h.close()
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	r := &result{options: o, dialect: dialect, faults: h.schedule.count(), begin: time.Now()}
	if h.inject(ctx); ctx.Err() != nil {
		return nil, ctx.Err()
	}
	h.logf("restore everything")
	if err := h.restore(ctx); err != nil {
		return nil, err
	}
	if err := h.finish(ctx, r); err != nil {
		return nil, err
	}
	return r, h.check(ctx, r)
}

func (h *harness) logf(format string, args ...any) {
	if h.verbose {
		fmt.Fprintf(os.Stderr, "%s %s: %s\n", time.Now().Format("15:04:05.0"), h.dialect, fmt.Sprintf(format, args...))
	}
}

// start starts the servers and then the children.
func (h *harness) start(ctx context.Context) (err error) {
	startDatabase := startPostgres
	if h.dialect == "mysql" {
		startDatabase = startMariaDB
	}
	if h.database, err = startDatabase(ctx, h.dir); err != nil {
		return err
	}
	if h.redis, err = startRedis(ctx, h.dir); err != nil {
		return err
	}
	if h.db, err = openDB(h.dialect, h.database.dsn, 4); err != nil {
		return err
	}
	if err := createTables(ctx, h.db, h.dialect); err != nil {
		return err
	}
	if h.api, err = startProcess(childSpec{Role: "remote", Name: "remote", Seed: h.seed}, h.dir); err != nil {
		return err
	}
	ready, err := h.api.waitReady(ctx)
	if err != nil {
		return err
	}
	h.api.address = ready.Address
	h.remote = newClient(ready.Address, "command")
	for i := range h.options.workers {
		s := &slot{}
		h.workers = append(h.workers, s)
		if s.database, err = newProxy(h.database.address); err != nil {
			return err
		}
		if s.redis, err = newProxy(h.redis.address); err != nil {
			return err
		}
		if err := h.startWorker(i); err != nil {
			return err
		}
	}
	for _, s := range h.workers {
		if _, err := s.waitReady(ctx); err != nil {
			return err
		}
	}
	return h.startHost()
}

func createTables(ctx context.Context, db *gorm.DB, dialect string) error {
	if err := migrations.Up(ctx, db); err != nil {
		return err
	}
	columns, err := mirror.StatusColumns(dialect, "things")
	if err != nil {
		return err
	}
	for _, statement := range append(hostTables(dialect), columns...) {
		if err := db.WithContext(ctx).Exec(statement).Error; err != nil {
			return err
		}
	}
	return nil
}

// startWorker starts a process in a slot, with connections through the slot's proxies.
func (h *harness) startWorker(i int) error {
	s := h.workers[i]
	s.started++
	spec := childSpec{
		Role: "worker", Name: fmt.Sprintf("worker-%d-%d", i, s.started), Dialect: h.dialect, DSN: replaceAddress(h.database, s.database.address()),
		Redis: s.redis.address(), Remote: h.api.address, Skew: h.schedule.skews[i],
	}
	p, err := startProcess(spec, h.dir)
	s.process = p
	return err
}

func (h *harness) startHost() error {
	h.hosts++
	p, err := startProcess(childSpec{
		Role: "host", Name: fmt.Sprintf("host-%d", h.hosts), Dialect: h.dialect, DSN: h.database.dsn, Redis: h.redis.address,
		Remote: h.api.address, Seed: h.seed + uint64(h.hosts)<<32, Rate: h.rate,
	}, h.dir)
	h.host.Store(p)
	return err
}

// restore ends every fault and the workload. A child that has exited by itself is a finding, and is
// started again so that the jobs can finish.
func (h *harness) restore(ctx context.Context) error {
	for _, s := range []*server{h.database, h.redis} {
		if err := s.ping(ctx); err != nil {
			if err := s.start(ctx); err != nil {
				return err
			}
		}
	}
	for i, s := range h.workers {
		if err := s.died(); err != nil {
			h.past = append(h.past, err.Error())
			if err := h.startWorker(i); err != nil {
				return err
			}
		}
		s.send(command{Do: "clock"})
	}
	for _, s := range h.workers {
		if _, err := s.waitReady(ctx); err != nil {
			return err
		}
		h.survivors = append(h.survivors, s.name)
	}
	if _, err := h.host.Load().waitReady(ctx); err != nil {
		return err
	}
	_, err := h.host.Load().ask(ctx, command{Do: "quiet"})
	return err
}

// close ends every process.
func (h *harness) close() {
	for _, s := range h.workers {
		if s.process != nil {
			s.kill()
		}
		for _, p := range []*proxy{s.database, s.redis} {
			if p != nil {
				p.close()
			}
		}
	}
	for _, p := range []*process{h.host.Load(), h.api} {
		if p != nil {
			p.kill()
		}
	}
	for _, s := range []*server{h.database, h.redis} {
		if s != nil {
			s.kill()
		}
	}
}
