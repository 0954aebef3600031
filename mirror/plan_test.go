package mirror_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// plannedText returns the planned changes as lines of text.
func plannedText(plan nawasync.SyncResult) (lines []string) {
	for _, c := range plan.Planned {
		line := fmt.Sprintf("%s %s", c.Kind, c.TargetID)
		if (c.Row == 0) != (c.Kind == tracker.ChangeAppeared) {
			line += fmt.Sprintf(" of row %d", c.Row)
		}
		var fields []string
		for column, v := range c.Fields {
			fields = append(fields, fmt.Sprintf(" %s:%s>%s", column, v.From, v.To))
		}
		slices.Sort(fields)
		lines = append(lines, line+strings.Join(fields, ""))
	}
	slices.Sort(lines)
	return lines
}

// runFirst runs the job that is due first, and no other.
func (m *mirrored[T]) runFirst() error {
	internals := m.engine.Internals(host.NewKey())
	due, _, err := internals.FirstDue(m.t.Context())
	if err != nil {
		return err
	}
	return internals.RunDue(m.t.Context(), due)
}

func TestPlanOfAJobHasEveryChangeByFieldAndWritesNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		remote := &nawasynctest.FakeRemote[wishBox]{Key: func(b wishBox) string { return b.Name }}
		m := newMirroredOn(h, "wish_boxes", wishBoxColumns, mirror.Config[wishBox]{Remote: remote, Settle: -1, MissingRuns: 9}, func(c *nawasync.Config) {
			c.Sealer, c.Secrets = enginetest.Keyring(t, enginetest.NewKey(t)), []nawasync.Secret{nawasync.NewSecret(ownCredential)}
		})
		engine := h.Engine(func(c *nawasync.Config) { c.Now = m.clock.Now })
		web, err := mirror.New(engine, mirror.Config[wishBox]{Service: "api", Type: "wish_boxes"})
		enginetest.NoError(t, err)
		box := func(name, plan string) wishBox { return wishBox{Realm: "r", Name: name, Plan: plan} }
		remote.Put(box("back", "p"), box("gone", "p"), box("changed", "p"), box("used", "p"), box("same", "p"), box("busy", "p"))
		m.sync(wishBox{Realm: "r"})
		remote.Drop(box("back", ""))
		m.sync(wishBox{Realm: "r"}) // it is missing
		remote.Drop(box("gone", ""))
		changed, used := box("changed", "with "+ownCredential), box("used", "p")
		changed.Quota, changed.Combo, changed.Token, used.Used = new(int64(7)), "new-combo-value", "new-token-value", 5
		changed.Doc = map[string]any{"password": "doc-password-value", "text": strings.Repeat("x", 5000)}
		remote.Put(box("back", "p"), changed, used, box("new", "p"), box("busy", "q"))
		waiting := m.dispatched(m.Update(t.Context(), boxOf(t, m, "busy"), func(b *wishBox) { b.Plan = "mine" }, nawasync.Options{Delay: time.Hour}))
		before := m.rows()

		job, err := web.PlanNow(t.Context(), wishBox{Realm: "r"}, "", byUser) // from a process without a Remote
		enginetest.NoError(t, err)
		if again, err := web.PlanNow(t.Context(), wishBox{Realm: "r"}, "", byUser); err != nil || again.ID != job.ID || !again.Coalesced {
			t.Errorf("a second plan is %+v, %v; want the first one", again, err)
		}
		if _, err := web.PlanOf(t.Context(), wishBox{Realm: "r"}, job.ID); !errors.Is(err, nawasync.ErrNotEnded) {
			t.Errorf("the plan before it has run: error = %v, want ErrNotEnded", err)
		}
		if open, err := web.OpenSync(t.Context(), wishBox{Realm: "r"}); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("the plan counts as the open sync: %+v, %v", open, err)
		}
		synced, err := web.LastSyncedAt(t.Context(), wishBox{Realm: "r"})
		enginetest.NoError(t, err)
		enginetest.NoError(t, m.runFirst())
		m.ends(m.job(job.ID), tracker.StatusSuccess, "")

		plan, err := web.PlanOf(t.Context(), wishBox{Realm: "r"}, job.ID)
		enginetest.NoError(t, err)
		if plan.Listed != 6 || plan.Created != 1 || plan.Updated != 3 || plan.Missing != 1 || plan.InFlight != 1 || plan.PlannedMore != 0 {
			t.Errorf("the plan is %+v", plan)
		}
		lines := plannedText(plan)
		want := []string{"appeared new", "drifted changed", "drifted used used:0>5", "returned back", "vanished gone"}
		if len(lines) != len(want) {
			t.Fatalf("planned changes:\n%s", strings.Join(lines, "\n"))
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, want[i]) {
				t.Errorf("planned change %q, want %q", line, want[i])
			}
		}
		for _, part := range []string{` combo:"***">"***"`, ` token:"***">"***"`, " quota:null>7", ` plan:"p">"with ***"`, ` doc:null>"{`} {
			if !strings.Contains(lines[1], part) {
				t.Errorf("the planned change is %s, want %s in it", lines[1], part)
			}
		}
		if plan.Planned[0].Kind != tracker.ChangeVanished {
			t.Errorf("the first change is %+v, want what is missing", plan.Planned[0])
		}
		if after := m.rows(); !reflect.DeepEqual(after, before) {
			t.Errorf("the plan has changed rows from\n%+v to\n%+v", before, after)
		}
		if last, err := web.LastSyncedAt(t.Context(), wishBox{Realm: "r"}); err != nil || !last.Equal(synced) {
			t.Errorf("the plan counts as a sync: last synced at %s, %v, was %s", last, err, synced)
		}
		if _, err := web.PlanOf(t.Context(), wishBox{Realm: "other"}, job.ID); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("the plan of another scope: error = %v, want ErrNotFound", err)
		}
		if _, err := web.PlanOf(t.Context(), wishBox{Realm: "r"}, waiting); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("another job's plan: error = %v, want ErrNotFound", err)
		}
		enginetest.RequireNoSecret(
			t,
			"the database",
			enginetest.DumpDatabase(t, h, "wish_boxes"),
			ownCredential,
			"new-combo-value",
			"new-token-value",
			"doc-password-value",
		)
		// A plan in the process of the worker has the same.
		here, err := m.Plan(t.Context(), wishBox{Realm: "r"}, "")
		enginetest.NoError(t, err)
		if got := plannedText(here); !slices.Equal(got, lines) {
			t.Errorf("Plan has\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
		}
	})
}

func TestPlanOfManyChangesIsBoundedAndNamesEachKind(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var list []wishBox
		for i := range 450 {
			list = append(list, wishBox{Realm: "r", Name: fmt.Sprintf("%03d-%s", i, strings.Repeat("n", 90)), Plan: strings.Repeat("p", 300)})
		}
		remote := &nawasynctest.FakeRemote[wishBox]{Key: func(b wishBox) string { return b.Name }}
		remote.Put(list[:300]...)
		m := newMirroredOn(enginetest.New(t, db), "wish_boxes", wishBoxColumns, mirror.Config[wishBox]{Remote: remote, Settle: -1}, func(c *nawasync.Config) {
			c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t))
		})
		m.sync(wishBox{Realm: "r"})
		for i := range list {
			switch {
			case i < 125:
				list[i].Used = 3
				remote.Put(list[i])
			case i < 150:
				list[i].Plan = strings.Repeat("q", 300)
				remote.Put(list[i])
			case i >= 290:
				remote.Drop(list[i])
			}
		}
		remote.Put(list[300:]...)
		job := m.drain(m.PlanNow(t.Context(), wishBox{Realm: "r"}, "", byUser))
		m.ends(job, tracker.StatusSuccess, "")
		plan := resultOf(t, job)
		if plan.Created != 150 || plan.Updated != 150 || plan.Missing != 10 {
			t.Errorf("the plan counts %d new, %d changed and %d missing rows", plan.Created, plan.Updated, plan.Missing)
		}
		n := map[tracker.ChangeKind]int{}
		observed := 0
		for _, c := range plan.Planned {
			n[c.Kind]++
			if len(c.Fields) == 1 && c.Fields["used"].To != nil {
				observed++
			}
			for column, v := range c.Fields {
				if len(v.To) > 300 || !json.Valid(v.To) {
					t.Fatalf("the planned value of %s is %s", column, v.To)
				}
			}
		}
		total := len(plan.Planned)
		if n[tracker.ChangeVanished] != 10 || n[tracker.ChangeDrifted]-observed < 20 || observed < 20 || n[tracker.ChangeAppeared] < 20 || total > 200 {
			t.Errorf("of %d planned changes: %v, %d of them only observed", total, n, observed)
		}
		if plan.PlannedMore != int64(310-total) || len(job.Result) > 60<<10 {
			t.Errorf("%d more changes than %d, in %d bytes; want 310 in all", plan.PlannedMore, total, len(job.Result))
		}
	})
}

func TestPlanSaysThatASyncWouldBeHeld(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	remote := &nawasynctest.FakeRemote[wishBox]{Key: func(b wishBox) string { return b.Name }}
	for i := range 30 {
		remote.Put(wishBox{Realm: "r", Name: fmt.Sprint(i)})
	}
	m := newMirroredOn(enginetest.New(t, db), "wish_boxes", wishBoxColumns, mirror.Config[wishBox]{Remote: remote, Settle: -1}, func(c *nawasync.Config) {
		c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t))
	})
	m.sync(wishBox{Realm: "r"})
	for i := range 25 {
		remote.Drop(wishBox{Realm: "r", Name: fmt.Sprint(i)})
	}
	job := m.drain(m.PlanNow(t.Context(), wishBox{Realm: "r"}, "", byUser))
	m.ends(job, tracker.StatusSuccess, "")
	if plan := resultOf(t, job); plan.Held != -1 || plan.Missing != 25 || len(plan.Planned) != 25 {
		t.Errorf("the plan is %+v, want 25 missing rows and that the sync would be held", plan)
	}
	if holds, err := m.engine.Reader().Holds(t.Context(), "api", "wish_boxes", true, 10); err != nil || len(holds) != 0 {
		t.Errorf("the plan has held a sync: %+v, %v", holds, err)
	}
}

func TestPlanOfARemoteWithTooManyCallsEndsAndSaysSo(t *testing.T) {
	t.Parallel()
	_, m := newPaged(t, testdb.SQLite(t), 200, withoutCursors)
	job := m.drain(m.PlanNow(t.Context(), person{Realm: "r"}, "", byUser))
	m.ends(job, tracker.StatusFailed, "needs more calls than the remote's rate limit allows")
	if _, err := m.PlanOf(t.Context(), person{Realm: "r"}, job.ID); err == nil || !strings.Contains(err.Error(), "failed") {
		t.Errorf("the plan of a failed job: error = %v", err)
	}
}
