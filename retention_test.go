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
			t.Fatalf("arguments went early: %v", err)
		}
		h.Skip(2 * 24 * time.Hour)
		if row, err := e.Reader().Get(t.Context(), bad.ID); err != nil || !row.ArgumentsDropped() {
			t.Fatalf("arguments are kept: %v", err)
		}
		if _, err := e.Retry(t.Context(), bad.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatal(err)
		}
		h.Skip(7 * 24 * time.Hour)
		if exists(good.ID) || !exists(bad.ID) {
			t.Fatal("after 15 days the success should be gone and the failure not")
		}
		h.Skip(80 * 24 * time.Hour)
		if exists(bad.ID) {
			t.Fatal("after 95 days the failure is still there")
		}
		at, id, err := e.Reader().LastSuccess(t.Context(), "notes", "note", "write", "")
		enginetest.NoError(t, err)
		if id != good.ID || at.IsZero() {
			t.Fatalf("last success %d at %s", id, at)
		}
	})
}
