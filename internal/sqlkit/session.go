package sqlkit

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Session returns tx without the conditions, hooks and SQL logger that the application set on it.
// The logger would print large rows, and would report lookups that find nothing as errors.
func Session(ctx context.Context, tx *gorm.DB) *gorm.DB {
	return tx.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: logger.Discard, SkipHooks: true})
}
