package nawasync

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/migrations"
)

const sqliteDSN = "file:app.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_txlock=immediate"

// checkDatabase refuses a database on which promises could not be kept.
func checkDatabase(ctx context.Context, db *gorm.DB, logger *slog.Logger) error {
	if err := migrations.Check(ctx, db); err != nil {
		return err
	}
	if db.Name() != "sqlite" {
		return nil
	}
	session := db.Session(&gorm.Session{NewDB: true, Context: ctx})
	var mode string
	var wait int
	if err := session.Raw("PRAGMA journal_mode").Row().Scan(&mode); err != nil {
		return fmt.Errorf("nawasync: read SQLite's journal_mode: %w", err)
	}
	if err := session.Raw("PRAGMA busy_timeout").Row().Scan(&wait); err != nil {
		return fmt.Errorf("nawasync: read SQLite's busy_timeout: %w", err)
	}
	if !strings.EqualFold(mode, "wal") || wait <= 0 {
		return fmt.Errorf("nawasync: SQLite needs journal_mode=WAL and a busy_timeout (it has %s and %d ms), or readers and writers fail each other; open it with %s", mode, wait, sqliteDSN)
	}
	if !immediate(ctx, db) {
		logger.Warn("nawasync: SQLite transactions begin as readers and may fail when they write; add _txlock=immediate to the DSN", "dsn", sqliteDSN)
	}
	return nil
}

// immediate reports whether a transaction holds SQLite's write lock from its
// beginning: then nobody else can begin one. When that cannot be found out it
// says yes.
func immediate(ctx context.Context, db *gorm.DB) bool {
	pool, err := db.DB()
	if err != nil || pool.Stats().MaxOpenConnections == 1 {
		return true
	}
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return true
	}
	defer func() { _ = tx.Rollback() }()
	other, err := pool.Conn(ctx)
	if err != nil {
		return true
	}
	defer func() { _ = other.Close() }()
	var wait int
	if err := other.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&wait); err != nil {
		return true
	}
	if _, err := other.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return true
	}
	defer func() { _, _ = other.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", wait)) }()
	if _, err := other.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return true
	}
	_, _ = other.ExecContext(ctx, "ROLLBACK")
	return false
}

// newInstallation is a random prefix for this database's queues in Redis.
func newInstallation() string { return "nw" + strings.ToLower(rand.Text()[:8]) }

// clock is the system's clock with the database's offset, so that processes agree
// on what is due. With Config.Now there is no offset.
type clock struct {
	base   func() time.Time
	offset atomic.Int64
}

func (c *clock) Now() time.Time {
	if c.base != nil {
		return c.base()
	}
	return time.Now().Add(time.Duration(c.offset.Load()))
}

// minOffset is an offset that is left alone: less than what measuring it errs.
const minOffset = 50 * time.Millisecond

func (e *Engine) measureClock(ctx context.Context) error {
	if e.clock.base != nil {
		return nil
	}
	before := time.Now()
	remote, err := e.store.DatabaseTime(ctx)
	if err != nil || remote.IsZero() {
		return err
	}
	took := time.Since(before)
	offset := remote.Sub(before.Add(took / 2))
	if offset.Abs() < max(minOffset, took) {
		offset = 0
	}
	e.clock.offset.Store(int64(offset))
	return nil
}
