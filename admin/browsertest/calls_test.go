package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/remote"
)

// budgetedRemote returns the Remote of whm, with a budget.
func budgetedRemote(t *testing.T) *remote.Remote {
	t.Helper()
	r, err := remote.New(remote.Config{Service: "whm", Budgets: []remote.Budget{{Calls: 6000, Window: 10 * time.Minute}}})
	noError(t, err)
	return r
}

// fillBudgets uses most of the budget of an instance, and some of another one's.
func (s *site) fillBudgets(t *testing.T) {
	t.Helper()
	link := s.whm.Link(remotecall.NewKey())
	for spender, calls := range []int{remotecall.People: 40, remotecall.Syncs: 900, remotecall.Bulk: 3000} {
		link.Reserve(t.Context(), []remotecall.Request{{Scope: "main", Spender: remotecall.Spender(spender), Calls: 1, Jobs: calls}})
	}
	link.Reserve(t.Context(), []remotecall.Request{{Scope: "backup", Calls: 1, Jobs: 1}})
}

// fillCalls stores calls of the external API, and those of the attempt of a job.
func (s *site) fillCalls(t *testing.T, db *gorm.DB) {
	t.Helper()
	l := remotecall.NewLedger("whm", func(text string, _ int) string { return text })
	now := s.engine.Reader().Now()
	for minute := range 8 {
		for i, template := range []string{"Email::list_pops_with_disk", "Email::edit_pop_quota", hostile[0], "/" + strings.Repeat("unbroken", 20)} {
			for n := range 30 * (i + 1) {
				call := remotecall.Call{
					Scope: "main", Method: []string{"GET", "POST"}[i%2], Template: template, Status: 200, Start: now.Add(time.Duration(minute-8) * time.Minute),
					Duration: time.Duration(20+n*3) * time.Millisecond, Left: int64(6000 - 600*minute - n),
				}
				if n%20 == 19 {
					call.Class = []string{"transient", "rate_limited", "timeout", "conflict"}[n/20%4]
				}
				if i == 3 {
					call.Scope, call.Left = "backup", -1
				}
				l.Add(t.Context(), call)
			}
		}
	}
	store := s.engine.Internals(host.NewKey()).Store()
	_, err := store.InsertCalls(t.Context(), "whm", l.Take())
	noError(t, err)
	_, err = store.RollupCalls(t.Context(), 1000)
	noError(t, err)
	var calls []string
	for i, template := range []string{"Email::list_pops", "Email::edit_pop_quota", "/" + strings.Repeat("unbroken", 20)} {
		calls = append(calls, fmt.Sprintf(`{"m":"POST","t":%q,"s":%d,"c":%q,"at":%d,"d":%d}`, template, 200+i*150, []string{"", "conflict", "transient"}[i], now.UnixMicro(), 39_000*(i+1)))
	}
	noError(t, db.Exec("UPDATE nawasync_attempts SET calls = ? WHERE job_id IN ?", `{"calls":[`+strings.Join(calls, ",")+`]}`, []int64{s.failed, s.panicked}).Error)
}
