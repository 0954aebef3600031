package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// childVariable names the environment variable that makes the binary a child. Its value is a
// childSpec in JSON.
const childVariable = "NAWASYNC_FAULTS_CHILD"

// childSpec is what a child must know.
type childSpec struct {
	Role          string // remote, worker or host
	Name          string // unique for each process
	Dialect, DSN  string
	Redis, Remote string // addresses
	Seed          uint64
	Rate          float64
	Skew          time.Duration
}

// command is a line that the parent writes to a child's standard input.
type command struct {
	ID  int64 // nonzero if the parent waits for the reply
	Do  string
	For time.Duration
}

// reply is a line that a child writes to its standard output.
type reply struct {
	ID         int64
	Ready      bool
	Address    string
	Error      string
	Goroutines int
	InUse      int // connections of the database pool that are in use
}

// child is the part that workers and the host share.
type child struct {
	spec   childSpec
	db     *gorm.DB
	redis  *redis.Client
	remote *client
	logger *slog.Logger
	skew   atomic.Int64 // by which the clock is off
}

func runChild(text string) error {
	var spec childSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	if spec.Role == "remote" {
		return serveRemote(spec)
	}
	c := &child{spec: spec, remote: newClient(spec.Remote, spec.Role), logger: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("child", spec.Name)}
	c.skew.Store(int64(spec.Skew))
	// A blocked read of a silent connection ends after 3 s, which is the client's default.
	c.redis = redis.NewClient(&redis.Options{Addr: spec.Redis})
	var err error
	if c.db, err = retryOpen(spec.Dialect, spec.DSN, 20); err != nil {
		return err
	}
	if spec.Role == "host" {
		return runHost(c)
	}
	return runWorker(c)
}

func (c *child) now() time.Time { return time.Now().Add(time.Duration(c.skew.Load())) }

// serve runs the commands of the parent one after the other, until it closes the input.
func (c *child) serve(handle func(command) error) error {
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(reply{Ready: true}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var cmd command
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			return err
		}
		r := reply{ID: cmd.ID}
		switch cmd.Do {
		case "clock":
			c.skew.Store(int64(cmd.For))
		case "stats":
			r.Goroutines = runtime.NumGoroutine()
			if pool, err := c.db.DB(); err == nil {
				r.InUse = pool.Stats().InUse
			}
		default:
			if err := handle(cmd); err != nil {
				r.Error = err.Error()
			}
		}
		if cmd.ID == 0 {
			continue
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return lines.Err()
}

// openDB opens a database without any timeout in the DSN: what bounds a wait must be the engine.
func openDB(dialect, dsn string, conns int) (*gorm.DB, error) {
	open := postgres.Open
	if dialect == "mysql" {
		open = mysql.Open
	}
	db, err := gorm.Open(open(dsn), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return db, nil
}

// retryOpen opens a database that may be down at the moment.
func retryOpen(dialect, dsn string, conns int) (db *gorm.DB, err error) {
	return db, retry(func(context.Context) error {
		db, err = openDB(dialect, dsn, conns)
		return err
	})
}

// retry calls fn until it succeeds, for at most two minutes. Each call has 10 s.
func retry(fn func(ctx context.Context) error) error {
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err = fn(ctx)
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("not possible within two minutes: %w", err)
}
