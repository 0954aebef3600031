package sqlkit

import (
	"context"
	"database/sql"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Session returns tx without the conditions, hooks and SQL logger that the application set on it.
// The logger would print large rows, and would report lookups that find nothing as errors.
func Session(ctx context.Context, tx *gorm.DB) *gorm.DB {
	return tx.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: logger.Discard, SkipHooks: true})
}

// Each runs a query and calls fn for each row. It stops at the first error of fn and returns
// that error.
func Each(tx *gorm.DB, fn func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := tx.Raw(query, args...).Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
