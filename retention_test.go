package nawasync_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
)

func TestRetentionDropsArgumentsThenRowsAndKeepsTheLastSuccess(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if run.Args.N == 1 {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			return nil
		})
		h.Start(e)
		good, bad := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}), enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "b", N: 1})
		exists := func(id int64) bool {
			_, err := e.Reader().Get(t.Context(), id)
			return err == nil
		}
		time.Sleep(time.Minute)
		h.Skip(6 * 24 * time.Hour)
		if row, err := enginetest.Store(e).Load(t.Context(), bad.ID); err != nil || len(row.Sealed) == 0 {
			t.Fatalf("after 6 days the arguments were dropped, or the row is unreadable: %v", err)
		}
		h.Skip(2 * 24 * time.Hour)
		if row, err := e.Reader().Get(t.Context(), bad.ID); err != nil || !row.ArgumentsDropped() {
			t.Fatalf("after 8 days the arguments are still kept, or the row is unreadable: %v", err)
		}
		if _, err := e.Retry(t.Context(), bad.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatalf("error %v, want ErrNoArguments", err)
		}
		h.Skip(7 * 24 * time.Hour)
		if exists(good.ID) || !exists(bad.ID) {
			t.Fatal("after 15 days the successful job should be pruned and the failed job kept")
		}
		h.Skip(80 * 24 * time.Hour)
		if exists(bad.ID) {
			t.Fatal("after 95 days the failed job is still kept")
		}
		at, id, err := e.Reader().LastSuccess(t.Context(), "notes", "note", "write", "")
		enginetest.NoError(t, err)
		if id != good.ID || at.IsZero() {
			t.Fatalf("the last success is job %d at %s, want job %d", id, at, good.ID)
		}
	})
}
