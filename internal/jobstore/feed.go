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

const feedWhere = " WHERE service = ? AND type = ? AND instance = ?"

// FeedCursor returns the cursor of a feed as it is stored, and when it was stored last. It returns nil if there is none.
func (s *Store) FeedCursor(ctx context.Context, f FeedScope) (cursor []byte, at time.Time, err error) {
	var stored int64
	err = s.DB(ctx).Row("SELECT cursor_value, updated_at FROM nawasync_cursors"+feedWhere, f.Service, f.Type, f.Instance).Scan(&cursor, &stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, at, fmt.Errorf("read the cursor of the feed %s/%s %s: %w", f.Service, f.Type, f.Instance, err)
	}
	return cursor, sqlkit.FromMicros(stored), nil
}

// SetFeedCursor stores the cursor of a feed. Only one transaction at a time may call it for a feed.
func (s *Store) SetFeedCursor(ctx context.Context, tx *gorm.DB, f FeedScope, cursor []byte) error {
	conn, now := sqlkit.Connect(ctx, tx), s.Now().UnixMicro()
	done := conn.Exec(
		"UPDATE nawasync_cursors SET cursor_value = ?, updated_at = ?"+feedWhere,
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

// DropFeedCursor forgets the cursor of a feed.
func (s *Store) DropFeedCursor(ctx context.Context, tx *gorm.DB, f FeedScope) error {
	err := sqlkit.Connect(ctx, tx).Exec("DELETE FROM nawasync_cursors"+feedWhere, f.Service, f.Type, f.Instance).Error
	if err != nil {
		return fmt.Errorf("forget the cursor of the feed %s/%s %s: %w", f.Service, f.Type, f.Instance, err)
	}
	return nil
}

// PruneCursors looks at up to limit cursors after the given feed, and deletes those that were stored before a time. It
// returns the last feed that it looked at, or the zero FeedScope at the end.
func (s *Store) PruneCursors(ctx context.Context, after FeedScope, before time.Time, limit int) (last FeedScope, err error) {
	var old []FeedScope
	n := 0
	err = sqlkit.Each(s.DB(ctx), func(rows *sql.Rows) error {
		var stored int64
		n++
		err := rows.Scan(&last.Service, &last.Type, &last.Instance, &stored)
		if stored < before.UnixMicro() {
			old = append(old, last)
		}
		return err
	}, "SELECT service, type, instance, updated_at FROM nawasync_cursors"+
		" WHERE service > ? OR service = ? AND (type > ? OR type = ? AND instance > ?) ORDER BY service, type, instance LIMIT ?",
		after.Service, after.Service, after.Type, after.Type, after.Instance, limit)
	for _, f := range old {
		if err == nil { // the feed may have been read meanwhile
			err = s.exec(ctx, func(conn *sqlkit.Conn) error {
				return conn.Exec("DELETE FROM nawasync_cursors"+feedWhere+" AND updated_at < ?", f.Service, f.Type, f.Instance, before.UnixMicro()).Error
			})
		}
	}
	if err != nil {
		return FeedScope{}, fmt.Errorf("prune cursors of feeds: %w", err)
	}
	if n < limit {
		return FeedScope{}, nil
	}
	return last, nil
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
