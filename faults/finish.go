package main

import (
	"context"
	"syscall"
	"time"
)

// finish waits until every job is finished. Then it gives every worker some jobs, and runs two
// syncs, which show every difference between the rows and the remote.
func (h *harness) finish(ctx context.Context, r *result) error {
	begin := time.Now()
	defer func() { r.drain = time.Since(begin) }()
	for _, next := range []string{"probe", "sync", "sync", ""} {
		open, err := h.waitFinished(ctx)
		if err != nil {
			return err
		}
		if open > 0 {
			r.unfinished = open
			h.dumpStacks()
			return nil
		}
		if next == "" {
			break
		}
		if _, err := h.host.Load().ask(ctx, command{Do: next}); err != nil {
			return err
		}
	}
	return nil
}

// dumpStacks ends the workers in a way that makes them write their stacks to their logs.
func (h *harness) dumpStacks() {
	for _, s := range h.workers {
		s.expectExit()
		s.signal(syscall.SIGQUIT)
		<-s.exited
	}
}

// waitFinished waits until no job is open. It returns how many still are after the time limit.
func (h *harness) waitFinished(ctx context.Context) (open int64, err error) {
	for deadline := time.Now().Add(h.drain); ; time.Sleep(250 * time.Millisecond) {
		if err := h.db.WithContext(ctx).Raw("SELECT COUNT(*) FROM nawasync_jobs WHERE finished_at IS NULL").Scan(&open).Error; err != nil {
			return 0, err
		}
		if open == 0 || time.Now().After(deadline) {
			return open, nil
		}
	}
}
