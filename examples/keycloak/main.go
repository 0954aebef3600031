// Command keycloak is a complete application on nawasync: pages that list the users and clients of Keycloak realms, jobs that
// change them, and the operators' pages. It needs nothing installed:
//
//	go run ./examples/keycloak
//
// docs/keycloak.md says what to try, and how it is used with a real Keycloak.
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
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
	"github.com/nawasara/nawasync/examples/keycloak/web"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/remote"
)

func main() { os.Exit(start()) }

func start() int { return setup.Main("keycloak", parse, run) }

// example holds what run opens. Each step of run adds what a later step needs.
type example struct {
	setup.Process

	settings  settings
	names     []string      // of the realms
	api       *kcapi.Client // nil in a web process, which only dispatches
	simulated *sim.Server
	enforcer  admin.Enforcer
	engine    *nawasync.Engine
	module    *iam.Module
}

// run opens all parts and serves until ctx ends. It returns the first error of a start or of the shutdown, and leaves nothing
// running.
func run(ctx context.Context, s settings, out io.Writer, logger *slog.Logger) error {
	a := &example{Process: setup.Process{Settings: s.Settings, Out: out, Logger: logger, Warn: "delete users"}, settings: s}
	defer a.Close()
	// The listener comes first: if the port is in use, run creates neither a key nor a database.
	for _, step := range []func(context.Context) error{a.Listen, a.OpenStorage, a.connect, a.createEngine, a.startEngine, a.serve} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// connect creates the client, or starts a simulated Keycloak. A web process needs no client.
func (a *example) connect(ctx context.Context) error {
	realms, err := a.settings.realms()
	if err != nil {
		return err
	}
	for _, realm := range realms {
		a.names = append(a.names, realm.Name)
	}
	if a.Role == "web" {
		return nil
	}
	address := a.settings.url
	if !a.settings.real() {
		if address, err = a.simulate(realms); err != nil {
			return err
		}
	}
	if a.api, err = kcapi.New(kcapi.Config{URL: address, Realms: realms, Remote: remote.Config{Redis: a.Client}}); err != nil {
		return fmt.Errorf("-keycloak-url: %w", err)
	}
	for _, realm := range realms {
		if err := a.verify(ctx, realm.Name); err != nil {
			return err
		}
	}
	return nil
}

// simulate starts a simulated Keycloak and gives the service account of each realm a secret.
func (a *example) simulate(realms []kcapi.Realm) (address string, err error) {
	var list []sim.Realm
	for i := range realms {
		text := rand.Text()
		realms[i].Secret = nawasync.NewSecret(text)
		list = append(list, sim.Realm{Name: realms[i].Name, ClientID: realms[i].ClientID, Secret: text})
	}
	a.simulated = sim.New(sim.Options{Realms: list, Users: a.settings.users})
	if address, err = a.Simulate("Keycloak", a.simulated); err != nil {
		return "", err
	}
	fmt.Fprintf(a.Out, "simulated Keycloak: %s\n", address)
	fmt.Fprintf(a.Out, "inject faults at %s/control/faults with the token %s (see docs/keycloak.md)\n", address, a.simulated.ControlToken())
	return address, nil
}

// verify makes one call in a realm: a wrong address is reported at the start, and not by the first job. Other failures may be
// temporary, so verify only logs them.
func (a *example) verify(ctx context.Context, realm string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := a.api.CountUsers(ctx, realm); fault.ClassOf(err) == fault.ClassConfig {
		return fmt.Errorf("-keycloak-url: %w", err)
	} else if err != nil {
		a.Logger.Warn("the realm was not reached; jobs will retry", "realm", realm, "error", err)
	}
	return nil
}

// createEngine creates the tables, the engine and the repositories.
func (a *example) createEngine(ctx context.Context) error {
	err := errors.Join(migrations.Up(ctx, a.DB), iam.CreateTables(ctx, a.DB))
	if err != nil {
		return err
	}
	if a.enforcer, err = site.Enforcer(ctx, a.DB); err != nil {
		return err
	}
	config := nawasync.Config{
		DB: a.DB, Redis: a.Client, Sealer: a.Sealer, Logger: a.Logger, Secrets: a.settings.credentials(),
		Queues: map[string]nawasync.Queue{iam.Queue: {}, iam.SyncQueue: {Slots: 4}, nawasync.DefaultQueue: {Slots: 2}},
	}
	if a.api != nil {
		config.Remotes = []*remote.Remote{a.api.Remote()}
	}
	if a.engine, err = nawasync.New(config); err != nil {
		return err
	}
	module := iam.Config{API: a.api}
	if a.simulated != nil {
		module.Settle = -1
	}
	a.module, err = iam.New(a.engine, module)
	return err
}

// startEngine registers the schedules, starts the workers and dispatches the first syncs, so that the pages have data. A web
// process runs no jobs.
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
	pages := &web.Pages{Site: site.Site{Engine: a.engine, Operators: operators, Logger: a.Logger}, IAM: a.module, Realms: a.names, Simulated: a.simulated}
	return a.Serve(ctx, pages.Handler())
}
