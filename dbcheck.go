package nawasync

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/interrupt"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/migrations"
)

// sqliteDSN is the DSN that messages recommend.
const sqliteDSN = "file:app.db" + sqlkit.SQLiteOptions

// checkDatabase returns an error if the schema is missing or old, or if SQLite's settings do
// not let readers and writers work at the same time.
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
		return fmt.Errorf("read SQLite's journal_mode: %w", err)
	}
	if err := session.Raw("PRAGMA busy_timeout").Row().Scan(&wait); err != nil {
		return fmt.Errorf("read SQLite's busy_timeout: %w", err)
	}
	if !strings.EqualFold(mode, "wal") || wait <= 0 {
		return fmt.Errorf("SQLite needs journal_mode=WAL and a busy_timeout (it has %s and %d ms); without them readers and writers block each other; open it with %s",
			mode, wait, sqliteDSN)
	}
	if !locksOnBegin(ctx, db) {
		logger.Warn("SQLite transactions begin without the write lock and may fail when they write; add _txlock=immediate to the DSN", "dsn", sqliteDSN)
	}
	return checkInterrupt(ctx, db, logger)
}

// checkInterrupt logs whether SQLite's driver lets statements run whose context has ended.
func checkInterrupt(ctx context.Context, db *gorm.DB, logger *slog.Logger) error {
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("check SQLite's driver: %w", err)
	}
	supported, err := interrupt.Supported(ctx, pool)
	if err != nil {
		return fmt.Errorf("check SQLite's driver: %w", err)
	}
	if !supported {
		logger.Info("SQLite's driver does not stop a statement when its context ends; searches read few jobs at a time, but any other slow query runs to its end")
	}
	return nil
}

// locksOnBegin reports whether a transaction takes SQLite's write lock when it begins. It
// begins a transaction and tries to begin a writing one on another connection: the second one
// fails if the first one holds the lock. locksOnBegin returns true if the pool has only one
// connection, or if the check itself fails.
func locksOnBegin(ctx context.Context, db *gorm.DB) bool {
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

// minPool is the smallest pool with which an engine can work: one connection for the heartbeat and
// one for all else.
const minPool = 2

// checkPool returns an error if the pool of Config.DB is too small to work, and logs a warning if
// handlers that hold a connection each can use it up.
func (e *Engine) checkPool() error {
	pool, err := e.config.DB.DB()
	if err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	most := pool.Stats().MaxOpenConnections
	if most == 0 || e.config.DB.Name() == "sqlite" {
		return nil
	}
	if most < minPool {
		return fmt.Errorf("start the engine: the pool of Config.DB has at most %d connection; it needs %d or more: call SetMaxOpenConns, best with the number of slots and 2 more", most, minPool)
	}
	slots := 0
	for _, q := range e.config.Queues {
		slots += q.Slots
	}
	if most < slots+minPool {
		e.logger.Warn("handlers that hold a database connection each can use up the pool; set SetMaxOpenConns to the number of slots and 2 more, or use fewer slots",
			"max_open_connections", most, "slots", slots)
	}
	return nil
}
