// Command whm is nawasync at work: pages of accounts and mailboxes, jobs that change
// them on WHM servers, and the row that each job leaves. With nothing installed:
//
//	go run ./examples/whm
//
// docs/whm.md walks through one click, and runs it as several processes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/web"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/secret"
)

// drainTimeout is how long Ctrl-C waits for running jobs.
const drainTimeout = 15 * time.Second

func main() { os.Exit(start()) }

func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:], os.Getenv, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = run(ctx, s, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "whm:", err)
		return 1
	}
	return 0
}

// example is what run has started, ended in the opposite order.
type example struct {
	out    io.Writer
	logger *slog.Logger
	undo   []func()
}

func (a *example) later(undo func()) { a.undo = append(a.undo, undo) }

func (a *example) end() {
	for _, undo := range slices.Backward(a.undo) {
		undo()
	}
}

// run serves until ctx ends, and returns what went wrong at the start, or at the
// end. Nothing is left running.
func run(ctx context.Context, s settings, out io.Writer, logger *slog.Logger) error {
	a := &example{out: out, logger: logger}
	defer a.end()
	// What can be wrong is tried first: a busy port ends it before anything is made.
	var page net.Listener
	if s.role != "worker" {
		var err error
		if page, err = net.Listen("tcp", s.addr); err != nil {
			return fmt.Errorf("-addr: %w; choose another with -addr 127.0.0.1:8081", err)
		}
		a.later(func() { _ = page.Close() })
	}
	key, made, err := readKey(s.key)
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintln(out, "made a sealing key:", s.key)
	}
	db, err := openDatabase(ctx, s.dsn)
	if err != nil {
		return err
	}
	a.later(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	client, closeRedis, err := openRedis(ctx, s.redis)
	if err != nil {
		return err
	}
	a.later(closeRedis)
	servers, simulated, err := a.servers(ctx, s)
	if err != nil {
		return err
	}
	engine, module, enforcer, err := a.engine(ctx, s, db, client, key, servers)
	if err != nil {
		return err
	}
	places, err := s.servers()
	if err != nil {
		return err
	}
	operators, err := web.Admin(engine, enforcer)
	if err != nil {
		return err
	}
	pages := &web.Pages{Engine: engine, Hosting: module, Instances: serverNames(places), Simulated: simulated, Operators: operators, Logger: logger}
	return a.serve(ctx, s, page, pages)
}

// servers are the WHM servers: those named, or simulated ones. A page alone needs
// none.
func (a *example) servers(ctx context.Context, s settings) (servers hosting.Servers, simulated map[string]*sim.Server, err error) {
	if s.role == "web" {
		return nil, nil, nil // it only dispatches
	}
	places, err := s.servers()
	if err != nil {
		return nil, nil, err
	}
	servers, simulated = hosting.Servers{}, map[string]*sim.Server{}
	mailboxes := s.mailboxes
	for _, p := range places {
		if p.url == "" {
			if simulated[p.name], servers[p.name], err = a.simulate(p.name, mailboxes); err != nil {
				return nil, nil, err
			}
			mailboxes = min(mailboxes, max(10, s.mailboxes/4)) // the others are smaller
			continue
		}
		if servers[p.name], err = a.reach(ctx, s.whmUser, p); err != nil {
			return nil, nil, err
		}
	}
	return servers, simulated, nil
}

func (a *example) simulate(name string, mailboxes int) (*sim.Server, *whmapi.Client, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("start the simulated WHM server: %w", err)
	}
	const token = "simulated" //nolint:gosec // it opens nothing else
	server := sim.New(sim.Options{Token: token, Mailboxes: mailboxes})
	simulated := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = simulated.Serve(listener) }()
	a.later(func() { _ = simulated.Close() })
	address := "http://" + listener.Addr().String()
	fmt.Fprintf(a.out, "a simulated WHM server, %s, with %d mailboxes: %s (make it misbehave: %[3]s/control/faults, see docs/whm.md)\n", name, mailboxes, address)
	client, err := whmapi.New(whmapi.Config{URL: address, User: "root", Token: nawasync.NewSecret(token)})
	return server, client, err
}

// reach tries a real server: a wrong URL or certificate is better known now than
// from the first job.
func (a *example) reach(ctx context.Context, user string, p place) (*whmapi.Client, error) {
	client, err := whmapi.New(whmapi.Config{URL: p.url, User: user, Token: nawasync.NewSecret(p.token)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := client.Accounts(ctx); fault.ClassOf(err) == fault.ClassConfig {
		return nil, fmt.Errorf("-whm-url: %w", err)
	} else if err != nil {
		a.logger.Warn("whm: the WHM server does not answer as it should; jobs will tell more", "server", p.name, "error", err)
	}
	return client, nil
}

// engine is what dispatches, and works unless the role is web.
func (a *example) engine(ctx context.Context, s settings, db *gorm.DB, client *redis.Client, key []byte, servers hosting.Servers) (*nawasync.Engine,
	*hosting.Module, admin.Enforcer, error,
) {
	if err := errors.Join(migrations.Up(ctx, db), hosting.CreateTables(ctx, db)); err != nil {
		return nil, nil, nil, err
	}
	enforcer, err := web.Enforcer(ctx, db)
	if err != nil {
		return nil, nil, nil, err
	}
	ring, err := secret.NewKeyring(key)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("-key: %w", err)
	}
	engine, err := nawasync.New(nawasync.Config{
		DB: db, Redis: client, Sealer: ring, Logger: a.logger,
		Queues: map[string]nawasync.Queue{
			hosting.Queue: {}, hosting.SyncQueue: {Slots: 4, Poll: 50 * time.Millisecond},
			nawasync.DefaultQueue: {Slots: 2, Poll: 100 * time.Millisecond},
		},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	module, err := hosting.New(engine, servers)
	if err != nil || s.role == "web" {
		return engine, module, enforcer, err
	}
	places, err := s.servers()
	if err != nil {
		return nil, nil, nil, err
	}
	if err := errors.Join(admin.Register(engine, enforcer), module.Schedule(engine, serverNames(places)), engine.Start(ctx)); err != nil {
		return nil, nil, nil, err
	}
	a.later(func() {
		grace, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		if err := engine.Stop(grace); err != nil {
			a.logger.Warn("whm: the engine did not end cleanly", "error", err)
		}
	})
	return engine, module, enforcer, nil
}

func serverNames(places []place) (list []string) {
	for _, p := range places {
		list = append(list, p.name)
	}
	return list
}

// serve answers requests until ctx ends.
func (a *example) serve(ctx context.Context, s settings, listener net.Listener, page *web.Pages) error {
	if listener == nil {
		fmt.Fprintln(a.out, "a worker; Ctrl-C ends it")
		<-ctx.Done()
		fmt.Fprintln(a.out, "ending")
		return nil
	}
	server := &http.Server{Handler: page.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second}
	fmt.Fprintf(a.out, "database %s\nthe page is http://%s — press “Sync now”, then change a mailbox and look at its job\nthe operators' pages are http://%[2]s%s/; Ctrl-C ends it\n", displayURL(s.dsn), listener.Addr(), web.AdminPrefix)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(a.out, "ending")
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
