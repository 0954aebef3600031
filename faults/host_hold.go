package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
)

// hold keeps a transaction of the host open: one that has locked snapshot rows or queued jobs, or
// one that has dispatched.
func (h *host) hold(kind faultKind, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d+10*time.Second)
	defer cancel()
	if kind == holdDispatch {
		return h.engine.Transaction(ctx, func(tx *gorm.DB) error {
			for i := range 3 {
				t := task{Instance: "main", Lane: fmt.Sprintf("late-%d", i), Millis: 5}
				if err := dispatchOrder(ctx, h.engine, tx, t, orderLate, nawasync.Options{By: "user:2"}); err != nil {
					return err
				}
			}
			time.Sleep(d)
			return nil
		})
	}
	table, where := "things", "1 = 1"
	if kind == holdQueued {
		table, where = "nawasync_jobs", "status = 'queued'"
	}
	// The ids are read first, because MariaDB also locks the rows that a search passes.
	var ids []int64
	if err := h.db.WithContext(ctx).Raw("SELECT id FROM " + table + " WHERE " + where + " ORDER BY id LIMIT 15").Scan(&ids).Error; err != nil || len(ids) == 0 {
		return err
	}
	return h.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var locked []int64
		if err := tx.Raw("SELECT id FROM "+table+" WHERE id IN ? ORDER BY id FOR UPDATE", ids).Scan(&locked).Error; err != nil {
			return err
		}
		time.Sleep(d)
		return nil
	}, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
}
