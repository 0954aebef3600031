package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// FeedScope names the feed of a repository for one scope.
type FeedScope struct{ Service, Type, Instance string }

// FeedCursor returns the cursor of a feed as it is stored, or nil.
func (s *Store) FeedCursor(ctx context.Context, f FeedScope) (cursor []byte, err error) {
	err = s.DB(ctx).
		Row("SELECT cursor_value FROM nawasync_cursors WHERE service = ? AND type = ? AND instance = ?", f.Service, f.Type, f.Instance).
		Scan(&cursor)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the cursor of the feed %s/%s %s: %w", f.Service, f.Type, f.Instance, err)
	}
	return cursor, nil
}

// SetFeedCursor stores the cursor of a feed. Only one transaction at a time may call it for a feed.
func (s *Store) SetFeedCursor(ctx context.Context, tx *gorm.DB, f FeedScope, cursor []byte) error {
	conn, now := sqlkit.Connect(ctx, tx), s.Now().UnixMicro()
	done := conn.Exec(
		"UPDATE nawasync_cursors SET cursor_value = ?, updated_at = ? WHERE service = ? AND type = ? AND instance = ?",
		cursor,
		now,
		f.Service,
		f.Type,
		f.Instance,
	)
	err := done.Error
	if err == nil && done.RowsAffected == 0 { // MySQL also answers 0 if nothing changes
		err = conn.Exec(
			s.insertIgnore()+" nawasync_cursors (service, type, instance, cursor_value, updated_at) VALUES (?, ?, ?, ?, ?)"+s.onConflict(),
			f.Service,
			f.Type,
			f.Instance,
			cursor,
			now,
		).Error
	}
	if err != nil {
		return fmt.Errorf("store the cursor of the feed %s/%s %s: %w", f.Service, f.Type, f.Instance, err)
	}
	return nil
}

// AddDelivery records a request of a webhook by the hash of what identifies it. It reports whether the request is
// new. A transaction that has recorded the same request and is still open is waited for.
func (s *Store) AddDelivery(ctx context.Context, tx *gorm.DB, delivery string) (bool, error) {
	done := sqlkit.Connect(ctx, tx).
		Exec(s.insertIgnore()+" nawasync_deliveries (delivery, received_at) VALUES (?, ?)"+s.onConflict(), delivery, s.Now().UnixMicro())
	if done.Error != nil {
		return false, fmt.Errorf("record a request of a webhook: %w", done.Error)
	}
	return done.RowsAffected > 0, nil
}

// CountDeliveries counts the recorded requests of webhooks up to most.
func (s *Store) CountDeliveries(ctx context.Context, most int) (n int, err error) {
	if err = s.DB(ctx).Row("SELECT COUNT(*) FROM (SELECT 1 FROM nawasync_deliveries LIMIT ?) c", most).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the requests of webhooks: %w", err)
	}
	return n, nil
}

// PruneDeliveries deletes up to limit requests that were recorded before a time, and returns their number.
func (s *Store) PruneDeliveries(ctx context.Context, before time.Time, limit int) (int, error) {
	old, err := sqlkit.Column[string](
		s.DB(ctx),
		"SELECT delivery FROM nawasync_deliveries WHERE received_at < ? ORDER BY received_at LIMIT ?",
		before.UnixMicro(),
		limit,
	)
	if err == nil && len(old) > 0 {
		err = s.exec(ctx, func(conn *sqlkit.Conn) error {
			return conn.Exec("DELETE FROM nawasync_deliveries WHERE delivery IN ?", old).Error
		})
	}
	if err != nil {
		return 0, fmt.Errorf("prune requests of webhooks: %w", err)
	}
	return len(old), nil
}
