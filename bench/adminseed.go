package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync/migrations"
)

// seedColumns are what a seeded job has; the others are NULL.
var seedColumns = []string{
	"target_key", "lane", "open_lane", "running_lane", "wake_at", "not_before", "due_at", "created_at", "updated_at", "started_at", "deadline_at", "finished_at",
	"duration_ms",
	"epoch", "ring", "attempt", "max_attempts", "wrote", "status", "service", "type", "action", "instance", "target_id", "queue", "triggered_by", "trigger_source",
	"worker",
	"error_class", "payload", "error",
}

// seedHistory is how far back the seeded jobs go.
const seedHistory = 90 * 24 * time.Hour

// seeded is job i of n: mostly successes of one large service, some of each other
// ending, and a few open ones at the end. The same every time.
func seeded(i, n int, now time.Time) []any {
	random := rand.New(rand.NewPCG(uint64(i), 7))
	share := random.Float64()
	service, typ, action := "whm", "email_account", []string{"update_quota", "create", "update_password", "sync_emails"}[random.IntN(4)]
	switch {
	case share > 0.999:
		service, typ, action = "rare", "thing", "update"
	case share > 0.85:
		service, typ, action = "keycloak", "user", "update"
	case share > 0.6:
		service, typ, action = "cloudflare", "dns_record", "update"
	}
	status, class, text := "success", any(nil), any(nil)
	target := fmt.Sprintf("box-%d@site%d.example", random.IntN(200_000), random.IntN(40))
	switch fate := random.Float64(); {
	case i >= n-20:
		status = "running"
	case i >= n-2000:
		status = "queued"
	case fate < 0.03:
		status, class = "failed", "transient"
		text = []string{"quota exceeded for %s", "503 Service Unavailable (request %s)", "dial tcp: lookup %s: no such host"}[random.IntN(3)]
		text = fmt.Sprintf(text.(string), target)
	case fate < 0.035:
		status, class, text = "conflict", "conflict", "somebody else has changed quota at the remote; nothing was written"
	case fate < 0.06:
		status, class, text = "skipped", "skipped", "nothing to do"
	case fate < 0.07:
		status, class, text = "cancelled", "cancelled", "cancelled while it was queued"
	}
	created := now.Add(-seedHistory + time.Duration(float64(seedHistory)*float64(i)/float64(n))).UnixMicro()
	sum := sha256.Sum256([]byte(strings.Join([]string{"target", service, typ, "main", target}, "\x00")))
	key := int64(binary.BigEndian.Uint64(sum[:8]))
	var openLane, runningLane, wake, started, deadline, finished, duration, worker any
	open := status == "queued" || status == "running"
	if open {
		openLane = key
		if status == "running" {
			runningLane, deadline = int64(i)+1, now.Add(time.Hour).UnixMicro() // a lane each
		} else {
			wake = created
		}
	} else {
		finished = created + 200_000
	}
	if status != "queued" {
		started, duration, worker = created+50_000, int64(random.IntN(3000)), "host-1-ABCDEFGH"
	}
	return []any{
		key, key, openLane, runningLane, wake, created, created, created, created, started, deadline, finished, duration,
		int64(0), int64(1), int64(1), int64(3), false, status, service, typ, action, "main", target, "default", fmt.Sprintf("user:%d", random.IntN(50)), "manual",
		worker,
		class, fmt.Sprintf(`{"email":%q,"password":"***","quota":%d}`, target, random.IntN(1000)), text,
	}
}

// seedPostgres fills an empty database with n jobs and their statistics.
func seedPostgres(ctx context.Context, db *gorm.DB, url string, n int, now time.Time) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	// Without the lists' indexes, which are made again as the migrations made them.
	rows, err := conn.Query(ctx, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'nawasync_jobs' AND indexname <> 'nawasync_jobs_pkey'")
	if err != nil {
		return err
	}
	var again []string
	defs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Def string }])
	if err != nil {
		return err
	}
	for _, def := range defs {
		if _, err := conn.Exec(ctx, "DROP INDEX "+def.Name); err != nil {
			return err
		}
		again = append(again, def.Def)
	}
	i := 0
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"nawasync_jobs"}, seedColumns, pgx.CopyFromFunc(func() ([]any, error) {
		if i == n {
			return nil, nil
		}
		i++
		return seeded(i-1, n, now), nil
	})); err != nil {
		return fmt.Errorf("copy the jobs: %w", err)
	}
	for _, statement := range again {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := seedStats(db, now); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "VACUUM ANALYZE")
	return err
}

// seedSQLite is seedPostgres for a file.
func seedSQLite(db *gorm.DB, n int, now time.Time) error {
	const batch = 500
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", len(seedColumns)), ",") + ")"
	for from := 0; from < n; from += 50_000 {
		err := db.Transaction(func(tx *gorm.DB) error {
			for at := from; at < min(from+50_000, n); at += batch {
				var args []any
				size := min(batch, n-at)
				for i := range size {
					args = append(args, seeded(at+i, n, now)...)
				}
				if err := tx.Exec("INSERT INTO nawasync_jobs ("+strings.Join(seedColumns, ",")+") VALUES "+strings.TrimSuffix(strings.Repeat(one+",", size), ","),
					args...).Error; err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(seedStats(db, now), db.Exec("ANALYZE").Error)
}

// seedStats makes the statistics of the seeded jobs, as the folder would have: minutes
// for two days, hours for a month, days for all.
func seedStats(db *gorm.DB, now time.Time) error {
	for _, p := range []struct {
		name   string
		length time.Duration
		since  time.Duration
	}{{"minute", time.Minute, 48 * time.Hour}, {"hour", time.Hour, 31 * 24 * time.Hour}, {"day", 24 * time.Hour, seedHistory}} {
		us := p.length.Microseconds()
		err := db.Exec(fmt.Sprintf(`INSERT INTO nawasync_stats (period, bucket, service, type, action, instance, outcome, jobs, waits, runs)
 SELECT '%s', (finished_at / %d) * %[2]d, service, type, action, instance, status, COUNT(*), '23:' || COUNT(*), '30:' || COUNT(*) FROM nawasync_jobs
 WHERE finished_at IS NOT NULL AND finished_at >= %[3]d GROUP BY 2, 3, 4, 5, 6, 7`, p.name, us, now.Add(-p.since).UnixMicro())).Error
		if err != nil {
			return err
		}
	}
	return db.Exec(`INSERT INTO nawasync_last_success (service, type, action, instance, job_id, finished_at)
 SELECT service, type, action, instance, MAX(id), MAX(finished_at) FROM nawasync_jobs WHERE status = 'success' GROUP BY service, type, action, instance`).Error
}

// prepared reports whether a database has its jobs already.
func prepared(ctx context.Context, db *gorm.DB) (bool, error) {
	if err := migrations.Up(ctx, db); err != nil {
		return false, err
	}
	var n int64
	err := db.Raw("SELECT COUNT(*) FROM (SELECT 1 FROM nawasync_jobs LIMIT 1) j").Row().Scan(&n)
	return n > 0, err
}
