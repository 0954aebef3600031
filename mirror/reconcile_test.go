package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
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

// resultOf returns the sync result of a job.
func resultOf(t testing.TB, job *tracker.Job) nawasync.SyncResult {
	t.Helper()
	var result nawasync.SyncResult
	if err := json.Unmarshal(job.Result, &result); err != nil {
		t.Fatalf("job %d (%s: %s) has the result %q: %v", job.ID, job.Status, job.Error, job.Result, err)
	}
	return result
}

func TestSyncMirrorsTheListingWritesOnlyChangesAndReportsDrift(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(numberedGadgets(2500)...)
		plan, err := s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
		if err != nil || plan.Created != 2500 || len(s.rows(t)) != 0 {
			t.Fatalf("plan = %+v, %v, want 2500 created and an empty table", plan, err)
		}
		if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Created != 2500 || got.Proof != "counted" {
			t.Fatalf("result of the first sync = %+v, want 2500 created", got)
		}
		if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Unchanged != 2500 || got.Updated+got.Created+got.Missing != 0 {
			t.Fatalf("result of a sync without changes = %+v, want 2500 unchanged", got)
		}
		s.remote.Put(
			gadget{Instance: "one", Name: "g0001", QuotaMB: new(7), Plan: "basic", Tags: []string{"a", "b"}, Used: 1},
			gadget{Instance: "one", Name: "g0002", QuotaMB: new(102), Plan: "basic", Tags: []string{"a", "b"}, Used: 99},
			gadget{Instance: "one", Name: "g9999"})
		plan, err = s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
		if err != nil || plan.Created != 1 || plan.Updated != 2 || plan.Drifted["quota_mb"] != 1 {
			t.Errorf("plan = %+v, %v, want 1 created and 2 updated, one with drift in quota_mb", plan, err)
		}
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Created != 1 || got.Updated != 2 || got.Unchanged != 2498 || len(got.Drifted) != 1 || got.Drifted["quota_mb"] != 1 || len(got.Samples) != 1 {
			t.Errorf("sync result = %+v, want 1 created, 2 updated and 2498 unchanged, with drift in quota_mb only", got)
		}
		if *s.row(t, "g0001").QuotaMB != 7 || s.row(t, "g0002").Used != 99 {
			t.Errorf("quota of g0001 = %d, used of g0002 = %d, want 7 and 99", *s.row(t, "g0001").QuotaMB, s.row(t, "g0002").Used)
		}
	})
}

func TestBadListingDeletesNothingAndReportsWhy(t *testing.T) {
	t.Parallel()
	type pages = []mirror.Page[gadget]
	withTotal := func(total int64, p pages) pages {
		for i := range p {
			p[i].Proof.Total = total
		}
		return p
	}
	listings := map[string]struct {
		pages func(pages) pages
		err   error  // ends the listing
		want  string // part of the job's error
	}{
		"it ends early":                  {pages: func(p pages) pages { return p[:3] }, want: "the server counts 1000 objects and 300"},
		"page 7 fails":                   {pages: func(p pages) pages { return p[:6] }, err: errors.New("connection reset"), want: "failed after 600"},
		"an object is missing in a page": {pages: func(p pages) pages { p[4].Items = p[4].Items[1:]; return p }, want: "1000 objects and 999"},
		"the total is too high":          {pages: func(p pages) pages { return withTotal(1500, p) }, want: "1500 objects and 1000"},
		"an error instead of pages": {
			pages: func(pages) pages { return nil }, err: fault.WithClass(fault.ClassPermanent, errors.New("permission denied")),
			want: "permission denied",
		},
		"no page and no error":          {pages: func(pages) pages { return nil }, want: "without a single page"},
		"it ends early without a proof": {pages: func(p pages) pages { p[2].Proof = mirror.Proof{}; return p[:3] }, want: "objects and 300"},
		"more than 1 % of the objects have an empty key": {
			pages: func(p pages) pages {
				for i := range 11 {
					p[0].Items[i+3].Name = ""
				}
				return p
			},
			want: "11 of 1000 objects could not be stored, for example: object 4 of the listing has the invalid key",
		},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(numberedGadgets(1000)...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		for name, listing := range listings {
			s.remote.Configure(func() { s.remote.Pages, s.remote.ListErr = listing.pages, listing.err })
			job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
			enginetest.NoError(t, err)
			var current *tracker.Job
			enginetest.Eventually(t, 20*time.Second, "the error of a sync: "+name, func() bool {
				current, err = s.engine.Reader().Get(t.Context(), job.ID)
				return err == nil && current.Error != ""
			})
			if !strings.Contains(current.Error, listing.want) {
				t.Errorf("%s: job error = %q, want %q in it", name, current.Error, listing.want)
			}
			if !current.Status.Terminal() {
				_, err = s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
				enginetest.NoError(t, err)
			}
			if n := len(s.rows(t)); n != 1000 {
				t.Fatalf("%s: %d rows are left, want 1000", name, n)
			}
		}
		s.remote.Configure(func() { s.remote.Pages, s.remote.ListErr = nil, nil })
		if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Unchanged != 1000 {
			t.Errorf("result of a sync with a good listing = %+v, want 1000 unchanged", got)
		}
	})
}

// oldGadget is plainGadget as an older release of an application has it, without the fields Plan and
// Used. It uses the same table.
type oldGadget struct {
	ID       uint64
	Instance string `sync:"scope"`
	Name     string `sync:"key"`
	QuotaMB  *int   `gorm:"column:quota_mb"`
	nawasync.SyncStatus
}

func (oldGadget) TableName() string { return "plain_gadgets" }

// oldGadgetRemote lists the objects of a gadgetRemote as oldGadgets. Its other methods fail.
type oldGadgetRemote struct{ *gadgetRemote }

func toOldGadget(g gadget) oldGadget {
	return oldGadget{Instance: g.Instance, Name: g.Name, QuotaMB: g.QuotaMB}
}

func (m oldGadgetRemote) List(ctx context.Context, scope oldGadget, detail string) iter.Seq2[mirror.Page[oldGadget], error] {
	return func(yield func(mirror.Page[oldGadget], error) bool) {
		for p, err := range m.gadgetRemote.List(ctx, gadget{Instance: scope.Instance}, detail) {
			out := mirror.Page[oldGadget]{Proof: p.Proof}
			for _, g := range p.Items {
				out.Items = append(out.Items, toOldGadget(g))
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func (oldGadgetRemote) Get(context.Context, oldGadget) (o mirror.Object[oldGadget], err error) {
	return o, nawasynctest.ErrGone
}

func (oldGadgetRemote) Create(context.Context, oldGadget) (o mirror.Object[oldGadget], err error) {
	return o, nawasynctest.ErrGone
}

func (oldGadgetRemote) Update(context.Context, mirror.Object[oldGadget], oldGadget, mirror.FieldDiff) (o mirror.Object[oldGadget], err error) {
	return o, nawasynctest.ErrGone
}
func (oldGadgetRemote) Delete(context.Context, oldGadget) error { return nawasynctest.ErrGone }

func TestCancelledPlanReturnsTheError(t *testing.T) {
	t.Parallel()
	s := newIdleShop(t, enginetest.New(t, testdb.SQLite(t)))
	s.remote.Put(numberedGadgets(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	s.remote.beforePage(func(int) { cancel() })
	if _, err := s.repo.Plan(ctx, gadget{Instance: "one"}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Plan with a cancelled context: error = %v, want context.Canceled", err)
	}
}
