package nawasync_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/tracker"
)

func TestOutcomeThatMeetsALockedRowIsReportedAndWrittenAfterwards(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Engine(nil)
		running, release := make(chan struct{}), make(chan struct{})
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if run.Args.ID == "held" {
				close(running)
				<-release
			}
			return nil
		})
		h.Start(e)
		held := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "held"})
		<-running
		tx := h.DB.Begin()
		t.Cleanup(func() { tx.Rollback() })
		var id int64
		enginetest.NoError(t, tx.Raw("SELECT id FROM nawasync_jobs WHERE id = ? FOR UPDATE", held.ID).Row().Scan(&id))
		close(release)
		for range 3 { // the outcomes of other jobs are written
			enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "other"}).ID, tracker.StatusSuccess)
		}
		enginetest.Eventually(t, 20*time.Second, "the process reports the locked row", func() bool {
			list, err := e.Reader().Processes(t.Context())
			return err == nil && len(list) == 1 && len(list[0].Troubles) == 1 && list[0].Troubles[0].Code == tracker.TroubleLocked &&
				strings.Contains(list[0].Troubles[0].Text, "job 1 cannot be written: job 1 is locked")
		})
		enginetest.NoError(t, tx.Commit().Error)
		enginetest.WaitStatus(t, e, held.ID, tracker.StatusSuccess)
		enginetest.Eventually(t, 10*time.Second, "the process reports nothing any more", func() bool {
			list, err := e.Reader().Processes(t.Context())
			return err == nil && len(list) == 1 && len(list[0].Troubles) == 0
		})
	})
}
