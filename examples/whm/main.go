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
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// drainTimeout is how long a stopping process waits for its running jobs.
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

// example holds what run opens. Each step of run adds what a later step needs.
type example struct {
	settings settings
	out      io.Writer
	logger   *slog.Logger
	closers  []func() // in the order of opening

	listener   net.Listener // nil in a worker process
	sealingKey []byte
	db         *gorm.DB
	redis      *redis.Client
	remote     *remote.Remote  // makes the calls of all servers
	whm        hosting.Servers // nil in a web process, which only dispatches
	simulated  map[string]*sim.Server
	enforcer   admin.Enforcer
	engine     *nawasync.Engine
	module     *hosting.Module
}

func (a *example) onClose(f func()) { a.closers = append(a.closers, f) }

// close releases everything in reverse order of opening.
func (a *example) close() {
	for _, f := range slices.Backward(a.closers) {
		f()
	}
}

// run opens all parts and serves until ctx ends. It returns the first error of a start or of the
// shutdown, and leaves nothing running.
func run(ctx context.Context, s settings, out io.Writer, logger *slog.Logger) error {
	a := &example{settings: s, out: out, logger: logger}
	defer a.close()
	// The listener comes first: if the port is in use, run creates neither a key nor a database.
	for _, step := range []func(context.Context) error{a.listen, a.openStorage, a.connectServers, a.createEngine, a.startEngine, a.serve} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *example) listen(context.Context) error {
	if a.settings.role == "worker" {
		return nil
	}
	listener, err := net.Listen("tcp", a.settings.addr)
	if err != nil {
		return fmt.Errorf("-addr: %w; choose another with -addr 127.0.0.1:8081", err)
	}
	a.listener = listener
	a.onClose(func() { _ = listener.Close() })
	return nil
}

// openStorage reads the sealing key and connects to the database and to Redis.
func (a *example) openStorage(ctx context.Context) error {
	key, created, err := readKey(a.settings.key)
	if err != nil {
		return err
	}
	if created {
		fmt.Fprintln(a.out, "created the sealing key", a.settings.key)
	}
	a.sealingKey = key
	if a.db, err = openDatabase(ctx, a.settings.dsn); err != nil {
		return err
	}
	a.onClose(func() {
		if pool, err := a.db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	client, closeRedis, err := openRedis(ctx, a.settings.redis)
	if err != nil {
		return err
	}
	a.redis = client
	a.onClose(closeRedis)
	return nil
}

// connectServers creates a client for each WHM server, and starts the simulated servers. A web
// process needs no clients.
func (a *example) connectServers(ctx context.Context) error {
	if a.settings.role == "web" {
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

// simulate starts a simulated WHM server on a free port of the loopback interface.
func (a *example) simulate(name string, mailboxes int) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the simulated WHM server %s: %w", name, err)
	}
	token := rand.Text()
	simulator := sim.New(sim.Options{Token: token, Mailboxes: mailboxes})
	server := &http.Server{Handler: simulator, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	a.onClose(func() { _ = server.Close() })
	address := "http://" + listener.Addr().String()
	fmt.Fprintf(a.out, "simulated WHM server %s with %d mailboxes: %s\n", name, mailboxes, address)
	fmt.Fprintf(a.out, "inject faults at %s/control/faults with the token %s (see docs/whm.md)\n", address, simulator.ControlToken())
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
		a.logger.Warn("the WHM server did not list its accounts; jobs will retry", "server", c.name, "error", err)
	}
	return client, nil
}

// createEngine creates the tables, the engine and the repositories.
func (a *example) createEngine(ctx context.Context) error {
	err := errors.Join(migrations.Up(ctx, a.db), hosting.CreateTables(ctx, a.db))
	if err != nil {
		return err
	}
	if a.enforcer, err = web.Enforcer(ctx, a.db); err != nil {
		return err
	}
	keyring, err := secret.NewKeyring(a.sealingKey)
	if err != nil {
		return fmt.Errorf("-key: %w", err)
	}
	a.engine, err = nawasync.New(nawasync.Config{
		DB: a.db, Redis: a.redis, Sealer: keyring, Logger: a.logger, Secrets: a.credentials(), Remotes: a.remotes(),
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
	if a.settings.role == "web" {
		return nil
	}
	names, err := a.serverNames()
	if err != nil {
		return err
	}
	if a.settings.schedules {
		if err := a.module.Schedule(a.engine, names); err != nil {
			return err
		}
	}
	if err := errors.Join(admin.Register(a.engine, a.enforcer), a.engine.Start(ctx)); err != nil {
		return err
	}
	a.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		if err := a.engine.Stop(ctx); err != nil {
			a.logger.Warn("the engine did not stop cleanly", "error", err)
		}
	})
	if a.settings.sync {
		if err := a.module.SyncAll(ctx, names, nawasync.Options{By: "start"}); err != nil {
			a.logger.Warn("the first sync was not dispatched; the schedules sync later", "error", err)
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

// serve answers requests until ctx ends. A worker process only waits.
func (a *example) serve(ctx context.Context) error {
	operators, err := web.Admin(a.engine, a.enforcer)
	if err != nil {
		return err
	}
	if a.listener == nil {
		fmt.Fprintln(a.out, "the worker runs; press Ctrl-C to stop")
		<-ctx.Done()
		fmt.Fprintln(a.out, "stopping")
		return nil
	}
	names, err := a.serverNames()
	if err != nil {
		return err
	}
	pages := &web.Pages{Engine: a.engine, Hosting: a.module, Instances: names, Simulated: a.simulated, Operators: operators, Logger: a.logger}
	host, _, _ := net.SplitHostPort(a.settings.addr)
	handler := web.OnlyHosts(pages.Handler(), host)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second}
	address := "http://" + a.listener.Addr().String()
	fmt.Fprintln(a.out, "the database is", redactDSN(a.settings.dsn))
	fmt.Fprintln(a.out, "the page is", address)
	fmt.Fprintf(a.out, "the operators' pages are %s%s/\n", address, web.AdminPrefix)
	if ip, ok := a.listener.Addr().(*net.TCPAddr); ok && !ip.IP.IsLoopback() {
		fmt.Fprintln(a.out, "WARNING: these pages have no login, and other computers can open them: whoever does can terminate accounts. Use -addr 127.0.0.1:8080.")
	}
	fmt.Fprintln(a.out, "press Ctrl-C to stop")
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(a.listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(a.out, "stopping")
	shutdownCtx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(shutdownCtx)
}
