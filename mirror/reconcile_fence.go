package mirror

import (
	"context"
	"database/sql"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// fenced runs fn in a transaction that only the job's current attempt can commit. It returns
// nawasync.ErrLeaseLost if another process has taken the job over. A deadlock runs fn again.
func (s *reconcile) fenced(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return s.repo.engine.Store().RetryTx(ctx, func(tx *gorm.DB) error { return s.fence(ctx, tx, fn) })
}

// fencedOn is fenced with the transaction's connection, which only PostgreSQL needs; on other
// databases conn is nil.
func (s *reconcile) fencedOn(ctx context.Context, fn func(tx *gorm.DB, conn *sql.Conn) error) error {
	if s.repo.engine.DB().Name() != "postgres" {
		return s.fenced(ctx, func(tx *gorm.DB) error { return fn(tx, nil) })
	}
	return s.repo.engine.Store().RetryTxConn(ctx, func(tx *gorm.DB, conn *sql.Conn) error {
		return s.fence(ctx, tx, func(tx *gorm.DB) error { return fn(tx, conn) })
	})
}

func (s *reconcile) fence(ctx context.Context, tx *gorm.DB, fn func(tx *gorm.DB) error) error {
	tx = sqlkit.Session(ctx, tx)
	running, err := s.repo.engine.Store().Fence(ctx, tx, s.attempt.Job().ID, s.attempt.Job().Epoch)
	if err != nil {
		return fmt.Errorf("check the lease: %w", err)
	}
	if !running {
		return nawasync.ErrLeaseLost
	}
	return fn(tx)
}
