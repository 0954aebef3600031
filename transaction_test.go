package nawasync_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestRolledBackJobNeverRunsAndCommittedOneDoes(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var ran atomic.Int64
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			ran.Add(1)
			if run.Args.N == 1 {
				t.Error("a rolled back job ran")
			}
			return nil
		})
		h.Start(e)
		err := e.Transaction(t.Context(), func(tx *gorm.DB) error {
			_, err := e.DispatchTx(t.Context(), tx, enginetest.JobArgs{ID: "a", N: 1}, nawasync.Options{})
			enginetest.NoError(t, err)
			return enginetest.ErrBoom
		})
		if !errors.Is(err, enginetest.ErrBoom) {
			t.Fatalf("error %v, want that of the function", err)
		}
		var committed *tracker.Job
		enginetest.NoError(t, db.Transaction(func(tx *gorm.DB) (err error) {
			committed, err = e.DispatchTx(t.Context(), tx, enginetest.JobArgs{ID: "a", N: 2}, nawasync.Options{})
			return err
		}))
		enginetest.WaitStatus(t, e, committed.ID, tracker.StatusSuccess)
		page, err := e.Reader().Search(t.Context(), tracker.Search{Limit: 10})
		enginetest.NoError(t, err)
		if len(page.Jobs) != 1 || ran.Load() != 1 {
			t.Fatalf("%d jobs, %d runs; want one of each", len(page.Jobs), ran.Load())
		}
	})
}

func TestModelsOfTheHostKeepTheirHooksInTransactions(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		enginetest.NoError(t, db.Exec("CREATE TABLE hookeds (id BIGINT PRIMARY KEY, text VARCHAR(50))").Error)
		e := h.Engine(nil)
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			run.OnSuccess(func(tx *gorm.DB) error { return tx.Create(&hooked{ID: 2}).Error })
			return nil
		})
		h.Start(e)
		enginetest.NoError(t, e.Transaction(t.Context(), func(tx *gorm.DB) error { return tx.Create(&hooked{ID: 1}).Error }))
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess)
		var rows []hooked
		enginetest.NoError(t, db.Find(&rows).Error)
		for _, row := range rows {
			if row.Text != "from the hook" {
				t.Errorf("row %+v, want the text of the hook", row)
			}
		}
		if len(rows) != 2 {
			t.Errorf("%d rows, want 2", len(rows))
		}
	})
}

// hooked is a model of the host with a GORM hook.
type hooked struct {
	ID   int64
	Text string
}

func (h *hooked) BeforeCreate(*gorm.DB) error {
	h.Text = "from the hook"
	return nil
}
