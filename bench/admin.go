package main

import (
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
)

// everyone may view.
type everyone struct{}

func (everyone) Enforce(...any) (bool, error) { return true, nil }

// adminBench measures the operators' pages on many jobs: in PostgreSQL, or in a SQLite
// file. A database that is named is seeded once and kept.
func adminBench(ctx context.Context, adminURL, keep, file string, rows, rounds int) error {
	quiet := &gorm.Config{Logger: logger.Discard}
	now := time.Now().UTC().Truncate(time.Microsecond)
	var db *gorm.DB
	var err error
	seed := func() error { return seedSQLite(db, rows, now) }
	if file != "" {
		db, err = gorm.Open(sqlite.Open("file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_txlock=immediate"), quiet)
	} else {
		if keep == "" {
			fresh, drop, err := freshDatabase(ctx, adminURL)
			if err != nil {
				return err
			}
			defer drop()
			keep = fresh.url
		}
		db, err = gorm.Open(postgres.Open(keep), quiet)
		seed = func() error { return seedPostgres(ctx, db, keep, rows, now) }
	}
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	there, err := prepared(ctx, db)
	if err == nil && !there {
		begun := time.Now()
		err = seed()
		fmt.Fprintf(os.Stderr, "seeded %d jobs in %s\n", rows, time.Since(begun).Round(time.Second))
	}
	if err != nil {
		return err
	}
	quietLog := slog.New(slog.NewTextHandler(io.Discard, nil))
	engine, err := nawasync.New(nawasync.Config{DB: db, Logger: quietLog})
	if err != nil {
		return err
	}
	handler, err := admin.New(engine, admin.Config{Subject: func(*http.Request) string { return "bench" }, Enforcer: everyone{}, Logger: quietLog})
	if err != nil {
		return err
	}
	return measurePages(handler, rows, rounds, file != "")
}

// pageOf is what is measured, and its limit.
type pageOf struct {
	name  string
	limit time.Duration
	paths []string
}

func measurePages(handler http.Handler, rows, rounds int, small bool) error {
	q := func(terms string) string { return "/jobs?q=" + url.QueryEscape(terms) }
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
	list := 100 * time.Millisecond
	if small {
		list = 150 * time.Millisecond
	}
	last := fmt.Sprintf("/jobs/%d", rows-3000)
	pages := []pageOf{
		{"jobs, all", list, []string{"/jobs"}},
		{"jobs, each tab", list, tabs},
		{"jobs, each tab in each window", list, windows},
		{"jobs, a quarter and half way down", list, deep},
		{"jobs, by service", list, []string{q("service:whm"), q("service:rare"), q("service:rare status:failed")}},
		{"jobs, by target", list, []string{q("target:box-4711@site7.example"), q("target:nobody@nowhere.example")}},
		{"jobs, by id", list, []string{q(fmt.Sprintf("id:%d", rows/2))}},
		{"jobs, by when they ended", list, []string{
			q("ended:1h"), q("ended:24h"), q("ended:30d"), q("status:failed ended:24h"),
			q("status:failed service:whm ended:7d"), q("service:whm ended:24h"),
		}},
		{"jobs, needs me", list, []string{q("status:conflict,failed -is:repaired")}},
		{"jobs, stuck", list, []string{q("is:stuck")}},
		{"jobs, by error, many", time.Second, []string{q(`error:"quota exceeded"`)}},
		{"jobs, by person and text that nobody has", 1500 * time.Millisecond, []string{q("by:nobody"), q(`error:"no such text"`), q("zzz-nothing")}},
		{"health, 15 minutes and an hour", 50 * time.Millisecond, []string{"/health?window=15m", "/health?window=1h"}},
		{"health, a day", 50 * time.Millisecond, []string{"/health"}},
		{"health, 7 days", 50 * time.Millisecond, []string{"/health?window=7d"}},
		{"health, 30 days", 50 * time.Millisecond, []string{"/health?window=30d"}},
		{"a job", 30 * time.Millisecond, []string{last, fmt.Sprintf("/jobs/%d", rows/2), fmt.Sprintf("/jobs/%d", rows-100)}},
		{"a service", list, []string{"/services/whm"}},
		{"a target", list, []string{"/target?service=whm&type=email_account&instance=main&id=box-4711@site7.example"}},
	}
	fmt.Printf("| page, %d jobs | p50 | p95 | to reach |\n|---|---|---|---|\n", rows)
	for _, page := range pages {
		var took []time.Duration
		for round := range max(2, rounds) + 1 {
			for _, path := range page.paths {
				request := httptest.NewRequest(http.MethodGet, path, nil)
				answer := httptest.NewRecorder()
				begun := time.Now()
				handler.ServeHTTP(answer, request)
				if round > 0 { // the first reads from the disk
					took = append(took, time.Since(begun))
				}
				if answer.Code != http.StatusOK {
					return fmt.Errorf("%s answers %d: %s", path, answer.Code, strings.TrimSpace(answer.Body.String()))
				}
			}
		}
		slices.Sort(took)
		at := func(share float64) time.Duration {
			return took[int(float64(len(took)-1)*share)].Round(100 * time.Microsecond)
		}
		fmt.Printf("| %s | %s | %s | %s |\n", page.name, at(0.5), at(0.95), page.limit)
	}
	return nil
}
