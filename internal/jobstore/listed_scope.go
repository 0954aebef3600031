package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// ListedScope is a scope of a repository whose scopes are the rows of another repository.
type ListedScope struct {
	HoldScope

	Parent     int64     // the row of the other repository
	ListedAt   time.Time // since when it is listed
	GoneAt     time.Time // since when the scope is gone; zero while it is listed
	RetiredJob int64     // the job that has hidden the scope's rows, or has begun to; 0 if they are visible
	RetiredAt  time.Time // when that job was done
}

// Gone reports whether the scope is gone.
func (l ListedScope) Gone() bool { return !l.GoneAt.IsZero() }

const listedWhere = " WHERE service = ? AND type = ? AND instance = ?"

// ListedScopes returns up to limit scopes of a repository, those after the given instance, by instance.
func (s *Store) ListedScopes(ctx context.Context, service, typ, after string, limit int) ([]ListedScope, error) {
	return s.readListed(s.DB(ctx), "service = ? AND type = ? AND instance > ? ORDER BY instance LIMIT ?", service, typ, after, limit)
}

// FindListed returns a scope, or nil if it was never listed.
func (s *Store) FindListed(ctx context.Context, scope HoldScope) (*ListedScope, error) {
	return s.oneListed(s.DB(ctx), scope, "")
}

// LockListed is FindListed in a transaction, until whose end the scope stays as it is.
func (s *Store) LockListed(ctx context.Context, tx *gorm.DB, scope HoldScope) (*ListedScope, error) {
	return s.oneListed(sqlkit.Connect(ctx, tx), scope, sqlkit.Pick(s.dialect.Name == "sqlite", "", " FOR UPDATE"))
}

func (s *Store) oneListed(conn *sqlkit.Conn, scope HoldScope, lock string) (*ListedScope, error) {
	list, err := s.readListed(conn, "service = ? AND type = ? AND instance = ?"+lock, scope.Service, scope.Type, scope.Instance)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func (s *Store) readListed(conn *sqlkit.Conn, where string, args ...any) (list []ListedScope, err error) {
	err = sqlkit.Each(conn, func(rows *sql.Rows) error {
		var l ListedScope
		var listed, gone, retired int64
		err := rows.Scan(&l.Service, &l.Type, &l.Instance, &l.Parent, &listed, &gone, &l.RetiredJob, &retired)
		l.ListedAt, l.GoneAt, l.RetiredAt = sqlkit.FromMicros(listed), sqlkit.FromMicros(gone), sqlkit.FromMicros(retired)
		list = append(list, l)
		return err
	}, "SELECT service, type, instance, parent_id, listed_at, gone_at, retired_job, retired_at FROM nawasync_listed_scopes WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the listed scopes: %w", err)
	}
	return list, nil
}

// AddListed adds a scope. It reports whether the scope is new.
func (s *Store) AddListed(ctx context.Context, tx *gorm.DB, l ListedScope) (bool, error) {
	done := sqlkit.Connect(ctx, tx).Exec(s.insertIgnore()+" nawasync_listed_scopes (service, type, instance, parent_id, listed_at, gone_at, retired_job, retired_at) VALUES (?, ?, ?, ?, ?, 0, 0, 0)"+
		s.onConflict(), l.Service, l.Type, l.Instance, l.Parent, s.Now().UnixMicro())
	return done.RowsAffected > 0, listedError(l.HoldScope, done.Error)
}

// SetParent makes another row the one whose scope this is. If fresh is set, the scope is another one than
// before, which has had no rows yet.
func (s *Store) SetParent(ctx context.Context, tx *gorm.DB, l ListedScope, parent int64, fresh bool) error {
	set, args := "parent_id = ?", []any{parent}
	if fresh {
		set, args = set+", listed_at = ?, gone_at = 0, retired_job = 0, retired_at = 0", append(args, s.Now().UnixMicro())
	}
	return s.setListed(ctx, tx, l.HoldScope, set, args...)
}

// SetGone marks a scope as gone, or as listed again.
func (s *Store) SetGone(ctx context.Context, tx *gorm.DB, scope HoldScope, gone bool) error {
	if gone {
		return s.setListed(ctx, tx, scope, "gone_at = ?, retired_at = 0", s.Now().UnixMicro())
	}
	return s.setListed(ctx, tx, scope, "gone_at = 0, listed_at = ?", s.Now().UnixMicro())
}

// SetRetiring records the job that hides the rows of a scope; 0 says that they are visible again.
func (s *Store) SetRetiring(ctx context.Context, tx *gorm.DB, scope HoldScope, job int64) error {
	return s.setListed(ctx, tx, scope, "retired_job = ?, retired_at = 0", job)
}

// SetRetired records that the rows of a scope are hidden.
func (s *Store) SetRetired(ctx context.Context, tx *gorm.DB, scope HoldScope) error {
	return s.setListed(ctx, tx, scope, "retired_at = ?", s.Now().UnixMicro())
}

func (s *Store) setListed(ctx context.Context, tx *gorm.DB, scope HoldScope, set string, args ...any) error {
	args = append(args, scope.Service, scope.Type, scope.Instance)
	return listedError(scope, sqlkit.Connect(ctx, tx).Exec("UPDATE nawasync_listed_scopes SET "+set+listedWhere, args...).Error)
}

// DropListed forgets a scope.
func (s *Store) DropListed(ctx context.Context, tx *gorm.DB, scope HoldScope) error {
	return listedError(scope, sqlkit.Connect(ctx, tx).Exec("DELETE FROM nawasync_listed_scopes"+listedWhere, scope.Service, scope.Type, scope.Instance).Error)
}

func listedError(scope HoldScope, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store scope %q of %s/%s: %w", scope.Instance, scope.Service, scope.Type, err)
}
