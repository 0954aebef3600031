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

// auditEntries returns the audit log as lines of action, outcome and detail, the oldest first.
// It checks that each entry has the subject, reason and address of the tests.
func auditEntries(t *testing.T, e *nawasync.Engine) (lines []string) {
	t.Helper()
	log, err := e.Reader().AuditLog(t.Context(), tracker.AuditFilter{})
	enginetest.NoError(t, err)
	for _, entry := range log {
		if entry.Subject != "user:1" || entry.Reason != "because" || entry.Address != "192.0.2.1" {
			t.Errorf("entry %+v lacks the subject, the reason or the address", entry)
		}
		lines = append([]string{fmt.Sprintf("%s %s %s", entry.Action, entry.Outcome, entry.Detail)}, lines...)
	}
	return lines
}

func TestEveryOperatorActionAddsOneAuditEntryWithItsOutcome(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		ctx, by := t.Context(), nawasync.OperatorOptions{By: "user:1", Reason: "because", Address: "192.0.2.1"}
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		var want []string
		// check compares the error of a call, and notes how the entry of that call must begin.
		check := func(err, wantErr error, entry string) {
			t.Helper()
			if !errors.Is(err, wantErr) {
				t.Errorf("error %v, want %v", err, wantErr)
			}
			want = append(want, entry)
		}
		check(e.Delete(ctx, job.ID, by), nawasync.ErrNotEnded,
			fmt.Sprintf("delete failed delete job %d: the job has not ended; cancel it first, or wait: it is queued", job.ID))
		_, err := e.Cancel(ctx, job.ID, by)
		check(err, nil, "cancel done ")
		retried, err := e.Retry(ctx, job.ID, nawasync.RetryOptions{By: by.By, Reason: by.Reason, Address: by.Address})
		enginetest.NoError(t, err)
		check(nil, nil, fmt.Sprintf("retry done job %d", retried.ID))
		check(e.Delete(ctx, job.ID, by), nil, "delete done ")
		check(e.Delete(ctx, job.ID, by), nil, "delete done the job was already deleted")
		check(e.Restore(ctx, job.ID, by), nil, "restore done ")
		check(e.Restore(ctx, 999, by), nawasync.ErrNotFound, "restore failed ") // the text of ErrNotFound follows
		check(e.Pause(ctx, "notes", "", nawasync.PauseOptions{By: by.By, Reason: by.Reason, Address: by.Address}), nil, "pause done ")
		_, err = e.Resume(ctx, "notes", "", by)
		check(err, nil, "resume done ")
		_, err = e.Resume(ctx, "notes", "", by)
		check(err, nil, "resume failed the scope was not paused")
		_, err = e.SyncNow(ctx, nawasync.SyncRequest{Service: "notes", Type: "note"}, by)
		check(err, nawasync.ErrNoRepository, "sync failed notes/note: this process has no such repository")
		enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "b"})
		_, err = e.Forget(ctx, tracker.Target{Service: "notes", Type: "note", ID: "b"}, by) // would clear the entries of "a"
		check(err, nawasync.ErrStillOpen, "forget failed ")
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		check(e.Delete(cancelled, retried.ID, by), context.Canceled, "delete failed the action failed; the log of the process has the error")
		got := auditEntries(t, e)
		if len(got) != len(want) {
			t.Fatalf("%d entries, want %d: %q", len(got), len(want), got)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("entry %q, want one that begins with %q", got[i], want[i])
			}
		}
	})
}

func TestAuditLogShowsNoDatabaseErrors(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	enginetest.NoError(t, h.DB.Exec("ALTER TABLE nawasync_scopes RENAME TO elsewhere").Error)
	err := e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{By: "user:1", Reason: "because", Address: "192.0.2.1"})
	if err == nil || !strings.Contains(err.Error(), "no such table") {
		t.Fatalf("Pause: error %v, want the error of the database", err)
	}
	if got := auditEntries(t, e); len(got) != 1 || got[0] != "pause failed the action failed; the log of the process has the error" {
		t.Errorf("entries %q, want one without the error of the database", got)
	}
	if !strings.Contains(h.Log.String(), "no such table") {
		t.Error("the log does not contain the error")
	}
}

func TestPauseUntilThePastAndResumeOfAnInvalidNameAreRefused(t *testing.T) {
	t.Parallel()
	e := nawasynctest.NewEngine(t)
	err := e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{Until: time.Now().Add(-time.Minute)})
	if !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("Pause: error %v, want ErrInvalid", err)
	}
	if _, err := e.Resume(t.Context(), "no\x00te", "", nawasync.OperatorOptions{}); !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("Resume: error %v, want ErrInvalid", err)
	}
}

// callWithZeroKey calls f with the zero value of its parameter. Code outside this module can do
// the same although it cannot name the type of the key.
func callWithZeroKey[K, R any](f func(K) R) R {
	var key K
	return f(key)
}

func TestInternalsAreUnusableWithoutAValidKey(t *testing.T) {
	t.Parallel()
	e := nawasynctest.NewEngine(t)
	defer func() {
		if recover() == nil {
			t.Error("Internals gave access to the store with a zero key")
		}
	}()
	callWithZeroKey(e.Internals).Store()
}
