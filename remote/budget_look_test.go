package remote //nolint:testpackage // see budget_world_test.go

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

func (u *BudgetUse) text() string {
	return fmt.Sprintf("%s %d/%d in %s people %d syncs %d bulk %d shared %v", u.Scope, u.Left, u.Calls, u.Window, u.People.Used, u.Syncs.Used, u.Bulk.Used, u.Shared)
}

func texts(list []BudgetUse) (out []string) {
	for i := range list {
		out = append(out, list[i].text())
	}
	return out
}

// spendAs takes calls of the limit scope acme one by one.
func spendAs(t *testing.T, r *Remote, s remotecall.Spender, n int) {
	t.Helper()
	ctx := remotecall.With(t.Context(), &remotecall.Job{Spender: s})
	for range n {
		if err := r.takeBudget(ctx, "acme", ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAProcessThatMakesNoCallsSeesTheBudgetsOfTheOthers(t *testing.T) {
	t.Parallel()
	server, client := miniRedis(t)
	w := newWorld(t, 2, tenth(), client)
	worker, pages := w.processes[0], w.processes[1]
	worker.budgets.settle = 0
	spendAs(t, worker, remotecall.People, 5)
	w.step(20 * time.Second)
	spendAs(t, worker, remotecall.Syncs, 7)
	spendAs(t, worker, remotecall.Bulk, 9)
	keys := server.Keys()
	look := func() []string { return texts(pages.BudgetsIn(t.Context(), []string{"idle", "acme", "acme"})) }
	want := []string{"acme 99/120 in 1m0s people 5 syncs 7 bulk 9 shared true", "idle 120/120 in 1m0s people 0 syncs 0 bulk 0 shared true"}
	if got := look(); !slices.Equal(got, want) {
		t.Errorf("the budgets are\n%q, want\n%q", got, want)
	}
	if !slices.Equal(server.Keys(), keys) || len(pages.Budgets(t.Context())) != 0 {
		t.Errorf("looking has left %q, want %q", server.Keys(), keys)
	}
	w.step(45 * time.Second)
	want[0] = "acme 104/120 in 1m0s people 0 syncs 7 bulk 9 shared true"
	if got := look(); !slices.Equal(got, want) {
		t.Errorf("65 s later, the budgets are\n%q, want\n%q", got, want)
	}
	if _, err := worker.budgets.of("acme", "")[0].do(t.Context(), request{Notice: notice{Silence: 30_000}}); err != nil {
		t.Fatal(err)
	}
	if silent := pages.BudgetsIn(t.Context(), []string{"acme"})[0].SilentUntil.Sub(pages.budgets.now()); silent != 30*time.Second {
		t.Errorf("the server asked for 30 s of silence; the other process sees %s", silent)
	}
}

func TestBudgetsWithoutAnswerOfRedisAreUnknown(t *testing.T) {
	t.Parallel()
	server, client := miniRedis(t)
	w := newWorld(t, 1, tenth(), client)
	server.SetError("LOADING Redis is loading the dataset in memory")
	away := w.now
	for range 2 {
		u := w.processes[0].BudgetsIn(t.Context(), []string{"acme"})[0]
		if u.Left != -1 || u.People.Used != -1 || !u.AwaySince.Equal(away) || !u.LastsUntil(1e6).IsZero() {
			t.Errorf("without Redis since %s the budget is %+v", away, u)
		}
		w.step(10 * time.Second)
	}
	server.SetError("")
	if u := w.processes[0].BudgetsIn(t.Context(), []string{"acme"})[0]; u.Left != 120 || !u.AwaySince.IsZero() {
		t.Errorf("with Redis again the budget is %+v", u)
	}
}

func TestWithoutRedisOnlyBudgetsOfThisProcessAreSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, tenth(), nil)
	spendAs(t, w.processes[0], remotecall.Bulk, 3)
	want := []string{"acme 117/120 in 1m0s people 0 syncs 0 bulk 3 shared false"}
	if got := texts(w.processes[0].BudgetsIn(t.Context(), []string{"acme", "idle"})); !slices.Equal(got, want) {
		t.Errorf("the budgets are %q, want %q", got, want)
	}
	if got := texts(w.processes[1].BudgetsIn(t.Context(), []string{"acme"})); len(got) != 0 {
		t.Errorf("another process sees %q", got)
	}
}

func TestForecastOfABudgetCountsTheCallsThatLeaveItsWindow(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	in := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	for name, c := range map[string]struct {
		left    int
		leaving []leaving
		rate    float64
		want    time.Time
	}{
		"no calls":                       {600, nil, 0, time.Time{}},
		"used up before any leave":       {600, []leaving{{in(4), 600}}, 200, in(3)},
		"used up after some have left":   {200, []leaving{{in(1), 300}, {in(4), 700}}, 200, now.Add(150 * time.Second)},
		"as many leave as are made":      {200, []leaving{{in(1), 200}, {in(2), 200}, {in(3), 200}, {in(4), 200}, {in(5), 200}}, 200, time.Time{}},
		"more than a window has":         {1200, nil, 300, in(4)},
		"fewer than a window has":        {1200, nil, 230, time.Time{}},
		"none are left":                  {0, []leaving{{in(4), 1200}}, 100, now},
		"how many are left is not known": {-1, nil, 100, time.Time{}},
	} {
		u := BudgetUse{BudgetState: BudgetState{Budget: cloudflare(), Left: c.left}, at: now, leaving: c.leaving}
		if got := u.LastsUntil(c.rate); !got.Equal(c.want) {
			t.Errorf("%s: the calls last until %s, want %s", name, got, c.want)
		}
	}
}
