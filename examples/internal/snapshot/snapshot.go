// Package snapshot creates the snapshot tables of the examples. A real application does that in its migrations.
package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/mirror"
)

// CreateTable creates the table of a snapshot struct if it does not exist, with an index on the columns by which a page
// selects and sorts its list, if there are any. Several processes may call it at the same time.
func CreateTable[T any](ctx context.Context, db *gorm.DB, list ...string) error {
	statements, err := mirror.TableStatements[T](db.Name())
	if err != nil {
		return err
	}
	if len(list) > 0 {
		model := &gorm.Statement{DB: db}
		if err := model.Parse(new(T)); err != nil {
			return fmt.Errorf("create the table of %T: %w", *new(T), err)
		}
		table := model.Schema.Table
		statements = slices.Insert(statements, 1, "CREATE INDEX "+table+"_list ON "+table+" ("+strings.Join(list, ", ")+")")
	}
	if err := create(ctx, db, new(T), statements); err != nil {
		return fmt.Errorf("create the table of %T: %w", *new(T), err)
	}
	return nil
}

// create runs the statements until the table is complete. An error alone proves nothing: another
// process may have run the same statement first. After 20 rounds, create returns the last error.
func create(ctx context.Context, db *gorm.DB, model any, statements []string) error {
	complete := func() bool {
		return db.WithContext(ctx).Model(model).Select("deleted_job_id").Where("1 = 0").Scan(&[]int64{}).Error == nil
	}
	var lastErr error
	for round := 0; !complete(); round++ {
		if round == 20 {
			return lastErr
		}
		for _, statement := range statements {
			if err := db.WithContext(ctx).Exec(statement).Error; err != nil {
				lastErr = err
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}
