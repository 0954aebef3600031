// Package folder folds what jobs added to the statistics into minute, hour and
// day rows.
package folder

import (
	"context"
	"log/slog"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"

	"github.com/nawasara/nawasync/internal/loop"
)

// Folder is one process's folder; of many, one works at a time.
type Folder struct {
	Store    *jobstore.Store
	Logger   *slog.Logger
	Interval time.Duration
	Holder   func() string

	loop *loop.Loop
}

const batch = 1000

// Start begins the rounds.
func (f *Folder) Start() {
	f.loop = &loop.Loop{Name: "folder", Interval: f.Interval, Tick: f.Tick, Logger: f.Logger}
	f.loop.Start()
}

// Stop ends them.
func (f *Folder) Stop() {
	if f.loop != nil {
		f.loop.Stop()
	}
}

// Tick is one round.
func (f *Folder) Tick(ctx context.Context) (more bool, err error) {
	mine, err := f.Store.TryLock(ctx, "folder", f.Holder(), 5*f.Interval)
	if err != nil || !mine {
		return false, err
	}
	n, err := f.Store.Rollup(ctx, batch)
	return n == batch, err
}
