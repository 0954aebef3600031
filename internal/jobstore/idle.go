package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// A process that freezes in a transaction, or whose machine is lost, keeps its row locks until the server ends
// the transaction. If PostgreSQL has no limit for that, the Store sets one for those transactions of its own that
// lock rows others need: it is longer than their deadline. It is a part of a statement that they make anyway
// where they are frequent. The transactions of the host keep the limit of the server, and MySQL and MariaDB have
// none for a single transaction.
const (
	ownIdleLimit = "60s"
	setIdleLimit = "set_config('idle_in_transaction_session_timeout', '" + ownIdleLimit + "', true)"
)

// IdleLimit returns after how long the server ends a transaction that nobody uses, or 0 if it never does. MySQL
// has no such limit: there it is the time after which the server closes a connection that nobody uses. SQLite has
// neither.
func (s *Store) IdleLimit(ctx context.Context) (limit time.Duration, err error) {
	var milliseconds sql.NullInt64
	switch {
	case s.dialect.Name == "postgres":
		err = s.background(ctx).Row("SELECT MIN(CAST(setting AS bigint)) FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout') AND setting <> '0'").
			Scan(&milliseconds)
	case s.mariaDB:
		err = s.background(ctx).Row("SELECT 1000 * LEAST(@@wait_timeout, COALESCE(NULLIF(@@idle_transaction_timeout, 0), @@wait_timeout)," +
			" COALESCE(NULLIF(@@idle_write_transaction_timeout, 0), @@wait_timeout))").Scan(&milliseconds)
	case s.dialect.Name == "mysql":
		err = s.background(ctx).Row("SELECT 1000 * @@wait_timeout").Scan(&milliseconds)
	}
	if err != nil {
		return 0, fmt.Errorf("read after how long the server ends a transaction that nobody uses: %w", err)
	}
	return time.Duration(milliseconds.Int64) * time.Millisecond, nil
}

// Server returns the name of the database system: PostgreSQL, MariaDB, MySQL or SQLite. Call Inspect before.
func (s *Store) Server() string {
	switch {
	case s.dialect.Name == "postgres":
		return "PostgreSQL"
	case s.mariaDB:
		return "MariaDB"
	case s.dialect.Name == "mysql":
		return "MySQL"
	}
	return "SQLite"
}

// idleLimited returns the beginning of a FROM list with which a statement limits how long the transaction may be
// idle from then on. It is for transactions of the Store only, not for those of the host.
func (s *Store) idleLimited() string {
	return sqlkit.Pick(s.limitsIdle, "(SELECT "+setIdleLimit+") idle CROSS JOIN ", "")
}

// LimitIdle limits how long a transaction may be idle, by a statement of its own. It is for transactions that are
// not frequent.
func (s *Store) LimitIdle(ctx context.Context, tx *gorm.DB) error {
	return s.limitIdle(sqlkit.Connect(ctx, tx))
}

func (s *Store) limitIdle(conn *sqlkit.Conn) error {
	if !s.limitsIdle {
		return nil
	}
	if err := conn.Exec("SELECT " + setIdleLimit).Error; err != nil {
		return fmt.Errorf("limit how long a transaction may be idle: %w", err)
	}
	return nil
}
