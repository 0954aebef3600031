package nawasync_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestBacklogIsCountedAgainAfterTheClockWasSetBack(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(func(c *nawasync.Config) { c.MaxQueued = 1 })
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess)
		h.Skip(-time.Hour)
		_, err := e.Dispatch(t.Context(), enginetest.JobArgs{ID: "b"}, nawasync.Options{})
		if err != nil {
			t.Errorf("with an empty backlog, Dispatch returned %v", err)
		}
	})
}

func TestBacklogIsCountedOnTheCallersConnection(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	h := enginetest.New(t, db)
	pool, err := db.DB.DB()
	enginetest.NoError(t, err)
	e := h.Engine(func(c *nawasync.Config) { c.MaxQueued = 1 })
	pool.SetMaxOpenConns(1) // a count on another connection would wait until the timeout
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = e.Transaction(ctx, func(tx *gorm.DB) error {
		if _, err := e.DispatchTx(ctx, tx, enginetest.JobArgs{ID: "a"}, nawasync.Options{}); err != nil {
			return err
		}
		_, err := e.DispatchTx(ctx, tx, enginetest.JobArgs{ID: "b"}, nawasync.Options{})
		return err
	})
	if !errors.Is(err, nawasync.ErrBacklogFull) {
		t.Errorf("error %v, want ErrBacklogFull", err)
	}
}
