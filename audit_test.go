package nawasync_test

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
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// entries are the audit log's, as action, outcome and detail, the oldest first.
func entries(t *testing.T, e *nawasync.Engine) (list []string) {
	t.Helper()
	log, err := e.Reader().AuditLog(t.Context(), tracker.AuditFilter{})
	enginetest.NoError(t, err)
	for _, entry := range log {
		if entry.Subject != "user:1" || entry.Reason != "because" || entry.Address != "192.0.2.1" {
			t.Errorf("%+v", entry)
		}
		list = append([]string{fmt.Sprintf("%s %s %s", entry.Action, entry.Outcome, entry.Detail)}, list...)
	}
	return list
}

func TestEveryOperatorsCallAddsOneEntryWithWhatCameOfIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		ctx, by := t.Context(), nawasync.OperatorOptions{By: "user:1", Reason: "because", Address: "192.0.2.1"}
		retry := nawasync.RetryOptions{By: by.By, Reason: by.Reason, Address: by.Address}
		pause := nawasync.PauseOptions{By: by.By, Reason: by.Reason, Address: by.Address}
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		call := func(_ any, err error, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		call(nil, e.Delete(ctx, job.ID, by), nawasync.ErrNotEnded)
		cancelled, err := e.Cancel(ctx, job.ID, by)
		call(cancelled, err, nil)
		again, err := e.Retry(ctx, job.ID, retry)
		enginetest.NoError(t, err)
		call(nil, e.Delete(ctx, job.ID, by), nil)
		call(nil, e.Delete(ctx, job.ID, by), nil)
		call(nil, e.Restore(ctx, job.ID, by), nil)
		call(nil, e.Restore(ctx, 999, by), nawasync.ErrNotFound)
		call(nil, e.Pause(ctx, "notes", "", pause), nil)
		found, err := e.Resume(ctx, "notes", "", by)
		call(found, err, nil)
		found, err = e.Resume(ctx, "notes", "", by)
		call(found, err, nil)
		_, err = e.SyncNow(ctx, "notes", "note", "", "", by)
		call(nil, err, nawasync.ErrNoRepository)
		_, err = e.Forget(ctx, tracker.Target{Service: "notes", Type: "note", ID: "a"}, by)
		call(nil, err, nawasync.ErrStillOpen)
		ended, end := context.WithCancel(ctx)
		end()
		call(nil, e.Delete(ended, again.ID, by), context.Canceled)
		want := []string{
			fmt.Sprintf("delete failed delete job %d: the job has not ended; cancel it first, or wait: it is queued", job.ID),
			"cancel done ",
			fmt.Sprintf("retry done job %d", again.ID),
			"delete done ",
			"delete done it was deleted already",
			"restore done ",
			"restore failed ", // with the text of ErrNotFound
			"pause done ",
			"resume done ",
			"resume failed it was not paused",
			"sync failed notes/note: this process has no such repository",
			"forget failed ",
			"delete failed it failed; the log of the process has the error",
		}
		got := entries(t, e)
		if len(got) != len(want) {
			t.Fatalf("%d entries, want %d: %q", len(got), len(want), got)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%q, want %q", got[i], want[i])
			}
		}
	})
}

func TestAuditLogShowsNoErrorOfTheDatabase(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	enginetest.NoError(t, h.DB.Exec("ALTER TABLE nawasync_scopes RENAME TO elsewhere").Error)
	err := e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{By: "user:1", Reason: "because", Address: "192.0.2.1"})
	if err == nil || !strings.Contains(err.Error(), "no such table") {
		t.Fatalf("%v", err)
	}
	if got := entries(t, e); len(got) != 1 || got[0] != "pause failed it failed; the log of the process has the error" {
		t.Errorf("%q", got)
	}
	if !strings.Contains(h.Log.String(), "no such table") {
		t.Error("the log does not have the error")
	}
}

func TestPauseThatIsOverBeforeItBeginsIsRefused(t *testing.T) {
	t.Parallel()
	e := nawasynctest.NewEngine(t)
	err := e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{Until: time.Now().Add(-time.Minute)})
	if !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if _, err := e.Resume(t.Context(), "no\x00te", "", nawasync.OperatorOptions{}); !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

// keyOf makes what an argument of f is, without naming its type.
func keyOf[K, R any](f func(K) R) R {
	var key K
	return f(key)
}

func TestInternalsAreOfNoUseWithoutTheKey(t *testing.T) {
	t.Parallel()
	e := nawasynctest.NewEngine(t)
	defer func() {
		if recover() == nil {
			t.Error("a key that anybody can make opens the engine")
		}
	}()
	keyOf(e.Internals).Store()
}
