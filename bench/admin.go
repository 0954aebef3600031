package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/signature"
)

const sqliteOptions = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_txlock=immediate"

// everyone is an enforcer that permits everything.
type everyone struct{}

func (everyone) Enforce(...any) (bool, error) { return true, nil }

// adminBench measures the operators' pages with many jobs, in PostgreSQL or in an SQLite file. A
// database that the flags name is seeded once and kept.
func adminBench(ctx context.Context, o options) error {
	rows, now := cmp.Or(o.rows, 5_000_000), time.Now().UTC().Truncate(time.Microsecond)
	quiet := &gorm.Config{Logger: logger.Discard}
	var db *gorm.DB
	var err error
	var seed func() error
	if o.file != "" {
		db, err = gorm.Open(sqlite.Open("file:"+o.file+sqliteOptions), quiet)
		seed = func() error { return seedSQLite(db, rows, now) }
	} else {
		target := o.keep
		if target == "" {
			created, drop, err := newDatabase(ctx, o.postgres)
			if err != nil {
				return err
			}
			defer drop()
			target = created.url
		}
		o.postgres = target // the server that the report describes
		db, err = gorm.Open(postgres.Open(target), quiet)
		seed = func() error { return seedPostgres(ctx, db, target, rows, now) }
	}
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	if err := seedOnce(ctx, db, rows, seed); err != nil {
		return err
	}
	quietLog := slog.New(slog.NewTextHandler(io.Discard, nil))
	engine, err := nawasync.New(nawasync.Config{DB: db, Logger: quietLog})
	if err != nil {
		return err
	}
	handler, err := admin.New(engine, admin.Config{Subject: func(r *http.Request) string { return r.Header.Get("X-Subject") }, Enforcer: everyone{}, Logger: quietLog})
	if err != nil {
		return err
	}
	run := &adminRun{table: table{name: "admin", header: []string{fmt.Sprintf("Page, %d jobs", rows), "p50, ms", "p95, ms", "Target, ms"}}}
	if err := run.measurePages(handler, pagesToMeasure(rows, o.file != ""), o.rounds); err != nil {
		return err
	}
	return run.report(ctx, db, o, rows)
}

// adminRun is a run of the benchmark of the pages.
type adminRun struct {
	measurements

	table table
}

func (a *adminRun) report(ctx context.Context, db *gorm.DB, o options, rows int) error {
	r := &report{
		section: "admin", Environment: newEnvironment(), Figures: a.figures,
		Parameters: map[string]any{"rounds": max(2, o.rounds), "jobs": rows},
	}
	if o.file != "" {
		r.section, a.table.name = "admin-sqlite", "admin-sqlite"
		var version string
		if err := db.WithContext(ctx).Raw("SELECT sqlite_version()").Row().Scan(&version); err != nil {
			return err
		}
		r.Environment.Versions["SQLite"] = version
	} else if err := r.Environment.addPostgres(ctx, o.postgres); err != nil {
		return err
	}
	r.tables = []table{a.table}
	return r.emit(o)
}

// seedOnce migrates a database, and seeds it unless it has jobs already.
func seedOnce(ctx context.Context, db *gorm.DB, rows int, seed func() error) error {
	seeded, err := migrate(ctx, db)
	if err != nil || seeded {
		return err
	}
	begin := time.Now()
	err = seed()
	fmt.Fprintf(os.Stderr, "seeded %d jobs in %s\n", rows, time.Since(begin).Round(time.Second))
	return err
}

// pageBenchmark is one line of the report: some requests and the time that each may take.
type pageBenchmark struct {
	name  string
	limit time.Duration
	paths []string
}

// pagesToMeasure returns the pages. Lists have a higher time limit in SQLite.
func pagesToMeasure(rows int, inSQLite bool) []pageBenchmark {
	q := func(terms string) string { return "/jobs?q=" + url.QueryEscape(terms) }
	quota := "group:" + signature.ID(signature.Of("transient", "quota exceeded for …").Hash)
	var tabs, windows, deep []string
	for _, status := range []string{"queued", "running", "success", "failed", "conflict", "skipped", "cancelled"} {
		tabs = append(tabs, q("status:"+status))
		for _, window := range []string{"15m", "24h", "30d"} {
			windows = append(windows, q("status:"+status+" since:"+window))
		}
	}
	for _, part := range []int{4, 2} {
		deep = append(deep, fmt.Sprintf("/jobs?before=%d", rows/part), fmt.Sprintf("%s&before=%d", q("status:failed"), rows/part))
	}
	list, overview := 100*time.Millisecond, 60*time.Millisecond
	if inSQLite {
		list, overview = 150*time.Millisecond, 150*time.Millisecond
	}
	return []pageBenchmark{
		{"jobs, all", list, []string{"/jobs"}},
		{"jobs, each tab", list, tabs},
		{"jobs, each tab in each window", list, windows},
		{"jobs, a quarter and half of the way down", list, deep},
		{"jobs, by service", list, []string{q("service:whm"), q("service:rare"), q("service:rare status:failed")}},
		{"jobs, by object", list, []string{q("target:box-4711@site7.example"), q("target:nobody@nowhere.example")}},
		{"jobs, by id", list, []string{q(fmt.Sprintf("id:%d", rows/2))}},
		{"jobs, by end time", list, []string{
			q("ended:1h"), q("ended:24h"), q("ended:30d"), q("status:failed ended:24h"),
			q("status:failed service:whm ended:7d"), q("service:whm ended:24h"),
		}},
		{"jobs, by error group", list, []string{q(quota + " ended:1h"), q(quota + " ended:24h"), q(quota + " ended:30d"), q(quota)}},
		{"jobs, unresolved", list, []string{q("status:conflict,failed -is:repaired -is:retried")}},
		{"jobs, stuck", list, []string{q("is:stuck")}},
		{"jobs, by a frequent error", time.Second, []string{q(`error:"quota exceeded"`)}},
		{"jobs, by user and text without a match", list, []string{q("by:nobody"), q(`error:"no such text"`), q("zzz-nothing")}},
		{"overview, 15 minutes and an hour", overview, []string{"/?window=15m", "/?window=1h"}},
		{"overview, a day", overview, []string{"/"}},
		{"overview, 7 days", overview, []string{"/?window=7d"}},
		{"overview, 30 days", overview, []string{"/?window=30d"}},
		{"a job", 30 * time.Millisecond, []string{fmt.Sprintf("/jobs/%d", rows-3000), fmt.Sprintf("/jobs/%d", rows/2), fmt.Sprintf("/jobs/%d", rows-100)}},
		{"jobs grouped by error, object and service", list, []string{
			"/jobs?group=error", "/jobs?group=object", "/jobs?group=service", "/jobs?group=error&q=status:failed+service:whm",
		}},
		{"services, workers, bulk runs, audit log", list, []string{"/services", "/workers", "/bulk", "/audit"}},
		{"a suggestion while typing", list, []string{"/suggest.json?key=type&prefix=a", "/suggest.json?key=action"}},
		{"a service", list, []string{"/services/whm"}},
		{"an object", list, []string{"/target?service=whm&type=email_account&instance=main&id=box-4711@site7.example"}},
	}
}

// measurePages requests each page several times, and adds the median and the 95th percentile to
// the table.
func (a *adminRun) measurePages(handler http.Handler, pages []pageBenchmark, rounds int) error {
	for _, page := range pages {
		var took []time.Duration
		for round := range max(2, rounds) + 1 {
			for _, path := range page.paths {
				request := httptest.NewRequest(http.MethodGet, path, nil)
				// Each request is that of another subject. One subject would soon have used up its quota of searches.
				request.Header.Set("X-Subject", fmt.Sprint("bench:", path, round))
				response := httptest.NewRecorder()
				begin := time.Now()
				handler.ServeHTTP(response, request)
				if round > 0 { // the first round reads from the disk and does not count
					took = append(took, time.Since(begin))
				}
				if response.Code != http.StatusOK {
					return fmt.Errorf("get %s: status %d: %s", path, response.Code, strings.TrimSpace(response.Body.String()))
				}
			}
		}
		slices.Sort(took)
		p50, p95 := milliseconds(percentile(took, 0.5)), milliseconds(percentile(took, 0.95))
		a.add(page.name, "p50_ms", p50)
		a.add(page.name, "p95_ms", p95)
		a.table.rows = append(a.table.rows, []string{page.name, format(p50, 1), format(p95, 1), format(milliseconds(page.limit), 0)})
	}
	return nil
}
