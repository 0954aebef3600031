package jobstore

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// TryLock makes holder the only process that does the named work until now+d. It reports
// false when another process holds the lock. The lock only saves work: two processes may safely
// do the same work at once.
func (s *Store) TryLock(ctx context.Context, name, holder string, d time.Duration) (bool, error) {
	if err := s.ensureLock(ctx, name); err != nil {
		return false, err
	}
	now := s.Now()
	var n int64
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("UPDATE nawasync_duties SET holder = ?, held_until = ? WHERE name = ? AND (holder = ? OR held_until < ?)",
			holder, now.Add(d).UnixMicro(), name, holder, now.UnixMicro())
		n = done.RowsAffected
		return done.Error
	})
	return n > 0, err
}

// ensureLock inserts the row of a lock if it does not exist.
func (s *Store) ensureLock(ctx context.Context, name string) error {
	var n int64
	if err := s.DB(ctx).Row("SELECT COUNT(*) FROM nawasync_duties WHERE name = ?", name).Scan(&n); err != nil || n > 0 {
		return err
	}
	return s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec(s.insertIgnore()+" nawasync_duties (name, holder, held_until) VALUES (?, '', 0)"+s.onConflict(), name).Error
	})
}

func (s *Store) insertIgnore() string {
	return sqlkit.Pick(s.dialect.Name == "mysql", "INSERT IGNORE INTO", "INSERT INTO")
}

func (s *Store) onConflict() string {
	return sqlkit.Pick(s.dialect.Name == "mysql", "", " ON CONFLICT DO NOTHING")
}
