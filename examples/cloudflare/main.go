// Command cloudflare is a complete application on nawasync: pages that list the accounts, zones and DNS records of
// Cloudflare, jobs that change the records, and the operators' pages. It needs nothing installed:
//
//	go run ./examples/cloudflare
//
// docs/cloudflare.md says what to try, and how it is used with the real Cloudflare.
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
	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/examples/cloudflare/web"
	"github.com/nawasara/nawasync/examples/internal/setup"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/remote"
)

func main() { os.Exit(start()) }

func start() int { return setup.Main("cloudflare", parse, run) }

// example holds what run opens. Each step of run adds what a later step needs.
type example struct {
	setup.Process

	settings  settings
	names     []string   // of the tokens
	tokens    dns.Tokens // nil in a web process, which only dispatches
	remotes   []*remote.Remote
	simulated *sim.Server
	enforcer  admin.Enforcer
	engine    *nawasync.Engine
	module    *dns.Module
}

// run opens all parts and serves until ctx ends. It returns the first error of a start or of the
// shutdown, and leaves nothing running.
func run(ctx context.Context, s settings, out io.Writer, logger *slog.Logger) error {
	a := &example{Process: setup.Process{Settings: s.Settings, Out: out, Logger: logger, Warn: "delete DNS records"}, settings: s}
	defer a.Close()
	// The listener comes first: if the port is in use, run creates neither a key nor a database.
	for _, step := range []func(context.Context) error{a.Listen, a.OpenStorage, a.connect, a.createEngine, a.startEngine, a.serve} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// connect creates a client for each token, or starts a simulated Cloudflare. A web process needs no clients.
func (a *example) connect(ctx context.Context) error {
	configs, err := a.settings.tokens()
	if err != nil {
		return err
	}
	for _, c := range configs {
		a.names = append(a.names, c.name)
	}
	if a.Role == "web" {
		return nil
	}
	address := a.settings.url
	if !a.settings.real() {
		if address, err = a.simulate(configs); err != nil {
			return err
		}
	}
	service, err := cfapi.NewRemote(remote.Config{Redis: a.Client})
	if err != nil {
		return err
	}
	a.remotes = []*remote.Remote{service}
	a.tokens = dns.Tokens{}
	for _, c := range configs {
		client, err := cfapi.New(cfapi.Config{URL: address, Token: c.token, Remote: service, Scope: c.name})
		if err != nil {
			return err
		}
		a.tokens[c.name] = client
		if err := a.verify(ctx, c.name, client); err != nil {
			return err
		}
	}
	return nil
}

// simulate starts a simulated Cloudflare with the tokens. The first one may see two accounts.
func (a *example) simulate(configs []tokenConfig) (address string, err error) {
	zones := [][]string{{"alpha.example", "bravo.example", "carol.example"}, {"shop.example", "blog.example"}}
	var accounts []sim.Account
	for i := range configs {
		token := rand.Text()
		configs[i].token = nawasync.NewSecret(token)
		account := sim.Account{Name: configs[i].name, Token: token, Zones: []string{configs[i].name + ".example"}}
		if i < len(zones) {
			account.Zones = zones[i]
		}
		if accounts = append(accounts, account); i == 0 {
			accounts = append(accounts, sim.Account{Name: account.Name + " labs", Token: token, Zones: []string{"labs.example"}})
		}
	}
	a.simulated = sim.New(sim.Options{Accounts: accounts, Records: a.settings.records, PerSecond: sim.PerSecond})
	if address, err = a.Simulate("Cloudflare", a.simulated); err != nil {
		return "", err
	}
	fmt.Fprintf(a.Out, "simulated Cloudflare: %s/client/v4\n", address)
	fmt.Fprintf(a.Out, "inject faults at %s/control/faults with the token %s (see docs/cloudflare.md)\n", address, a.simulated.ControlToken())
	return address + "/client/v4", nil
}

// verify checks a token once: a wrong address is reported at the start, and not by the first job. Other failures may be
// temporary, so verify only logs them.
func (a *example) verify(ctx context.Context, name string, client *cfapi.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := client.Verify(ctx); fault.ClassOf(err) == fault.ClassConfig {
		return fmt.Errorf("-cloudflare-url: %w", err)
	} else if err != nil {
		a.Logger.Warn("the token was not verified; jobs will retry", "token", name, "error", err)
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
		Queues: map[string]nawasync.Queue{dns.Queue: {}, dns.SyncQueue: {Slots: 4}, nawasync.DefaultQueue: {Slots: 2}},
	})
	if err != nil {
		return err
	}
	a.module, err = dns.New(a.engine, dns.Config{Tokens: a.tokens})
	return err
}

// startEngine registers the schedules, starts the workers and dispatches the first syncs, so that the
// pages have data. A web process runs no jobs.
func (a *example) startEngine(ctx context.Context) error {
	if a.Role == "web" {
		return nil
	}
	if a.Schedules {
		if err := a.module.Schedule(a.engine, a.names); err != nil {
			return err
		}
	}
	if err := errors.Join(admin.Register(a.engine, a.enforcer), a.Start(ctx, a.engine)); err != nil {
		return err
	}
	if a.Sync {
		if err := a.module.SyncAll(ctx, a.names, nawasync.Options{By: "start"}); err != nil {
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
	pages := &web.Pages{Site: site.Site{Engine: a.engine, Operators: operators, Logger: a.Logger}, DNS: a.module, Tokens: a.names, Simulated: a.simulated}
	return a.Serve(ctx, pages.Handler())
}
