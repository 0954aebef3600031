package mirror_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func (s *shop) update(t testing.TB, seen gadget, change func(*gadget)) *tracker.Job {
	t.Helper()
	job, err := s.repo.Update(t.Context(), seen, change, byAnn)
	enginetest.NoError(t, err)
	return job
}

// elsewhere is somebody else's change at the remote.
func (s *shop) elsewhere(name string, change func(*gadget)) {
	g, _ := s.remote.look(name)
	change(&g)
	s.remote.Put(g)
}

// shop is a repository of gadgets at work.
type shop struct {
	*enginetest.Harness
	remote *memory
	engine *nawasync.Engine
	repo   nawasync.SyncedRepository[gadget]
	plain  nawasync.SyncedRepository[plainGadget]
}

// open makes an engine with the repositories, as a process would.
func (s *shop) open(t *testing.T) {
	t.Helper()
	s.engine = s.Engine(func(c *nawasync.Config) {
		c.Sealer = enginetest.Keyring(t, shopKey)
	})
	var err error
	s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{
		Service: "shop", Type: "gadget", Remote: s.remote, Details: []string{"light"}, Search: []string{"name", "plan"},
		Actions: mirror.Actions{Update: []string{"update", "update_quota"}, Sync: "sync_gadgets"},
	})
	enginetest.NoError(t, err)
	s.plain, err = mirror.New(s.engine, mirror.Config[plainGadget]{Service: "shop", Type: "plain_gadget", Remote: plainMemory{s.remote}})
	enginetest.NoError(t, err)
}

// sync runs a sync to its end.
func (s *shop) sync(t testing.TB) *tracker.Job {
	t.Helper()
	job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byAnn)
	enginetest.NoError(t, err)
	return s.ended(t, job)
}

// ended waits until a job has ended.
func (s *shop) ended(t testing.TB, job *tracker.Job) *tracker.Job {
	t.Helper()
	var now *tracker.Job
	enginetest.Eventually(t, 40*time.Second, fmt.Sprintf("job %d (%s) ended", job.ID, job.Action), func() bool {
		var err error
		now, err = s.engine.Reader().Get(context.Background(), job.ID)
		return err == nil && now.Status.Terminal()
	})
	return now
}

func (s *shop) status(t testing.TB, job *tracker.Job, want tracker.Status) *tracker.Job {
	t.Helper()
	now := s.ended(t, job)
	if now.Status != want {
		t.Fatalf("job %d (%s) is %s, not %s: %s", job.ID, job.Action, now.Status, want, now.Error)
	}
	return now
}

func (s *shop) row(t testing.TB, name string) gadget {
	t.Helper()
	g, err := s.repo.FindKey(t.Context(), gadget{Instance: "one", Name: name})
	enginetest.NoError(t, err)
	return g
}

// rows are all rows by name.
func (s *shop) rows(t testing.TB) map[string]gadget {
	t.Helper()
	found := map[string]gadget{}
	for g, err := range s.repo.All(t.Context(), nawasync.Query{}) {
		enginetest.NoError(t, err)
		found[g.Name] = g
	}
	return found
}

// history is what syncs noted of a gadget, the newest first.
func (s *shop) history(t testing.TB, name string) (kinds []tracker.ChangeKind, newest tracker.Change) {
	t.Helper()
	list, err := s.engine.Reader().Changes(t.Context(), tracker.Target{Service: "shop", Type: "gadget", Instance: "one", ID: name}, time.Time{}, time.Time{}, 100)
	enginetest.NoError(t, err)
	for _, c := range list {
		kinds = append(kinds, c.Kind)
	}
	if len(list) > 0 {
		newest = list[0]
	}
	return kinds, newest
}

// pages reads a list to its end, page by page; between runs between two of them.
func (s *shop) pages(t testing.TB, q nawasync.Query, between func()) (found []string) {
	t.Helper()
	for {
		page, err := s.repo.List(t.Context(), q)
		enginetest.NoError(t, err)
		for _, g := range page.Items {
			found = append(found, g.Name)
		}
		if page.Next == "" {
			return found
		}
		q.After = page.Next
		if between != nil {
			between()
		}
	}
}

// settle syncs until the rows are the remote's, which must be soon: rows of endings a
// moment ago are left alone, what is absent goes after two runs, and a conflict or a
// creation that failed is left to a person.
func (s *shop) settle(rt *rapid.T, t *testing.T) {
	t.Helper()
	var wrong string
	for range 12 {
		wrong = ""
		s.sync(t)
		rows := s.rows(t)
		for _, there := range s.remote.Objects() {
			row, found := rows[there.Name]
			switch {
			case !found:
				wrong = there.Name + " has no row"
			case row.IsPending(), row.State == nawasync.StateMissing, row.State == nawasync.StateFailed:
				wrong = fmt.Sprintf("%s is there, and its row %s", there.Name, row.State)
			case row.Plan != there.Plan || (row.QuotaMB == nil) != (there.QuotaMB == nil) || (row.QuotaMB != nil && *row.QuotaMB != *there.QuotaMB):
				wrong = there.Name + " differs from its row"
			}
		}
		for name, row := range rows {
			if _, there := s.remote.look(name); !there && (row.State == nawasync.StateSynced || row.IsPending()) {
				wrong = fmt.Sprintf("%s is not there, and its row %s", name, row.State)
			}
		}
		if wrong == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	rt.Fatalf("it does not come to rest: %s", wrong)
}

// newShop has a started engine.
func newShop(t *testing.T, h *enginetest.Harness) *shop {
	t.Helper()
	s := idleShop(t, h)
	h.Start(s.engine)
	return s
}

// idleShop has one that is not: jobs wait until another takes them.
func idleShop(t *testing.T, h *enginetest.Harness) *shop {
	t.Helper()
	createGadgets(t, h)
	s := &shop{Harness: h, remote: newMemory()}
	s.open(t)
	return s
}

// shopKey is the same in every process of a test.
//
//go:fix inline
var shopKey = []byte(strings.Repeat("k", 32))

var byAnn = nawasync.Options{By: "user:7"}

func numbered(n int) []gadget {
	list := make([]gadget, n)
	for i := range list {
		list[i] = gadget{Instance: "one", Name: fmt.Sprintf("g%04d", i), QuotaMB: new(100 + i), Plan: "basic", Tags: []string{"b", "a"}, Used: int64(i)}
	}
	return list
}

func names(rows map[string]gadget) []string { return slices.Sorted(maps.Keys(rows)) }

func setPlan(p string) func(*gadget) {
	return func(g *gadget) { g.Plan = p }
}

func setQuota(n int) func(*gadget) { return func(g *gadget) { g.QuotaMB = new(n) } }

// stocked is a shop with synced gadgets.
func stocked(t *testing.T, db *testdb.Database, n int) *shop {
	t.Helper()
	s := newShop(t, enginetest.New(t, db))
	s.remote.Put(numbered(n)...)
	s.status(t, s.sync(t), tracker.StatusSuccess)
	return s
}

// waitForRow syncs until a row is as it should be: one whose job ended a moment ago
// is left alone.
func waitForRow(t testing.TB, s *shop, name string, want func(gadget) bool) {
	t.Helper()
	enginetest.Eventually(t, 10*time.Second, name+" as it should be", func() bool {
		if want(s.row(t, name)) {
			return true
		}
		s.sync(t)
		return want(s.row(t, name))
	})
}
