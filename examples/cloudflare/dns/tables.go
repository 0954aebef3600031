package dns

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/examples/internal/snapshot"
)

// CreateTables creates the snapshot tables if they do not exist. Several processes may call it at the same time.
func CreateTables(ctx context.Context, db *gorm.DB) error {
	return errors.Join(
		snapshot.CreateTable[Account](ctx, db),
		snapshot.CreateTable[Zone](ctx, db),
		snapshot.CreateTable[Record](ctx, db),
	)
}
