// Command bench compares nawasync with River, bare asynq, and asynq with one gorm write per
// transition. All run in one process, on the same PostgreSQL and Redis. The jobs do nothing; a job
// counts as done when its final row is durable.
//
//	go run . -postgres postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable -redis 127.0.0.1:6379
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// subject is one system under test. Each round opens a new one.
type subject interface {
	// Insert dispatches one job, as a web request would.
	Insert(ctx context.Context, n int) error
	// InsertMany dispatches n jobs in one call.
	InsertMany(ctx context.Context, from, n int) error
	// Drain works all dispatched jobs, and returns when the last final row is durable.
	Drain(ctx context.Context, n int) error
	Close()
}

type entry struct {
	name string
	open func(ctx context.Context, c config) (subject, error)
}

type config struct {
	postgres string // URL of an empty database
	redis    string
	workers  int
}

// result holds one figure per round.
type result struct{ insert, many, drain, wal []float64 }

// options holds the command's flags.
type options struct {
	postgres, redis                string
	jobs, inserts, rounds, workers int
	what, keep, file               string
	rows, naive                    int
	only, profile                  string
}

func parseFlags() (o options) {
	flag.StringVar(&o.postgres, "postgres", "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable", "a PostgreSQL server on which databases may be created")
	flag.StringVar(&o.redis, "redis", "127.0.0.1:6379", "a Redis server; its database 15 is flushed")
	flag.IntVar(&o.jobs, "jobs", 20_000, "jobs to drain in each round")
	flag.IntVar(&o.inserts, "inserts", 3_000, "jobs to dispatch one by one in each round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the report shows the median")
	flag.IntVar(&o.workers, "workers", 50, "jobs at the same time")
	flag.StringVar(&o.what, "what", "jobs", "jobs, reconcile (a full sync compared with other ways), million (a large table) or admin (the operators' pages)")
	flag.StringVar(&o.keep, "database", "", "with -what admin: a PostgreSQL database to seed once and keep; default a new one")
	flag.StringVar(&o.file, "sqlite", "", "with -what admin: an SQLite file to seed once and keep, instead of PostgreSQL")
	flag.IntVar(&o.rows, "rows", 0, "rows to sync, or jobs to show; default 200,000, a million, or 5 million")
	flag.IntVar(&o.naive, "naive", 20_000, "rows to write one by one with -what reconcile")
	flag.StringVar(&o.only, "only", "", "names of subjects, separated by commas")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile to this file")
	flag.Parse()
	return o
}

func main() {
	o := parseFlags()
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
		jobsBench(ctx, o)
	}
}

// exit ends the process with status 1 if err is not nil.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err) // package log would write to slog's default logger, which drops messages below level error
		pprof.StopCPUProfile()
		os.Exit(1)
	}
}

// jobsBench measures all subjects in each round, and prints the medians.
func jobsBench(ctx context.Context, o options) {
	entries := []entry{{"nawasync", openNawasync}, {"River", openRiver}, {"plain asynq", openAsynq}, {"asynq and one gorm write per transition", openGorm}}
	results := map[string]*result{}
	for round := range o.rounds {
		for _, e := range entries {
			if o.only != "" && !slices.Contains(strings.Split(o.only, ","), e.name) {
				continue
			}
			if results[e.name] == nil {
				results[e.name] = &result{}
			}
			r := results[e.name]
			if err := measure(ctx, e, o, r); err != nil {
				exit(fmt.Errorf("%s, round %d: %w", e.name, round+1, err))
			}
			fmt.Fprintf(os.Stderr, "round %d %-28s insert %.0f/s many %.0f/s drain %.0f/s WAL %.0f B/job\n", round+1, e.name, last(r.insert), last(r.many),
				last(r.drain), last(r.wal))
		}
	}
	report(entries, results)
}

// measure runs one round of a subject and appends its figures to r.
func measure(ctx context.Context, e entry, o options, r *result) error {
	db, drop, err := newDatabase(ctx, o.postgres)
	if err != nil {
		return err
	}
	defer drop()
	if err := flush(ctx, o.redis); err != nil {
		return err
	}
	s, err := e.open(ctx, config{postgres: db.url, redis: o.redis, workers: o.workers})
	if err != nil {
		return err
	}
	defer s.Close()
	begin := time.Now()
	for i := range o.inserts {
		if err := s.Insert(ctx, i); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
	}
	r.insert = append(r.insert, rate(o.inserts, begin))
	if err := s.Drain(ctx, o.inserts); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	// After a checkpoint, every subject writes the same full-page images to the WAL.
	before, err := db.checkpoint(ctx)
	if err != nil {
		return err
	}
	begin = time.Now()
	if err := s.InsertMany(ctx, o.inserts, o.jobs); err != nil {
		return fmt.Errorf("insert many: %w", err)
	}
	r.many = append(r.many, rate(o.jobs, begin))
	begin = time.Now()
	if err := s.Drain(ctx, o.inserts+o.jobs); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	r.drain = append(r.drain, rate(o.jobs, begin))
	after, err := db.walPosition(ctx)
	if err != nil {
		return err
	}
	r.wal = append(r.wal, float64(after-before)/float64(o.jobs))
	return nil
}

func rate(n int, since time.Time) float64 { return float64(n) / time.Since(since).Seconds() }

func last(list []float64) float64 { return list[len(list)-1] }

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

func report(entries []entry, results map[string]*result) {
	fmt.Println("| | drain, jobs/s | dispatch one by one, /s | dispatch many, /s | WAL, bytes/job |")
	fmt.Println("|---|---|---|---|---|")
	for _, e := range entries {
		if r := results[e.name]; r != nil {
			fmt.Printf("| %s | %.0f | %.0f | %.0f | %.0f |\n", e.name, median(r.drain), median(r.insert), median(r.many), median(r.wal))
		}
	}
	nawasync, river, gorm := results["nawasync"], results["River"], results["asynq and one gorm write per transition"]
	if nawasync == nil || river == nil || gorm == nil {
		return
	}
	fmt.Println()
	fmt.Println("| Ratio | Measured | Target |")
	fmt.Println("|---|---|---|")
	for _, row := range []struct {
		name, target string
		value        float64
	}{
		{"drain / River", "≥ 0.5", median(nawasync.drain) / median(river.drain)},
		{"drain / asynq and one gorm write per transition", "≥ 3", median(nawasync.drain) / median(gorm.drain)},
		{"dispatch one by one / River's Insert", "≥ 0.8", median(nawasync.insert) / median(river.insert)},
		{"WAL per job / River", "≤ 1.1", median(nawasync.wal) / median(river.wal)},
	} {
		fmt.Printf("| %s | %.2f | %s |\n", row.name, row.value, row.target)
	}
}
