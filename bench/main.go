// Command bench compares nawasync with River, plain asynq, and asynq with one gorm write per
// transition. All run in one process, on the same PostgreSQL and Redis. The jobs do nothing; a job
// counts as done when its final row is durable.
//
//	go run . -postgres postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable -redis 127.0.0.1:6379
//
// With -write ../docs it also writes the figures into docs/benchmarks.json and docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"runtime/pprof"
	"time"
)

// options holds the command's flags.
type options struct {
	postgres, redis, mysql         string
	jobs, inserts, rounds, workers int
	batch, latency, load           int
	idle                           time.Duration
	what, keep, file               string
	rows, naive                    int
	only, profile, memory, write   string
}

func parseFlags() (o options) {
	flag.StringVar(&o.postgres, "postgres", "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable", "a PostgreSQL server on which databases may be created")
	flag.StringVar(&o.redis, "redis", "127.0.0.1:6379", "a Redis server; its database 15 is flushed. Empty: none, with -what reconcile and million")
	flag.StringVar(&o.mysql, "mysql", "", "with -what reconcile: the DSN of a server of MySQL or MariaDB on which databases may be created, instead of PostgreSQL")
	flag.IntVar(&o.jobs, "jobs", 20_000, "jobs to drain in each round")
	flag.IntVar(&o.inserts, "inserts", 3_000, "jobs to dispatch one by one in each round")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; the report shows the medians")
	flag.IntVar(&o.workers, "workers", 50, "jobs at the same time")
	flag.IntVar(&o.batch, "batch", 500, "jobs in one call of dispatch many")
	flag.IntVar(&o.latency, "latency", 200, "jobs to dispatch about 50 ms apart, for the latency of an idle queue; 0 leaves the latencies out")
	flag.IntVar(&o.load, "load", 2_000, "jobs to dispatch per second, for the latency under load")
	flag.DurationVar(&o.idle, "idle", 10*time.Second, "how long to measure the CPU of processes without work; 0 leaves it out")
	flag.StringVar(&o.what, "what", "jobs", "jobs, reconcile (a full sync compared with other ways), million (a large table) or admin (the operators' pages)")
	flag.StringVar(&o.keep, "database", "", "with -what admin: a PostgreSQL database to seed once and keep; default a new one")
	flag.StringVar(&o.file, "sqlite", "", "an SQLite file instead of PostgreSQL: with -what admin, to seed once and keep; with -what reconcile, a new one")
	flag.IntVar(&o.rows, "rows", 0, "rows to sync, or jobs to show; default 200,000, a million, or 5 million")
	flag.IntVar(&o.naive, "naive", 20_000, "rows to write one by one with -what reconcile; 0 leaves that and COPY out")
	flag.StringVar(&o.only, "only", "", "names of subjects, separated by commas")
	flag.StringVar(&o.write, "write", "", "a folder: write the figures into its benchmarks.json and benchmarks.md")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile to this file")
	flag.StringVar(&o.memory, "memprofile", "", "write a profile of all allocations to this file")
	flag.Parse()
	return o
}

// check refuses options that make no sense.
func (o options) check() error {
	if min(o.jobs, o.inserts, o.rounds, o.workers, o.batch, o.load) < 1 || o.latency < 0 || o.idle < 0 {
		return errors.New("-latency and -idle must not be negative, and the other numbers must be positive")
	}
	if o.write != "" && o.only != "" {
		return errors.New("-write with -only would replace the figures of the other subjects; run without -only")
	}
	return nil
}

func main() {
	o := parseFlags()
	exit(o.check())
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	ctx := context.Background()
	switch o.what {
	case "reconcile":
		exit(reconcileBench(ctx, o))
	case "million":
		exit(millionBench(ctx, o))
	case "admin":
		exit(adminBench(ctx, o))
	default:
		exit(jobsBench(ctx, o))
	}
	if o.memory != "" {
		exit(writeAllocations(o.memory))
	}
}

// writeAllocations writes a profile of all memory that was allocated so far.
func writeAllocations(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}

// exit ends the process with status 1 if err is not nil.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err) // package log would write to slog's default logger, which drops messages below level error
		pprof.StopCPUProfile()
		os.Exit(1)
	}
}
