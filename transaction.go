package nawasync

import (
	"context"
	"sync"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Transaction runs fn once, in a READ COMMITTED transaction on the engine's database. Right
// after the commit, it wakes workers for the jobs that fn added with DispatchTx. If fn returns
// an error, Transaction rolls back and returns that error. Otherwise it may return the
// database's error, or ErrDatabaseBusy when another transaction holds SQLite's only write lock.
func (e *Engine) Transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return e.transaction(ctx, e.store.Transaction, fn)
}

// transaction runs fn with run, which begins and commits. Since run may call fn again after a
// deadlock, each call starts with an empty list of jobs to wake.
func (e *Engine) transaction(ctx context.Context, run func(context.Context, func(*gorm.DB) error) error, fn func(tx *gorm.DB) error) error {
	after := &afterCommit{}
	ctx = context.WithValue(ctx, afterCommitKey{}, after)
	err := run(ctx, func(tx *gorm.DB) error {
		after.wakes = nil
		return fn(e.hostSession(ctx, tx))
	})
	if err != nil {
		return e.lockHint(err)
	}
	e.wake(after.wakes)
	return nil
}

// hostSession returns a session of tx for the host's code. It has the hooks and the logger of
// Config.DB, which the engine's own statements do not use.
func (e *Engine) hostSession(ctx context.Context, tx *gorm.DB) *gorm.DB {
	tx = tx.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: e.config.DB.Logger})
	tx.Statement.SkipHooks = e.config.DB.Statement.SkipHooks
	return tx
}

// afterCommit collects the wake-ups to send after a transaction of the engine commits.
type afterCommit struct {
	mu    sync.Mutex
	wakes []jobstore.Wake
}

func (a *afterCommit) add(wakes []jobstore.Wake) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wakes = append(a.wakes, wakes...)
}

type afterCommitKey struct{}

// afterCommitOf returns the afterCommit of tx, or nil if tx is not a transaction of the engine.
func afterCommitOf(tx *gorm.DB) *afterCommit {
	after, _ := tx.Statement.Context.Value(afterCommitKey{}).(*afterCommit)
	return after
}
