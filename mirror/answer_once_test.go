package mirror_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestAnsweredConflictNamesItsAnswerAndHasOneOpenAnswer(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 1)
		s.changeRemote("g0000", setQuota(300))
		conflict := s.waitStatus(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.StatusConflict)
		service := conflict.Service
		enginetest.NoError(t, s.engine.Pause(t.Context(), service, "", nawasync.PauseOptions{By: "user:7"}))
		operator := nawasync.OperatorOptions{By: "user:7"}
		answer, err := mirror.ApplyMine(t.Context(), s.engine, conflict.ID, operator)
		enginetest.NoError(t, err)
		named := func(want int64) {
			t.Helper()
			if now, err := s.engine.Reader().Get(t.Context(), conflict.ID); err != nil || now.RetriedAs != want {
				t.Errorf("the conflict names job %d as its answer, %v; want %d", now.RetriedAs, err, want)
			}
		}
		named(answer.ID)
		for name, do := range map[string]func() (*tracker.Job, error){
			"ApplyMine":  func() (*tracker.Job, error) { return mirror.ApplyMine(t.Context(), s.engine, conflict.ID, operator) },
			"KeepTheirs": func() (*tracker.Job, error) { return mirror.KeepTheirs(t.Context(), s.engine, conflict.ID, operator) },
		} {
			if second, err := do(); !errors.Is(err, nawasync.ErrSuperseded) || !strings.Contains(err.Error(), "which is queued; wait for its end, or cancel it") {
				t.Errorf("%s while an answer is open: job %+v, error %v", name, second, err)
			}
		}
		_, err = s.engine.Cancel(t.Context(), answer.ID, operator)
		enginetest.NoError(t, err)
		named(0)
		_, err = s.engine.Resume(t.Context(), service, "", operator)
		enginetest.NoError(t, err)
		kept, err := mirror.KeepTheirs(t.Context(), s.engine, conflict.ID, operator)
		enginetest.NoError(t, err)
		named(kept.ID)
		s.waitStatus(t, kept, tracker.StatusSuccess)
	})
}
