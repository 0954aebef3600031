package nawasync_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestDispatchInsideAnOpenSQLiteTransactionFailsAndSuggestsDispatchTx(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	dispatch := func() error {
		_, err := e.Dispatch(context.Background(), enginetest.JobArgs{ID: "a"}, nawasync.Options{})
		return err
	}
	for name, err := range map[string]error{
		"inside Engine.Transaction": e.Transaction(t.Context(), func(*gorm.DB) error { return dispatch() }),
		"inside a transaction of the host": h.DB.Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("DELETE FROM nawasync_scopes").Error; err != nil {
				return err
			}
			return dispatch()
		}),
	} {
		if !errors.Is(err, nawasync.ErrDatabaseBusy) || !strings.Contains(err.Error(), "DispatchTx") {
			t.Errorf("%s: error %v, want ErrDatabaseBusy and the advice to use DispatchTx", name, err)
		}
	}
	page, err := e.Reader().Search(t.Context(), tracker.Search{Limit: 10})
	enginetest.NoError(t, err)
	if len(page.Jobs) != 0 {
		t.Errorf("%d jobs were added, want none", len(page.Jobs))
	}
}

func TestFiftyUniqueDispatchesGetOneRow(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		started, release := make(chan struct{}, 10), make(chan struct{})
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[syncAll]{Do: func(context.Context, *nawasync.Run[syncAll]) error {
			started <- struct{}{}
			<-release
			return nil
		}}))
		dispatchAll := func() (ids map[int64]int) {
			ids = map[int64]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					job, err := e.Dispatch(context.Background(), syncAll{}, nawasync.Options{})
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
						return
					}
					ids[job.ID]++
				})
			}
			wg.Wait()
			return ids
		}
		first := dispatchAll()
		if len(first) != 1 {
			t.Fatalf("dispatches by job: %v, want one job", first)
		}
		h.Start(e)
		<-started
		successor := dispatchAll()
		if len(successor) != 1 {
			t.Fatalf("dispatches by job while one runs: %v, want one job", successor)
		}
		for id := range successor {
			if first[id] != 0 {
				t.Fatal("the dispatches returned the running job, want a queued successor")
			}
			close(release)
			enginetest.WaitStatus(t, e, id, tracker.StatusSuccess)
		}
	})
}

type syncAll struct{}

func (syncAll) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "note", Action: "sync"}
}

func (syncAll) Target() nawasync.Target { return nawasync.Target{ID: "all"} }

func (syncAll) Options() nawasync.JobOptions {
	return nawasync.JobOptions{UniqueKey: "all", UniqueUntilRunning: true}
}
