package jobstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// AddChanges records changes of snapshot rows. tx is the transaction that writes those rows.
func (s *Store) AddChanges(ctx context.Context, tx *gorm.DB, list []tracker.Change) error {
	conn, at := sqlkit.Connect(ctx, tx), s.Now().UnixMicro()
	for len(list) > 0 {
		n := min(len(list), 500)
		var args []any
		for _, c := range list[:n] {
			fields := any(nil)
			if len(c.Fields) > 0 {
				fields = string(c.Fields)
			}
			args = append(args, at, jobrow.TargetKey(c.Target.Service, c.Target.Type, c.Target.Instance, c.Target.ID), c.JobID, string(c.Kind), fields)
		}
		err := conn.Exec("INSERT INTO nawasync_changes (at, target_key, job_id, what, fields) VALUES "+strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?), ", n), ", "),
			args...).Error
		if err != nil {
			return fmt.Errorf("record changes of a sync: %w", err)
		}
		list = list[n:]
	}
	return nil
}

// PruneChanges deletes changes recorded before the given time and returns how many it
// deleted. It looks at no more than limit rows, those with the lowest ids. They are the oldest,
// because ids grow with time.
func (s *Store) PruneChanges(ctx context.Context, before time.Time, limit int) (int, error) {
	ids, err := sqlkit.Column[int64](s.DB(ctx), "SELECT id FROM (SELECT id, at FROM nawasync_changes ORDER BY id LIMIT ?) oldest WHERE at < ?", limit,
		before.UnixMicro())
	if err == nil && len(ids) > 0 {
		err = s.exec(ctx, func(conn *sqlkit.Conn) error {
			return conn.Exec("DELETE FROM nawasync_changes WHERE id IN ?", ids).Error
		})
	}
	if err != nil {
		return 0, fmt.Errorf("prune recorded changes: %w", err)
	}
	return len(ids), nil
}
