package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// OnSuccess sees what each job of the repository has left, in the transaction that ends the job: what it dispatches is
// there if and only if the job has succeeded.
func TestOnSuccessOfARepositorySeesItsRowsAndDispatchesInTheTransactionOfTheOutcome(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var got []string
		var w *ownWorld
		fails := 0
		w = newOwnWorldWith(t, db, mirror.Config[worldRecord]{
			MaxAttempts: 5, SyncMaxAttempts: 2, Backoff: func(int) time.Duration { return time.Hour },
			OnSuccess: func(ctx context.Context, done mirror.Done[worldRecord]) error {
				if done.Job.Action == "create" {
					if _, err := w.WithTx(done.Tx).Dispatch(ctx, done.Row, resetPassword{}, byUser); err != nil {
						return err
					}
				}
				if fails++; fails == 1 {
					return errors.New("the host's table refuses")
				}
				listed := int64(-1)
				if done.Sync != nil {
					listed = done.Sync.Listed
				}
				got = append(got, fmt.Sprint(done.Job.Action, " ", done.Row.Zone, done.Row.Name, done.Row.RID, " ", done.Row.TTL, " ", done.Row.State, " ", listed))
				return nil
			},
		})
		start := w.clock.Now()
		create := w.drain(w.Create(t.Context(), worldRecord{Zone: "z", Name: "ann"}, byUser))
		if w.ends(create, tracker.StatusSuccess, ""); create.MaxAttempts != 5 || create.Attempt != 2 || w.clock.Now().Sub(start) < time.Hour {
			t.Errorf("the creation %+v ended after %s", create, w.clock.Now().Sub(start))
		}
		w.drain(w.Update(t.Context(), w.named("ann"), func(v *worldRecord) { v.TTL = 7 }, byUser))
		if sync := w.sync(worldRecord{Zone: "z"}); sync.MaxAttempts != 2 {
			t.Errorf("a sync has %d attempts", sync.MaxAttempts)
		}
		w.ends(w.drain(w.Delete(t.Context(), w.named("ann"), byUser)), tracker.StatusSuccess, "")
		want := "create zannid-1 0 synced -1; update zannid-1 7 synced -1; sync z 0  1; delete zannid-1 7 deleted -1"
		if text := strings.Join(got, "; "); text != want {
			t.Errorf("OnSuccess got\n%s, want\n%s", text, want)
		}
		if len(w.resets.seen) != 1 || w.resets.seen[0].RID != "id-1" {
			t.Errorf("the resets saw %v; want one: the failed OnSuccess was rolled back", w.resets.seen)
		}
		_, err := mirror.New(w.engine, mirror.Config[worldRecord]{Service: "api", Type: "other", MaxAttempts: -1})
		if err == nil || !strings.Contains(err.Error(), "MaxAttempts") {
			t.Errorf("New with negative attempts: %v", err)
		}
	})
}

// A job without a handler in this process is dispatched with the attempts of the configuration, too.
func TestAnswerToAConflictHasTheAttemptsOfItsJob(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorldWith(t, db, mirror.Config[worldRecord]{MaxAttempts: 7})
		ann := w.synced("ann")
		object, _ := w.remote.find("z", ann.RID, "", 0)
		object.TTL = 3
		w.remote.add(object, false)
		update := w.drain(w.Update(t.Context(), ann, func(v *worldRecord) { v.TTL = 5 }, byUser))
		w.ends(update, tracker.StatusConflict, "")
		for _, answer := range []func(context.Context, *nawasync.Engine, int64, nawasync.OperatorOptions) (*tracker.Job, error){mirror.ApplyMine, mirror.KeepTheirs} {
			job, err := answer(t.Context(), w.engine, update.ID, nawasync.OperatorOptions{})
			enginetest.NoError(t, err)
			if job.MaxAttempts != 7 {
				t.Errorf("the answer has %d attempts", job.MaxAttempts)
			}
			w.cancel(job)
		}
	})
}
