// Command faults runs workers, a host and a simulated remote in child processes, breaks what they
// depend on, and then checks the database and the remote. It starts its own database and Redis
// servers, and needs Linux and the servers' programs. docs/reliability.md describes it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
)

// options are the command's flags.
type options struct {
	seed      uint64
	dur       time.Duration // how long faults are injected, for each database
	drain     time.Duration // how long the jobs may take to finish after the last fault
	databases []string
	workers   int
	rate      float64 // dispatches a second
	dir       string
	only      []string // kinds of faults; empty means all
	verbose   bool
}

func main() {
	if spec, ok := os.LookupEnv(childVariable); ok {
		if err := runChild(spec); err != nil {
			log.Fatal(err)
		}
		return
	}
	quietDrivers()
	o, planOnly, err := parseFlags()
	if err == nil {
		if planOnly {
			printSchedule(os.Stdout, makeSchedule(o))
			return
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = runAll(ctx, o)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// quietDrivers drops what the drivers log about connections that the faults have broken. Children
// log it to their files.
func quietDrivers() {
	redis.SetLogger(discard{})
	_ = mysql.SetLogger(log.New(io.Discard, "", 0)) // fails only for nil
}

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

func parseFlags() (o options, planOnly bool, err error) {
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the schedule of faults and of the workload")
	flag.DurationVar(&o.dur, "dur", 5*time.Minute, "how long to inject faults, for each database")
	flag.DurationVar(&o.drain, "drain", 3*time.Minute, "how long the jobs may take to finish after the last fault")
	databases := flag.String("db", "postgres,mysql", "the databases to run, separated by commas; mysql runs MariaDB")
	flag.IntVar(&o.workers, "workers", 4, "number of worker processes")
	flag.Float64Var(&o.rate, "rate", 30, "jobs that the host dispatches a second")
	flag.StringVar(&o.dir, "dir", "", "folder that keeps the logs of all processes; the default is a temporary folder, kept after violations")
	only := flag.String("only", "", "inject only these kinds of faults, separated by commas; -plan lists the kinds of a run")
	plan := flag.Bool("plan", false, "print the schedule and exit")
	flag.BoolVar(&o.verbose, "v", false, "print each fault when it is injected")
	flag.Parse()
	o.databases = strings.Split(*databases, ",")
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, db := range o.databases {
		if db != "postgres" && db != "mysql" {
			return o, false, fmt.Errorf("unknown database %q; use postgres, mysql or both", db)
		}
	}
	for _, kind := range o.only {
		if _, ok := faultWeights[faultKind(kind)]; !ok {
			return o, false, fmt.Errorf("unknown kind of fault %q; -plan lists the kinds", kind)
		}
	}
	if o.workers < 2 || o.rate <= 0 || o.dur <= 0 || flag.NArg() > 0 {
		return o, false, errors.New("-workers must be at least 2, -rate and -dur positive, and there are no arguments besides flags")
	}
	return o, *plan, nil
}

// runAll runs the schedule on all databases at the same time.
func runAll(ctx context.Context, o options) error {
	results, errs := make([]*result, len(o.databases)), make([]error, len(o.databases))
	var wg sync.WaitGroup
	for i, db := range o.databases {
		wg.Go(func() { results[i], errs[i] = runOne(ctx, o, db) })
	}
	wg.Wait()
	for i, r := range results {
		if r == nil {
			continue
		}
		fmt.Print(r.markdown())
		if len(r.violations) > 0 {
			errs[i] = fmt.Errorf("%s: the checks found violations; the logs of the processes are in %s", o.databases[i], r.dir)
		}
	}
	return errors.Join(errs...)
}

// runOne runs the schedule on one database. It keeps the logs only if something is wrong or the
// user has named a folder.
func runOne(ctx context.Context, o options, db string) (*result, error) {
	dir, err := logFolder(o.dir, db)
	if err != nil {
		return nil, err
	}
	keep := o.dir != ""
	o.dir = dir
	r, err := run(ctx, o, db)
	switch {
	case ctx.Err() != nil && !keep:
		return nil, errors.Join(ctx.Err(), removeFolder(dir))
	case err != nil:
		return nil, fmt.Errorf("%s: %w; the logs are in %s", db, err, dir)
	case len(r.violations) == 0 && !keep:
		return r, removeFolder(dir)
	}
	return r, nil
}

// removeFolder tries again for a while: PostgreSQL's processes end a moment after the server.
func removeFolder(dir string) (err error) {
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// logFolder creates the folder of one run. The servers run as another user, who must be able to
// enter it.
func logFolder(parent, db string) (string, error) {
	if parent != "" {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(parent, "nawasync-faults-"+db+"-")
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}
