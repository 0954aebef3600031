// Command bench measures nawasync beside River, bare asynq, and asynq with one
// gorm write per transition, in one run, on the same PostgreSQL and Redis. Jobs do
// nothing; what counts is the durable terminal row.
//
//	go run . -postgres postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable -redis 127.0.0.1:6379
package main

import (
	"cmp"
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

// subject is one system under test. A fresh one is made for every round.
type subject interface {
	// Insert dispatches one job, as a request would.
	Insert(ctx context.Context, n int) error
	// InsertMany dispatches many at once.
	InsertMany(ctx context.Context, from, n int) error
	// Drain works every job that was dispatched, and returns when the last terminal
	// row is durable.
	Drain(ctx context.Context, n int) error
	Close()
}

type entry struct {
	name string
	open func(ctx context.Context, c config) (subject, error)
}

type config struct {
	postgres string // of a fresh database
	redis    string
	workers  int
}

// result holds one figure per round.
type result struct{ insert, many, drain, wal []float64 }

func main() {
	postgres := flag.String("postgres", "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable", "a PostgreSQL where databases may be created")
	redis := flag.String("redis", "127.0.0.1:6379", "a Redis; its database 15 is flushed")
	jobs := flag.Int("jobs", 20_000, "jobs to drain in each round")
	inserts := flag.Int("inserts", 3_000, "jobs to dispatch one by one in each round")
	rounds := flag.Int("rounds", 3, "rounds; the median counts")
	workers := flag.Int("workers", 50, "jobs at once")
	what := flag.String("what", "jobs", "jobs, reconcile (a full sync against other ways), million (a large table) or admin (the operators' pages)")
	keep := flag.String("database", "", "with -what admin: a PostgreSQL database to seed once and keep; default a fresh one")
	file := flag.String("sqlite", "", "with -what admin: a SQLite file to seed once and keep, in place of PostgreSQL")
	rows := flag.Int("rows", 0, "rows to sync, or jobs to show; default 200,000, a million, or 5 million")
	naive := flag.Int("naive", 20_000, "rows of the row-at-a-time way")
	only := flag.String("only", "", "names of subjects, separated by commas")
	profile := flag.String("cpuprofile", "", "write a CPU profile here")
	flag.Parse()
	if *profile != "" {
		file, err := os.Create(*profile)
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
	switch *what {
	case "reconcile":
		exit(reconcileBench(ctx, *postgres, *redis, cmp.Or(*rows, 200_000), *naive, *rounds))
		return
	case "million":
		exit(millionBench(ctx, *postgres, *redis, cmp.Or(*rows, 1_000_000)))
		return
	}
	if *what == "admin" {
		exit(adminBench(ctx, *postgres, *keep, *file, cmp.Or(*rows, 5_000_000), *rounds))
		return
	}
	entries := []entry{{"nawasync", openNawasync}, {"River", openRiver}, {"bare asynq", openAsynq}, {"asynq + gorm per transition", openGorm}}
	results := map[string]*result{}
	for round := range *rounds {
		for _, e := range entries {
			if *only != "" && !slices.Contains(strings.Split(*only, ","), e.name) {
				continue
			}
			if results[e.name] == nil {
				results[e.name] = &result{}
			}
			if err := measure(ctx, e, *postgres, *redis, *jobs, *inserts, *workers, results[e.name]); err != nil {
				log.Fatalf("%s, round %d: %v", e.name, round+1, err)
			}
			r := results[e.name]
			fmt.Fprintf(os.Stderr, "round %d %-28s insert %.0f/s many %.0f/s drain %.0f/s WAL %.0f B/job\n", round+1, e.name, last(r.insert), last(r.many),
				last(r.drain), last(r.wal))
		}
	}
	report(entries, results)
}

func exit(err error) {
	if err != nil {
		log.Print(err)
		pprof.StopCPUProfile()
		os.Exit(1)
	}
}

func measure(ctx context.Context, e entry, postgres, redisAddr string, jobs, inserts, workers int, r *result) error {
	db, drop, err := freshDatabase(ctx, postgres)
	if err != nil {
		return err
	}
	defer drop()
	if err := flush(ctx, redisAddr); err != nil {
		return err
	}
	s, err := e.open(ctx, config{postgres: db.url, redis: redisAddr, workers: workers})
	if err != nil {
		return err
	}
	defer s.Close()
	begun := time.Now()
	for i := range inserts {
		if err := s.Insert(ctx, i); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
	}
	r.insert = append(r.insert, rate(inserts, begun))
	if err := s.Drain(ctx, inserts); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	// A checkpoint before, so that every subject pays for full pages alike.
	before, err := db.wal(ctx)
	if err != nil {
		return err
	}
	begun = time.Now()
	if err := s.InsertMany(ctx, inserts, jobs); err != nil {
		return fmt.Errorf("insert many: %w", err)
	}
	r.many = append(r.many, rate(jobs, begun))
	begun = time.Now()
	if err := s.Drain(ctx, inserts+jobs); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	r.drain = append(r.drain, rate(jobs, begun))
	after, err := db.walEnd(ctx)
	if err != nil {
		return err
	}
	r.wal = append(r.wal, float64(after-before)/float64(jobs))
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
	ours, river, gorm := results["nawasync"], results["River"], results["asynq + gorm per transition"]
	if ours == nil || river == nil || gorm == nil {
		return
	}
	fmt.Println()
	fmt.Println("| ratio | measured | to reach |")
	fmt.Println("|---|---|---|")
	for _, row := range []struct {
		name, want string
		value      float64
	}{
		{"drain, of River", "≥ 0.5", median(ours.drain) / median(river.drain)},
		{"drain, of one gorm write per transition", "≥ 3", median(ours.drain) / median(gorm.drain)},
		{"dispatch one by one, of River's Insert", "≥ 0.8", median(ours.insert) / median(river.insert)},
		{"WAL per job, of River", "≤ 1.1", median(ours.wal) / median(river.wal)},
	} {
		fmt.Printf("| %s | %.2f | %s |\n", row.name, row.value, row.want)
	}
}
