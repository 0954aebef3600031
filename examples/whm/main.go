// Command whm is a complete application on nawasync: pages that list the accounts and mailboxes of
// WHM servers, jobs that change them, and the operators' pages. It needs nothing installed:
//
//	go run ./examples/whm
//
// docs/whm.md follows one change from the form to the audit log, and runs the example as several
// processes.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/internal/setup"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/web"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/remote"
)

func main() { os.Exit(start()) }

func start() int { return setup.Main("whm", parse, run) }

// example holds what run opens. Each step of run adds what a later step needs.
type example struct {
	setup.Process

	settings  settings
	remote    *remote.Remote  // makes the calls of all servers
	whm       hosting.Servers // nil in a web process, which only dispatches
	simulated map[string]*sim.Server
	metrics   net.Listener         // nil without -metrics
	tracers   trace.TracerProvider // of the spans of requests, jobs and calls
	enforcer  admin.Enforcer
	engine    *nawasync.Engine
	module    *hosting.Module
}

// run opens all parts and serves until ctx ends. It returns the first error of a start or of the
// shutdown, and leaves nothing running.
func run(ctx context.Context, s settings, out io.Writer, logger *slog.Logger) error {
	a := &example{Process: setup.Process{Settings: s.Settings, Out: out, Logger: logger, Warn: "terminate accounts"}, settings: s}
	defer a.Close()
	// The listeners come first: if a port is in use, run creates neither a key nor a database.
	for _, step := range []func(context.Context) error{
		a.Listen, a.listenMetrics, a.openTraces, a.OpenStorage, a.connectServers, a.createEngine, a.startEngine, a.serveMetrics, a.serve,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// connectServers creates a client for each WHM server, and starts the simulated servers. A web
// process needs no clients.
func (a *example) connectServers(ctx context.Context) error {
	if a.Role == "web" {
		return nil
	}
	configs, err := a.settings.servers()
	if err != nil {
		return err
	}
	if a.remote, err = remote.New(whmapi.RemoteConfig()); err != nil {
		return err
	}
	a.whm, a.simulated = hosting.Servers{}, map[string]*sim.Server{}
	mailboxes := a.settings.mailboxes
	for _, c := range configs {
		if c.url == "" {
			err = a.simulate(c.name, mailboxes)
			mailboxes = min(mailboxes, max(10, a.settings.mailboxes/4)) // the other servers are smaller
		} else {
			a.whm[c.name], err = a.connect(ctx, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// simulate starts a simulated WHM server.
func (a *example) simulate(name string, mailboxes int) error {
	token := rand.Text()
	simulator := sim.New(sim.Options{Token: token, Mailboxes: mailboxes})
	address, err := a.Simulate("WHM server "+name, simulator)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "simulated WHM server %s with %d mailboxes: %s\n", name, mailboxes, address)
	fmt.Fprintf(a.Out, "inject faults at %s/control/faults with the token %s (see docs/whm.md)\n", address, simulator.ControlToken())
	a.simulated[name] = simulator
	a.whm[name], err = whmapi.New(whmapi.Config{URL: address, User: "root", Token: nawasync.NewSecret(token), Remote: a.remote, Scope: name})
	return err
}

// connect creates the client of a real server and lists its accounts once: a wrong URL or
// certificate is reported at the start, and not by the first job. Other failures may be temporary,
// so connect only logs them.
func (a *example) connect(ctx context.Context, c serverConfig) (*whmapi.Client, error) {
	client, err := whmapi.New(whmapi.Config{URL: c.url, User: a.settings.whmUser, Token: nawasync.NewSecret(c.token), Remote: a.remote, Scope: c.name})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := client.Accounts(ctx); fault.ClassOf(err) == fault.ClassConfig {
		return nil, fmt.Errorf("-whm-url: %w", err)
	} else if err != nil {
		a.Logger.Warn("the WHM server did not list its accounts; jobs will retry", "server", c.name, "error", err)
	}
	return client, nil
}

// createEngine creates the tables, the engine and the repositories.
func (a *example) createEngine(ctx context.Context) error {
	err := errors.Join(migrations.Up(ctx, a.DB), hosting.CreateTables(ctx, a.DB))
	if err != nil {
		return err
	}
	if a.enforcer, err = web.Enforcer(ctx, a.DB); err != nil {
		return err
	}
	a.engine, err = nawasync.New(nawasync.Config{
		DB: a.DB, Redis: a.Client, Sealer: a.Sealer, Logger: a.Logger, Secrets: a.settings.credentials(), Remotes: a.remotes(), TracerProvider: a.tracers,
		Queues: map[string]nawasync.Queue{
			hosting.Queue: {}, hosting.SyncQueue: {Slots: 4},
			nawasync.DefaultQueue: {Slots: 2},
		},
	})
	if err != nil {
		return err
	}
	a.module, err = hosting.New(a.engine, a.whm)
	return err
}

// remotes returns what makes the calls. A web process makes none.
func (a *example) remotes() []*remote.Remote {
	if a.remote == nil {
		return nil
	}
	return []*remote.Remote{a.remote}
}

// startEngine registers the schedules, starts the workers and dispatches the first syncs, so that the
// pages have data. A web process runs no jobs.
func (a *example) startEngine(ctx context.Context) error {
	if a.Role == "web" {
		return nil
	}
	names, err := a.serverNames()
	if err != nil {
		return err
	}
	if a.Schedules {
		if err := a.module.Schedule(a.engine, names); err != nil {
			return err
		}
	}
	if err := errors.Join(admin.Register(a.engine, a.enforcer), a.Start(ctx, a.engine)); err != nil {
		return err
	}
	if a.Sync {
		if err := a.module.SyncAll(ctx, names, nawasync.Options{By: "start"}); err != nil {
			a.Logger.Warn("the first sync was not dispatched; the schedules sync later", "error", err)
		}
	}
	return nil
}

func (a *example) serverNames() (names []string, err error) {
	configs, err := a.settings.servers()
	for _, c := range configs {
		names = append(names, c.name)
	}
	return names, err
}

// serve answers requests until ctx ends.
func (a *example) serve(ctx context.Context) error {
	operators, err := web.Admin(a.engine, a.enforcer)
	if err != nil {
		return err
	}
	names, err := a.serverNames()
	if err != nil {
		return err
	}
	pages := &web.Pages{Site: site.Site{Engine: a.engine, Operators: operators, Logger: a.Logger}, Hosting: a.module, Instances: names, Simulated: a.simulated}
	return a.Serve(ctx, traceRequests(a.tracers, pages.Handler()))
}
