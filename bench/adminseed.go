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

	"github.com/nawasara/nawasync/internal/signature"
	"github.com/nawasara/nawasync/migrations"
)

// seedColumns lists the columns that a seeded job sets; the others stay NULL.
var seedColumns = []string{
	"target_key", "lane", "open_lane", "running_lane", "wake_at", "not_before", "due_at", "created_at", "updated_at", "started_at", "deadline_at", "finished_at",
	"duration_ms",
	"epoch", "in_lane", "attempt", "max_attempts", "wrote", "status", "service", "type", "action", "instance", "target_id", "queue", "triggered_by", "trigger_source",
	"worker",
	"error_class", "payload", "error", "error_signature",
}

// seedHistory is the age of the oldest seeded job.
const seedHistory = 90 * 24 * time.Hour

// seededJob returns the values of seedColumns for job i of n. Most jobs are successes of one
// large service, some have another status, and the last ones are unfinished. The jobs are the
// same in every run.
func seededJob(i, n int, now time.Time) []any {
	random := rand.New(rand.NewPCG(uint64(i), 7))
	service, typ, action := seededKind(random)
	target := fmt.Sprintf("box-%d@site%d.example", random.IntN(200_000), random.IntN(40))
	status, class, text := seededOutcome(random, i, n, target)
	created := now.Add(-seedHistory + time.Duration(float64(seedHistory)*float64(i)/float64(n))).UnixMicro()
	sum := sha256.Sum256([]byte(strings.Join([]string{"target", service, typ, "main", target}, "\x00")))
	key := int64(binary.BigEndian.Uint64(sum[:8]))
	var openLane, runningLane, wake, started, deadline, finished, duration, worker any
	switch status {
	case "queued":
		openLane, wake = key, created
	case "running":
		openLane, runningLane, deadline = key, int64(i)+1, now.Add(time.Hour).UnixMicro() // each running job needs its own lane
	default:
		finished = created + 200_000
	}
	if status != "queued" {
		started, duration, worker = created+50_000, int64(random.IntN(3000)), "host-1-ABCDEFGH"
	}
	var errorGroup any
	if status == "failed" || status == "conflict" {
		errorGroup = signature.Of(fmt.Sprint(class), fmt.Sprint(text), target, "main").Hash
	}
	return []any{
		key, key, openLane, runningLane, wake, created, created, created, created, started, deadline, finished, duration,
		int64(0), openLane != nil, int64(1), int64(3), false, status, service, typ, action, "main", target, "default", fmt.Sprintf("user:%d", random.IntN(50)), "manual",
		worker,
		class, fmt.Sprintf(`{"email":%q,"password":"***","quota":%d}`, target, random.IntN(1000)), text, errorGroup,
	}
}

func seededKind(random *rand.Rand) (service, typ, action string) {
	share := random.Float64()
	action = []string{"update_quota", "create", "update_password", "sync_emails"}[random.IntN(4)]
	switch {
	case share > 0.999:
		return "rare", "thing", "update"
	case share > 0.85:
		return "keycloak", "user", "update"
	case share > 0.6:
		return "cloudflare", "dns_record", "update"
	}
	return "whm", "email_account", action
}

// seededOutcome returns the status, the error class and the error text of job i of n. The last two
// are nil for a job without an error.
func seededOutcome(random *rand.Rand, i, n int, target string) (status string, class, text any) {
	switch share := random.Float64(); {
	case i >= n-20:
		return "running", nil, nil
	case i >= n-2000:
		return "queued", nil, nil
	case share < 0.03:
		format := []string{"quota exceeded for %s", "503 Service Unavailable (request %s)", "dial tcp: lookup %s: no such host"}[random.IntN(3)]
		return "failed", "transient", fmt.Sprintf(format, target)
	case share < 0.035:
		return "conflict", "conflict", "quota changed on the remote after the user read the object; nothing was written"
	case share < 0.06:
		return "skipped", "skipped", "nothing to do"
	case share < 0.07:
		return "cancelled", "cancelled", "cancelled while it was queued"
	}
	return "success", nil, nil
}

// seedPostgres fills an empty database with n jobs and their statistics.
func seedPostgres(ctx context.Context, db *gorm.DB, url string, n int, now time.Time) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	definitions, err := dropIndexes(ctx, conn)
	if err != nil {
		return err
	}
	i := 0
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"nawasync_jobs"}, seedColumns, pgx.CopyFromFunc(func() ([]any, error) {
		if i == n {
			return nil, nil
		}
		i++
		return seededJob(i-1, n, now), nil
	})); err != nil {
		return fmt.Errorf("copy the jobs: %w", err)
	}
	for _, definition := range definitions {
		if _, err := conn.Exec(ctx, definition); err != nil {
			return err
		}
	}
	if err := seedStats(db, now); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "VACUUM ANALYZE")
	return err
}

// dropIndexes drops all indexes of the jobs except the primary key, to speed up the seeding. It
// returns the statements that create them again.
func dropIndexes(ctx context.Context, conn *pgx.Conn) (definitions []string, err error) {
	rows, err := conn.Query(ctx, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'nawasync_jobs' AND indexname <> 'nawasync_jobs_pkey'")
	if err != nil {
		return nil, err
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Definition string }])
	if err != nil {
		return nil, err
	}
	for _, index := range indexes {
		if _, err := conn.Exec(ctx, "DROP INDEX "+index.Name); err != nil {
			return nil, err
		}
		definitions = append(definitions, index.Definition)
	}
	return definitions, nil
}

// seedSQLite fills an empty SQLite database with n jobs and their statistics.
func seedSQLite(db *gorm.DB, n int, now time.Time) error {
	const batch = 500
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(seedColumns)), ",") + ")"
	for from := 0; from < n; from += 50_000 {
		err := db.Transaction(func(tx *gorm.DB) error {
			for at := from; at < min(from+50_000, n); at += batch {
				var args []any
				size := min(batch, n-at)
				for i := range size {
					args = append(args, seededJob(at+i, n, now)...)
				}
				if err := tx.Exec("INSERT INTO nawasync_jobs ("+strings.Join(seedColumns, ",")+") VALUES "+strings.TrimSuffix(strings.Repeat(row+",", size), ","),
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

// seedStats adds the statistics that the rollup would have written for the seeded jobs: minutes for
// two days, hours for a month, days for the whole history.
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
		if err := db.Exec(fmt.Sprintf(`INSERT INTO nawasync_error_stats (period, bucket, service, instance, signature, jobs, last_job, first_at, last_at)
 SELECT '%s', (finished_at / %d) * %[2]d, service, instance, error_signature, COUNT(*), MAX(id), MIN(finished_at), MAX(finished_at) FROM nawasync_jobs
 WHERE error_signature IS NOT NULL AND finished_at >= %[3]d GROUP BY 2, 3, 4, 5`, p.name, us, now.Add(-p.since).UnixMicro())).Error; err != nil {
			return err
		}
	}
	if err := seedErrorTexts(db); err != nil {
		return err
	}
	return db.Exec(`INSERT INTO nawasync_last_success (service, type, action, instance, job_id, finished_at)
 SELECT service, type, action, instance, MAX(id), MAX(finished_at) FROM nawasync_jobs WHERE status = 'success' GROUP BY service, type, action, instance`).Error
}

// seedErrorTexts adds the texts of the error groups of the seeded jobs.
func seedErrorTexts(db *gorm.DB) error {
	var groups []struct {
		First, Last, At, Until int64
		Class, Text            string
	}
	if err := db.Raw(`SELECT g.first, g.last, g.at, g.until, j.error_class AS class, j.error AS text FROM
 (SELECT MIN(id) AS first, MAX(id) AS last, MIN(finished_at) AS at, MAX(finished_at) AS until FROM nawasync_jobs WHERE error_signature IS NOT NULL GROUP BY error_signature) g
 JOIN nawasync_jobs j ON j.id = g.last`).Scan(&groups).Error; err != nil {
		return err
	}
	for _, g := range groups {
		if err := db.Exec(`INSERT INTO nawasync_errors (signature, class, text, first_at, last_at) SELECT error_signature, ?, ?, ?, ? FROM nawasync_jobs WHERE id = ?`,
			g.Class, signature.Normalise(g.Text), g.At, g.Until, g.Last).Error; err != nil {
			return err
		}
	}
	return nil
}

// migrate migrates a database, and reports whether it has jobs already.
func migrate(ctx context.Context, db *gorm.DB) (seeded bool, err error) {
	if err := migrations.Up(ctx, db); err != nil {
		return false, err
	}
	var n int64
	err = db.Raw("SELECT COUNT(*) FROM (SELECT 1 FROM nawasync_jobs LIMIT 1) j").Row().Scan(&n)
	return n > 0, err
}
