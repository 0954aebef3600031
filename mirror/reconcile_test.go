package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func resultOf(t testing.TB, job *tracker.Job) nawasync.SyncResult {
	t.Helper()
	var result nawasync.SyncResult
	if err := json.Unmarshal(job.Result, &result); err != nil {
		t.Fatalf("job %d (%s: %s) has the result %q: %v", job.ID, job.Status, job.Error, job.Result, err)
	}
	return result
}

func TestSyncMirrorsTheListWritesOnlyChangesAndTellsDrift(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(numbered(2500)...)
		plan, err := s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
		if err != nil || plan.Created != 2500 || len(s.rows(t)) != 0 {
			t.Fatalf("the plan is %+v, %v", plan, err)
		}
		if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Created != 2500 || got.Proof != "complete" {
			t.Fatalf("the first sync did %+v", got)
		}
		if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Unchanged != 2500 || got.Updated+got.Created+got.Missing != 0 {
			t.Fatalf("a sync of the same did %+v", got)
		}
		s.remote.Put(
			gadget{Instance: "one", Name: "g0001", QuotaMB: new(7), Plan: "basic", Tags: []string{"a", "b"}, Used: 1},
			gadget{Instance: "one", Name: "g0002", QuotaMB: new(102), Plan: "basic", Tags: []string{"a", "b"}, Used: 99},
			gadget{Instance: "one", Name: "g9999"})
		plan, err = s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
		if err != nil || plan.Created != 1 || plan.Updated != 2 || plan.Drifted["quota_mb"] != 1 {
			t.Errorf("the plan is %+v, %v", plan, err)
		}
		got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess))
		if got.Created != 1 || got.Updated != 2 || got.Unchanged != 2498 || len(got.Drifted) != 1 || got.Drifted["quota_mb"] != 1 || len(got.Samples) != 1 {
			t.Errorf("the sync did %+v", got)
		}
		if *s.row(t, "g0001").QuotaMB != 7 || s.row(t, "g0002").Used != 99 {
			t.Error("a change did not arrive")
		}
	})
}

// Whatever is wrong with a listing: nothing is deleted, the run says why.
func TestBadListingDeletesNothingAndSaysWhy(t *testing.T) {
	t.Parallel()
	type pages = []mirror.Page[gadget]
	same := func(total int64, p pages) pages {
		for i := range p {
			p[i].Proof.Total = total
		}
		return p
	}
	bad := map[string]struct {
		pages func(pages) pages
		err   error
		say   string
	}{
		"it ends early":                 {pages: func(p pages) pages { return p[:3] }, say: "the server counts 1000 objects and 300"},
		"it errors on page 7":           {pages: func(p pages) pages { return p[:6] }, err: errors.New("connection reset"), say: "broke off after 600"},
		"a page comes twice":            {pages: func(p pages) pages { return append(p[:9:9], p[8]) }, say: "1000 objects and 900 different"},
		"a row is skipped by an offset": {pages: func(p pages) pages { p[4].Items = p[4].Items[1:]; return p }, say: "1000 objects and 999"},
		"the count changes as rows vanish": {
			pages: func(p pages) pages { p[9].Items = p[9].Items[1:]; p[9].Proof.Total = 999; return p },
			say:   "count of objects changed",
		},
		"it has fewer rows than its total": {pages: func(p pages) pages { return same(1500, p) }, say: "1500 objects and 1000"},
		"an empty list with an error": {
			pages: func(pages) pages { return nil }, err: fault.WithClass(fault.ClassPermanent, errors.New("permission denied")),
			say: "permission denied",
		},
		"no page at all":               {pages: func(pages) pages { return nil }, say: "without a single page"},
		"it ends before its last page": {pages: func(p pages) pages { p[2].Proof = mirror.Proof{}; return p[:3] }, say: "objects and 300"},
		"an empty page where a row has one": {
			pages: func(p pages) pages { p[0].Items = slices.Clone(p[0].Items); p[0].Items[3].Name = ""; return p },
			say:   "object 4 of the listing has a key",
		},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(numbered(1000)...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		for what, b := range bad {
			s.remote.Configure(func() { s.remote.Pages, s.remote.ListErr = b.pages, b.err })
			job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byAnn)
			enginetest.NoError(t, err)
			var now *tracker.Job
			enginetest.Eventually(t, 20*time.Second, what, func() bool {
				now, err = s.engine.Reader().Get(t.Context(), job.ID)
				return err == nil && now.Error != ""
			})
			if !strings.Contains(now.Error, b.say) {
				t.Errorf("%s: it says %q", what, now.Error)
			}
			if !now.Status.Terminal() {
				_, err = s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
				enginetest.NoError(t, err)
			}
			if n := len(s.rows(t)); n != 1000 {
				t.Fatalf("%s: %d rows are left", what, n)
			}
		}
		s.remote.Configure(func() { s.remote.Pages, s.remote.ListErr = nil, nil })
		if got := resultOf(t, s.status(t, s.sync(t), tracker.StatusSuccess)); got.Unchanged != 1000 {
			t.Errorf("afterwards a sync did %+v", got)
		}
	})
}

// thinGadget is what plainGadget was before it got a plan.
type thinGadget struct {
	ID       uint64
	Instance string `sync:"scope"`
	Name     string `sync:"key"`
	QuotaMB  *int   `gorm:"column:quota_mb"`
	nawasync.SyncStatus
}

func (thinGadget) TableName() string { return "plain_gadgets" }

type thinMemory struct{ *memory }

func thin(g gadget) thinGadget {
	return thinGadget{Instance: g.Instance, Name: g.Name, QuotaMB: g.QuotaMB}
}

func (m thinMemory) List(ctx context.Context, scope thinGadget, detail string) iter.Seq2[mirror.Page[thinGadget], error] {
	return func(yield func(mirror.Page[thinGadget], error) bool) {
		for p, err := range m.memory.List(ctx, gadget{Instance: scope.Instance}, detail) {
			out := mirror.Page[thinGadget]{Proof: p.Proof}
			for _, g := range p.Items {
				out.Items = append(out.Items, thin(g))
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func (thinMemory) Get(context.Context, thinGadget) (o mirror.Object[thinGadget], err error) {
	return o, nawasynctest.ErrGone
}

func (thinMemory) Create(context.Context, thinGadget) (o mirror.Object[thinGadget], err error) {
	return o, nawasynctest.ErrGone
}

func (thinMemory) Update(context.Context, mirror.Object[thinGadget], thinGadget, mirror.Diff) (o mirror.Object[thinGadget], err error) {
	return o, nawasynctest.ErrGone
}
func (thinMemory) Delete(context.Context, thinGadget) error { return nawasynctest.ErrGone }

// A plan that is called off says so, whatever ended it.
func TestPlanThatIsCalledOffIsNoResult(t *testing.T) {
	t.Parallel()
	s := idleShop(t, enginetest.New(t, testdb.SQLite(t)))
	s.remote.Put(numbered(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	s.remote.beforePage(func(int) { cancel() })
	if _, err := s.repo.Plan(ctx, gadget{Instance: "one"}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
