package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/web"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/secret"
)

var (
	instances = []string{"web-1", "web-2"}
	accounts  = []string{"bakery", "harborcafe", "nordlicht", "greenfield", "atelier", "lakeside"}
)

// site serves the pages of an engine with a day of jobs.
type site struct {
	db        *gorm.DB
	simulated map[string]*sim.Server
	servers   hosting.Servers
	clock     *nawasynctest.Clock
	past      bool // whether the clock stands for the time
	random    *rand.Rand

	engine  *nawasync.Engine
	module  *hosting.Module
	handler http.Handler
	closers []func()

	failed, conflict int64 // jobs with a screenshot
}

func newSite(ctx context.Context, file string) (*site, error) {
	s := &site{simulated: map[string]*sim.Server{}, servers: hosting.Servers{}, random: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // the same data each time
	dsn := "file:" + file + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=foreign_keys(1)&_txlock=immediate"
	var err error
	if s.db, err = gorm.Open(sqlite.Open(dsn), &gorm.Config{Logger: logger.Discard}); err != nil {
		return nil, err
	}
	if err := errors.Join(migrations.Up(ctx, s.db), hosting.CreateTables(ctx, s.db), s.startServers()); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{s.live, s.fillPast, s.start, s.fillPresent} {
		if err := step(ctx); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *site) close() {
	for _, f := range slices.Backward(s.closers) {
		f()
	}
	if pool, err := s.db.DB(); err == nil {
		_ = pool.Close()
	}
}

// startServers starts the simulated WHM servers.
func (s *site) startServers() error {
	for i, name := range instances {
		simulator := sim.New(sim.Options{Token: "secret-token", Mailboxes: []int{96, 60}[i], Accounts: accounts})
		listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.took(40, 400)
			simulator.ServeHTTP(w, r)
		}))
		s.closers = append(s.closers, listener.Close)
		client, err := whmapi.New(whmapi.Config{URL: listener.URL, User: "root", Token: nawasync.NewSecret("secret-token")})
		if err != nil {
			return err
		}
		s.simulated[name], s.servers[name] = simulator, client
	}
	return nil
}

// took moves the clock of the past by some milliseconds.
func (s *site) took(least, most int) {
	if s.past {
		s.clock.Advance(time.Duration(least+s.random.IntN(most-least)) * time.Millisecond)
	}
}

// newEngine returns an engine with all handlers. A nil now is the system's clock.
func (s *site) newEngine(now func() time.Time) (*nawasync.Engine, *hosting.Module, error) {
	ring, err := secret.NewKeyring([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		return nil, nil, err
	}
	engine, err := nawasync.New(nawasync.Config{
		DB: s.db, Sealer: ring, Now: now, Logger: quiet, StopGrace: -1,
		Queues: map[string]nawasync.Queue{hosting.Queue: {}, hosting.SyncQueue: {Slots: 4}, nawasync.DefaultQueue: {Slots: 6}},
	})
	if err != nil {
		return nil, nil, err
	}
	h := handlers{took: func() { s.took(80, 900) }}
	module, err := hosting.New(engine, s.servers)
	return engine, module, errors.Join(err, nawasync.Register(engine, &dnsHandler{handlers: h}), nawasync.Register(engine, &userHandler{handlers: h}),
		nawasync.Register(engine, &exportHandler{}))
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// live creates the engine that serves the pages and the enforcer of its users.
func (s *site) live(ctx context.Context) (err error) {
	if s.engine, s.module, err = s.newEngine(nil); err != nil {
		return err
	}
	enforcer, err := web.Enforcer(ctx, s.db)
	if err != nil {
		return err
	}
	operators, err := web.Admin(s.engine, enforcer)
	if err != nil {
		return err
	}
	pages := &web.Pages{Hosting: s.module, Instances: instances, Simulated: s.simulated}
	pages.Engine, pages.Operators, pages.Logger = s.engine, operators, quiet
	s.handler = pages.Handler()
	return errors.Join(admin.Register(s.engine, enforcer), s.module.Schedule(s.engine, instances))
}

func (s *site) start(ctx context.Context) error {
	s.past = false
	if err := s.engine.Start(ctx); err != nil {
		return err
	}
	s.closers = append(s.closers, func() { _ = s.engine.Stop(context.Background()) })
	return nil
}
