package sqlkit

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Session returns tx without the conditions, hooks and SQL logger that the application set on it.
// The logger would print large rows, and would report lookups that find nothing as errors. Begin
// transactions on a Session. Read outside of a transaction with Primary or Connect.
func Session(ctx context.Context, tx *gorm.DB) *gorm.DB {
	return tx.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: logger.Discard, SkipHooks: true})
}

// Primary is like Session, but outside of a transaction its statements run on the pool in which gorm
// begins transactions. A plugin such as dbresolver would send reads to a replica, which may be behind.
// No transaction can begin on a Primary.
func Primary(ctx context.Context, tx *gorm.DB) *gorm.DB {
	session := Session(ctx, tx)
	if _, ok := session.Statement.ConnPool.(gorm.TxCommitter); !ok {
		session.Statement.ConnPool = pinned{session.Statement.ConnPool}
	}
	return session
}

// pinned is a pool that looks like a transaction, because plugins leave the statements of a
// transaction where they are.
type pinned struct{ gorm.ConnPool }

// Commit returns gorm.ErrInvalidTransaction.
func (pinned) Commit() error { return gorm.ErrInvalidTransaction }

// Rollback returns gorm.ErrInvalidTransaction.
func (pinned) Rollback() error { return gorm.ErrInvalidTransaction }
