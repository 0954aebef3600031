package nawasync_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestAuditLogIsPrunedAfterItsRetention(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(func(c *nawasync.Config) { c.KeepAudit = 30 * 24 * time.Hour })
		h.Start(e)
		pause := func(reason string) {
			enginetest.NoError(t, e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{By: "user:1", Reason: reason}))
		}
		reasons := func() string {
			log, err := e.Reader().AuditLog(t.Context(), tracker.AuditFilter{})
			enginetest.NoError(t, err)
			var list []string
			for _, entry := range log {
				list = append(list, entry.Reason)
			}
			return strings.Join(list, " ")
		}
		for range 2500 { // more than one batch of the pruner
			enginetest.NoError(t, enginetest.Store(e).AppendAudit(t.Context(), tracker.AuditEntry{Reason: "old"}))
		}
		h.Skip(29 * 24 * time.Hour)
		pause("new")
		if got := reasons(); !strings.HasPrefix(got, "new old") {
			t.Fatalf("after 29 days the newest reasons are %.20q, want all of them", got)
		}
		h.Skip(2 * 24 * time.Hour)
		if got := reasons(); got != "new" {
			t.Fatalf("after 31 days the reasons are %.40q, want only the newest", got)
		}
	})
}

func TestForgetRemovesTheTargetAndItsTextsFromTheAuditLog(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		ctx := context.Background()
		by := func(reason string) nawasync.OperatorOptions {
			return nawasync.OperatorOptions{By: "user:1", Reason: reason, Address: "192.0.2.1"}
		}
		const name = "agus@example.org"
		job, open := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: name}), enginetest.Dispatch(t, e, enginetest.JobArgs{ID: name})
		other := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "b"})
		for _, id := range []int64{job.ID, other.ID} {
			_, err := e.Cancel(ctx, id, by("asked by telephone"))
			enginetest.NoError(t, err)
		}
		// An entry that names only the job, and one of a refused action.
		enginetest.NoError(t, enginetest.Store(e).AppendAudit(ctx, tracker.AuditEntry{Action: "retry", JobID: job.ID, Reason: name, Detail: name}))
		enginetest.NoError(t, enginetest.Store(e).AppendAudit(ctx, tracker.AuditEntry{
			Action: "delete", Service: job.Service, Type: job.Type, Instance: job.Instance, TargetID: name, Outcome: tracker.AuditRefused, Reason: name,
		}))
		target := tracker.Target{Service: job.Service, Type: job.Type, Instance: job.Instance, ID: name}
		if _, err := e.Forget(ctx, target, by("ticket 7")); err == nil {
			t.Fatal("Forget succeeded although a job is open")
		}
		_, err := e.Cancel(ctx, open.ID, by("asked by telephone"))
		enginetest.NoError(t, err)
		_, err = e.Forget(ctx, target, by("ticket 7"))
		enginetest.NoError(t, err)

		log, err := e.Reader().AuditLog(ctx, tracker.AuditFilter{})
		enginetest.NoError(t, err)
		var got []string
		for _, entry := range log {
			got = append(got, entry.Action+" "+entry.TargetID+" "+entry.Reason)
			if strings.Contains(entry.TargetID+entry.Reason+entry.Detail, name) {
				t.Errorf("entry %+v names the forgotten target", entry)
			}
		}
		const want = "forget  ticket 7;cancel  ;forget  ticket 7;delete  ;retry  ;cancel b asked by telephone;cancel  "
		if all := strings.Join(got, ";"); all != want {
			t.Errorf("the audit log is %q, want %q", all, want)
		}
		byTarget, err := e.Reader().AuditLog(ctx, tracker.AuditFilter{Target: target})
		enginetest.NoError(t, err)
		if len(byTarget) != 0 {
			t.Errorf("%d entries are found by the forgotten target", len(byTarget))
		}
	})
}
