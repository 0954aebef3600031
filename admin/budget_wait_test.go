package admin_test

import (
	"regexp"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

func TestJobThatWaitsForABudgetSaysForWhichAndUntilWhen(t *testing.T) {
	t.Parallel()
	own := newBudgeted(t, nil)
	w := newWorldOf(t, testdb.SQLite(t), func(c *nawasync.Config) { c.Remotes = []*remote.Remote{own} })
	noError(t, enginetest.Store(w.engine).AddProcess(t.Context(), tracker.Process{ID: "p", Kinds: []string{"qhost/domain/park"}, Queues: []string{"default"}}))
	job := func(instance string) int64 {
		t.Helper()
		for _, p := range w.places {
			if p.instance == instance && p.service == "qhost" {
				return p.queued.ID
			}
		}
		return 0
	}
	check := func(instance, want string) {
		t.Helper()
		if page := w.jobPage("operator", job(instance)); !regexp.MustCompile(want).MatchString(page) {
			t.Errorf("the page of the job on %s does not say %q:\n%s", instance, want, page)
		}
	}
	spend(t, own, "qalpha", remotecall.People, 400)
	check("qalpha", `waiting for the budget of qhost on qalpha: its 400 calls in 5.min are used up\. The next calls are free at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	const free = "has been waiting for a worker"
	check("qbeta", free)
	q := remotecall.Request{Scope: "qbeta", Spender: remotecall.Bulk, Calls: 1, Jobs: 400}
	if n := own.Link(remotecall.NewKey()).Reserve(t.Context(), []remotecall.Request{q})[0].Jobs; n < 300 || n == 400 {
		t.Fatalf("bulk got %d of 400 calls", n)
	}
	check("qbeta", free)
	noError(t, w.db.Exec("UPDATE nawasync_jobs SET queue = ? WHERE id = ?", nawasync.BulkQueue, job("qbeta")).Error)
	check("qbeta", `waiting for the budget of qhost on qbeta: of its 400 calls in 5.min, [0-9]+ are left, and kept for other jobs\. More may be free at \d{4}-`)
	if err := callRefused(t, own, "qgroup/one"); err == nil {
		t.Error("the server has not asked for silence")
	}
	check("qgroup/one", `waiting because the remote asks for no calls of qhost on qgroup/one until \d{4}-`)
}
