// Command powerdns is a complete application on nawasync: pages that list the zones and record sets of PowerDNS servers,
// jobs that change them, and the operators' pages. It needs nothing installed:
//
//	go run ./examples/powerdns
//
// docs/new-service.md builds it step by step, and docs/powerdns.md says how it is used with a real PowerDNS.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/internal/setup"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/examples/powerdns/pdnssim/sim"
	"github.com/nawasara/nawasync/examples/powerdns/web"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/remote"
)

func main() { os.Exit(start()) }

func start() int { return setup.Main("powerdns", parse, run) }

// example holds what run opens. Each step of run adds what a later step needs.
type example struct {
	setup.Process

	settings  settings
	servers   pdnsapi.Servers // nil in a web process, which only dispatches
	remotes   []*remote.Remote
	simulated *sim.Server
	enforcer  admin.Enforcer
	engine    *nawasync.Engine
	module    *dns.Module
}

// run opens all parts and serves until ctx ends. It returns the first error of a start or of the
// shutdown, and leaves nothing running.
func run(ctx context.Context, s settings, out io.Writer, logger *slog.Logger) error {
	a := &example{Process: setup.Process{Settings: s.Settings, Out: out, Logger: logger, Warn: "delete DNS zones"}, settings: s}
	defer a.Close()
	// The listener comes first: if the port is in use, run creates neither a key nor a database.
	for _, step := range []func(context.Context) error{a.Listen, a.OpenStorage, a.connect, a.createEngine, a.startEngine, a.serve} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// connect creates a client of the server, or starts a simulated PowerDNS. A web process needs no client.
func (a *example) connect(ctx context.Context) error {
	if a.Role == "web" {
		return nil
	}
	address, key := a.settings.url, a.settings.key
	if !a.settings.real() {
		text := rand.Text()
		a.simulated = sim.New(sim.Options{Key: text, Zones: []string{"alpha.example.", "bravo.example."}, Sets: a.settings.sets})
		var err error
		if address, err = a.Simulate("PowerDNS", a.simulated); err != nil {
			return err
		}
		key = nawasync.NewSecret(text)
		fmt.Fprintln(a.Out, "simulated PowerDNS:", address)
		fmt.Fprintf(a.Out, "inject faults at %s/control/faults with the token %s (see docs/powerdns.md)\n", address, a.simulated.ControlToken())
	}
	service, err := pdnsapi.NewRemote(remote.Config{Redis: a.Client})
	if err != nil {
		return err
	}
	client, err := pdnsapi.New(pdnsapi.Config{URL: address, Key: key, Remote: service, Scope: a.settings.name})
	if err != nil {
		return err
	}
	a.remotes, a.servers = []*remote.Remote{service}, pdnsapi.Servers{a.settings.name: client}
	return a.verify(ctx, client)
}

// verify asks the server once: a wrong address is reported at the start, and not by the first job. Other failures may be
// temporary, so verify only logs them.
func (a *example) verify(ctx context.Context, client *pdnsapi.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	switch version, err := client.Version(ctx); {
	case fault.ClassOf(err) == fault.ClassConfig:
		return fmt.Errorf("-powerdns-url: %w", err)
	case err != nil:
		a.Logger.Warn("the server did not answer; jobs will retry", "error", err)
	default:
		a.Logger.Info("connected to PowerDNS", "version", version)
	}
	return nil
}

// createEngine creates the tables, the engine and the repositories.
func (a *example) createEngine(ctx context.Context) error {
	err := errors.Join(migrations.Up(ctx, a.DB), dns.CreateTables(ctx, a.DB))
	if err != nil {
		return err
	}
	if a.enforcer, err = site.Enforcer(ctx, a.DB); err != nil {
		return err
	}
	a.engine, err = nawasync.New(nawasync.Config{
		DB: a.DB, Redis: a.Client, Sealer: a.Sealer, Logger: a.Logger, Secrets: a.settings.credentials(), Remotes: a.remotes,
		Queues: map[string]nawasync.Queue{dns.Queue: {Slots: 4}, dns.SyncQueue: {Slots: 2}, nawasync.DefaultQueue: {Slots: 2}},
	})
	if err != nil {
		return err
	}
	a.module, err = dns.New(a.engine, a.servers)
	return err
}

// startEngine registers the schedules, starts the workers and dispatches the first syncs, so that the
// pages have data. A web process runs no jobs.
func (a *example) startEngine(ctx context.Context) error {
	if a.Role == "web" {
		return nil
	}
	servers := []string{a.settings.name}
	if a.Schedules {
		if err := a.module.Schedule(a.engine, servers); err != nil {
			return err
		}
	}
	if err := errors.Join(admin.Register(a.engine, a.enforcer), a.Start(ctx, a.engine)); err != nil {
		return err
	}
	if a.Sync {
		if err := a.module.SyncAll(ctx, servers, nawasync.Options{By: "start"}); err != nil {
			a.Logger.Warn("the first sync was not dispatched; the schedules sync later", "error", err)
		}
	}
	return nil
}

// serve answers requests until ctx ends.
func (a *example) serve(ctx context.Context) error {
	operators, err := web.Admin(a.engine, a.enforcer)
	if err != nil {
		return err
	}
	pages := &web.Pages{Site: site.Site{Engine: a.engine, Operators: operators, Logger: a.Logger}, DNS: a.module, Server: a.settings.name, Simulated: a.simulated}
	return a.Serve(ctx, pages.Handler())
}
