package setup

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
	"github.com/nawasara/nawasync/examples/internal/serve"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/secret"
)

// DrainTimeout is how long a stopping process waits for its running jobs.
const DrainTimeout = 15 * time.Second

// Main parses the flags and runs the example until Ctrl-C. It returns the exit status.
func Main[S any](name string, parse func(args []string, getenv func(string) string, out io.Writer) (S, error),
	run func(ctx context.Context, s S, out io.Writer, logger *slog.Logger) error,
) int {
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
		fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return 0
}

// Process is a process of an example, with what it has opened so far.
type Process struct {
	Settings

	Out    io.Writer
	Logger *slog.Logger
	Warn   string // what whoever opens the pages can do

	Listener net.Listener // nil in a worker process
	Sealer   secret.Sealer
	DB       *gorm.DB
	Client   *redis.Client

	closers []func() // in the order of opening
}

// OnClose calls f when the process ends.
func (p *Process) OnClose(f func()) { p.closers = append(p.closers, f) }

// Close releases everything in reverse order of opening.
func (p *Process) Close() {
	for _, f := range slices.Backward(p.closers) {
		f()
	}
}

// Listen opens the port of the pages.
func (p *Process) Listen(context.Context) error {
	if p.Role == "worker" {
		return nil
	}
	listener, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return fmt.Errorf("-addr: %w; choose another with -addr 127.0.0.1:8081", err)
	}
	p.Listener = listener
	p.OnClose(func() { _ = listener.Close() })
	return nil
}

// OpenStorage reads the sealing key and connects to the database and to Redis.
func (p *Process) OpenStorage(ctx context.Context) error {
	key, created, err := ReadKey(p.Key)
	if err != nil {
		return err
	}
	if created {
		fmt.Fprintln(p.Out, "created the sealing key", p.Key)
	}
	if p.Sealer, err = secret.NewKeyring(key); err != nil {
		return fmt.Errorf("-key: %w", err)
	}
	if p.DB, err = OpenDatabase(ctx, p.DSN); err != nil {
		return err
	}
	p.OnClose(func() {
		if pool, err := p.DB.DB(); err == nil {
			_ = pool.Close()
		}
	})
	client, closeRedis, err := OpenRedis(ctx, p.Redis)
	if err != nil {
		return err
	}
	p.Client = client
	p.OnClose(closeRedis)
	return nil
}

// Simulate serves a simulated service on a free port of the loopback interface, and returns its address.
func (p *Process) Simulate(name string, service http.Handler) (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("start the simulated %s: %w", name, err)
	}
	server := &http.Server{Handler: service, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	p.OnClose(func() { _ = server.Close() })
	return "http://" + listener.Addr().String(), nil
}

// Start starts the engine.
func (p *Process) Start(ctx context.Context, engine *nawasync.Engine) error {
	if err := engine.Start(ctx); err != nil {
		return err
	}
	p.OnClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), DrainTimeout)
		defer cancel()
		if err := engine.Stop(ctx); err != nil {
			p.Logger.Warn("the engine did not stop cleanly", "error", err)
		}
	})
	return nil
}

// Serve answers requests until ctx ends. A worker process only waits.
func (p *Process) Serve(ctx context.Context, pages http.Handler) error {
	if p.Listener == nil {
		fmt.Fprintln(p.Out, "the worker runs; press Ctrl-C to stop")
		<-ctx.Done()
		fmt.Fprintln(p.Out, "stopping")
		return nil
	}
	host, _, _ := net.SplitHostPort(p.Addr)
	handler := site.OnlyHosts(pages, host)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second}
	address := "http://" + p.Listener.Addr().String()
	fmt.Fprintln(p.Out, "the database is", RedactDSN(p.DSN))
	fmt.Fprintln(p.Out, "the page is", address)
	fmt.Fprintf(p.Out, "the operators' pages are %s%s/\n", address, site.AdminPrefix)
	if ip, ok := p.Listener.Addr().(*net.TCPAddr); ok && !ip.IP.IsLoopback() {
		fmt.Fprintf(p.Out, "WARNING: these pages have no login, and other computers can open them: whoever does can %s. Use -addr 127.0.0.1:8080.\n", p.Warn)
	}
	fmt.Fprintln(p.Out, "press Ctrl-C to stop")
	said := make(chan struct{})
	unsaid := context.AfterFunc(ctx, func() {
		fmt.Fprintln(p.Out, "stopping")
		close(said)
	})
	err := serve.Until(ctx, server, p.Listener)
	if !unsaid() {
		<-said
	}
	return err
}
