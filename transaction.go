package nawasync

import (
	"context"
	"sync"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Transaction runs fn in a READ COMMITTED transaction of the engine's database and
// rings for the jobs that fn dispatched with DispatchTx right after the commit. fn runs
// once. It returns fn's error, after which nothing is done, or the database's;
// ErrDatabaseBusy where SQLite's one writer is taken.
func (e *Engine) Transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return e.transaction(ctx, e.store.Transaction, fn)
}

func (e *Engine) transaction(ctx context.Context, run func(context.Context, func(*gorm.DB) error) error, fn func(tx *gorm.DB) error) error {
	after := &afterCommit{}
	ctx = context.WithValue(ctx, afterCommitKey{}, after)
	err := run(ctx, func(tx *gorm.DB) error {
		after.bells = nil
		return fn(e.hostSession(ctx, tx))
	})
	if err != nil {
		return e.lockHint(err)
	}
	e.enqueueAsync(ctx, after.bells)
	return nil
}

// hostSession is tx for the host's own code: with its hooks and its log, which our
// statements do without.
func (e *Engine) hostSession(ctx context.Context, tx *gorm.DB) *gorm.DB {
	tx = tx.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: e.config.DB.Logger})
	tx.Statement.SkipHooks = e.config.DB.Statement.SkipHooks
	return tx
}

// afterCommit gathers the bells of a transaction of ours.
type afterCommit struct {
	mu    sync.Mutex
	bells []jobstore.Bell
}

func (a *afterCommit) add(bells []jobstore.Bell) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bells = append(a.bells, bells...)
}

type afterCommitKey struct{}

func afterCommitOf(tx *gorm.DB) *afterCommit {
	after, _ := tx.Statement.Context.Value(afterCommitKey{}).(*afterCommit)
	return after
}
