package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
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
		s.remote.put(numbered(2500)...)
		plan, err := s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
		if err != nil || plan.Created != 2500 || len(s.rows(t)) != 0 {
			t.Fatalf("the plan is %+v, %v", plan, err)
		}
		if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Created != 2500 || got.Proof != "complete" {
			t.Fatalf("the first sync did %+v", got)
		}
		if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Unchanged != 2500 || got.Updated+got.Created+got.Missing != 0 {
			t.Fatalf("a sync of the same did %+v", got)
		}
		s.remote.put(
			gadget{Instance: "one", Name: "g0001", QuotaMB: new(7), Plan: "basic", Tags: []string{"a", "b"}, Used: 1},
			gadget{Instance: "one", Name: "g0002", QuotaMB: new(102), Plan: "basic", Tags: []string{"a", "b"}, Used: 99},
			gadget{Instance: "one", Name: "g9999"})
		plan, err = s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
		if err != nil || plan.Created != 1 || plan.Updated != 2 || plan.Drifted["quota_mb"] != 1 {
			t.Errorf("the plan is %+v, %v", plan, err)
		}
		got := resultOf(t, s.status(t, s.sync(t), tracker.Success))
		if got.Created != 1 || got.Updated != 2 || got.Unchanged != 2498 || len(got.Drifted) != 1 || got.Drifted["quota_mb"] != 1 || len(got.Samples) != 1 {
			t.Errorf("the sync did %+v", got)
		}
		if *s.row(t, "g0001").QuotaMB != 7 || s.row(t, "g0002").Used != 99 {
			t.Error("a change did not arrive")
		}
	})
}

func TestLightPagesChangeOnlyTheColumnsTheyName(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.put(numbered(3)...)
		s.status(t, s.sync(t), tracker.Success)
		s.remote.put(gadget{Instance: "one", Name: "g0001", QuotaMB: new(9), Plan: "gold", Tags: []string{"a", "b"}})
		job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "light", by)
		enginetest.OK(t, err)
		if got := resultOf(t, s.status(t, job, tracker.Success)); got.Updated != 1 || got.Unchanged != 2 {
			t.Errorf("the light sync did %+v", got)
		}
		if row := s.row(t, "g0001"); row.Plan != "gold" || *row.QuotaMB != 101 || row.Used != 1 {
			t.Errorf("the row is %+v", row)
		}
		got := resultOf(t, s.status(t, s.sync(t), tracker.Success))
		if got.Updated != 1 || got.Drifted["quota_mb"] != 1 || got.Drifted["plan"] != 0 {
			t.Errorf("the full sync after it did %+v", got)
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
		"it ends early":                     {pages: func(p pages) pages { return p[:3] }, say: "the server counts 1000 objects and 300"},
		"it errors on page 7":               {pages: func(p pages) pages { return p[:6] }, err: errors.New("connection reset"), say: "broke off after 600"},
		"a page comes twice":                {pages: func(p pages) pages { return append(p[:9:9], p[8]) }, say: "1000 objects and 900 different"},
		"a row is skipped by an offset":     {pages: func(p pages) pages { p[4].Items = p[4].Items[1:]; return p }, say: "1000 objects and 999"},
		"the count changes as rows vanish":  {pages: func(p pages) pages { p[9].Items = p[9].Items[1:]; p[9].Proof.Total = 999; return p }, say: "count of objects changed"},
		"it has fewer rows than its total":  {pages: func(p pages) pages { return same(1500, p) }, say: "1500 objects and 1000"},
		"an empty list with an error":       {pages: func(pages) pages { return nil }, err: fault.WithClass(fault.Permanent, errors.New("permission denied")), say: "permission denied"},
		"no page at all":                    {pages: func(pages) pages { return nil }, say: "without a single page"},
		"it ends before its last page":      {pages: func(p pages) pages { p[2].Proof = mirror.Proof{}; return p[:3] }, say: "objects and 300"},
		"an empty page where a row has one": {pages: func(p pages) pages { p[0].Items = slices.Clone(p[0].Items); p[0].Items[3].Name = ""; return p }, say: "object 4 of the listing has a key"},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.put(numbered(1000)...)
		s.status(t, s.sync(t), tracker.Success)
		for what, b := range bad {
			s.remote.pages, s.remote.listErr = b.pages, b.err
			job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", by)
			enginetest.OK(t, err)
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
				enginetest.OK(t, err)
			}
			if n := len(s.rows(t)); n != 1000 {
				t.Fatalf("%s: %d rows are left", what, n)
			}
		}
		s.remote.pages, s.remote.listErr = nil, nil
		if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Unchanged != 1000 {
			t.Errorf("afterwards a sync did %+v", got)
		}
	})
}

func TestUnprovenListingDeletesNothingAndAnExhaustedOneOnlyWhatGetAnswersGone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numbered(20)
		s.remote.put(list...)
		s.status(t, s.sync(t), tracker.Success)
		s.remote.drop(list[4])
		level := mirror.Unproven
		s.remote.pages = func(p []mirror.Page[gadget]) []mirror.Page[gadget] {
			p[0].Proof = mirror.Proof{Level: level}
			p[0].Items = p[0].Items[1:] // g0000 is there, and not in the list
			return p
		}
		if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Missing != 0 || got.Proof != "unproven" {
			t.Errorf("an unproven listing did %+v", got)
		}
		level = mirror.Exhausted
		for run := range 2 {
			if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Missing != 1 || got.Deleted != int64(run) {
				t.Errorf("run %d of an exhausted listing did %+v", run, got)
			}
		}
		rows := s.rows(t)
		if _, there := rows["g0000"]; !there || len(rows) != 19 {
			t.Errorf("left are %v", names(rows))
		}
	})
}

func TestVanishedRowsAreMissingFirstAndDeletedAfterTwoCompleteRuns(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numbered(20)
		s.remote.put(list...)
		s.status(t, s.sync(t), tracker.Success)
		s.remote.drop(list[3], list[4])
		s.status(t, s.sync(t), tracker.Success)
		if row := s.row(t, "g0003"); row.State != nawasync.StateMissing || row.MissingSince.IsZero() || row.MissingRuns != 1 {
			t.Errorf("the row is %+v", row.SyncStatus)
		}
		s.remote.put(list[3]) // it comes back
		if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Deleted != 1 || got.Updated != 1 {
			t.Errorf("the sync did %+v", got)
		}
		if row := s.row(t, "g0003"); row.State != nawasync.StateSynced || !row.MissingSince.IsZero() || row.MissingRuns != 0 {
			t.Errorf("the row is %+v", row.SyncStatus)
		}
	})
}

func TestTooManyDeletionsAreHeldReleasedRejectedOrWithdrawn(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numbered(100)
		s.remote.put(list...)
		s.status(t, s.sync(t), tracker.Success)
		hold := func() tracker.Hold {
			t.Helper()
			s.remote.drop(list[:31]...)
			s.remote.put(gadget{Instance: "one", Name: fmt.Sprintf("new%d", s.remote.count("list"))})
			job := s.status(t, s.sync(t), tracker.Conflict)
			if !strings.Contains(job.Error, "31 of") || job.ErrorClass != "held" || resultOf(t, job).Created != 1 {
				t.Fatalf("the held run says %q, %q, %+v", job.Error, job.ErrorClass, resultOf(t, job))
			}
			open, err := s.engine.Reader().Holds(t.Context(), "shop", "gadget", true, 10)
			if err != nil || len(open) != 1 || open[0].Absent != 31 {
				t.Fatalf("held are %+v, %v", open, err)
			}
			return open[0]
		}
		// Held: nothing goes, however often it is run.
		first := hold()
		if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Held != first.ID || got.Deleted != 0 {
			t.Errorf("a run beside the hold did %+v", got)
		}
		// Back again: withdrawn.
		s.remote.put(list[:31]...)
		s.status(t, s.sync(t), tracker.Success)
		if h, err := s.engine.Reader().Hold(t.Context(), first.ID); err != nil || h.Status != tracker.HoldWithdrawn {
			t.Errorf("the hold is %+v, %v", h, err)
		}
		if _, err := mirror.ReleaseHold(t.Context(), s.engine, first.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, jobstore.ErrDecided) {
			t.Errorf("a withdrawn hold is released: %v", err)
		}
		// Rejected: kept.
		enginetest.OK(t, mirror.RejectHold(t.Context(), s.engine, hold().ID, nawasync.OperatorOptions{By: "user:7"}))
		for range 3 {
			if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Kept != 31 || got.Deleted != 0 {
				t.Errorf("a run after the rejection did %+v", got)
			}
		}
		s.remote.put(list[:31]...)
		s.status(t, s.sync(t), tracker.Success)
		// Released: what is still absent goes.
		held := hold()
		s.remote.put(list[0])
		job, err := mirror.ReleaseHold(t.Context(), s.engine, held.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		if got := resultOf(t, s.status(t, job, tracker.Success)); got.Deleted != 30 {
			t.Errorf("the released run did %+v", got)
		}
		if h, err := s.engine.Reader().Hold(t.Context(), held.ID); err != nil || h.Status != tracker.HoldReleased || h.ReleaseJob != job.ID || h.DecidedBy != "user:7" {
			t.Errorf("the hold is %+v, %v", h, err)
		}
		rows := s.rows(t)
		if _, there := rows["g0000"]; !there || len(rows) != 100-31+1+3 {
			t.Errorf("left are %d rows", len(rows))
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
	return o, errGone
}

func (thinMemory) Create(context.Context, thinGadget) (o mirror.Object[thinGadget], err error) {
	return o, errGone
}

func (thinMemory) Update(context.Context, mirror.Object[thinGadget], thinGadget, mirror.Diff) (o mirror.Object[thinGadget], err error) {
	return o, errGone
}
func (thinMemory) Delete(context.Context, thinGadget) error { return errGone }

func TestNewContentFieldIsFilledInAndIsNoDrift(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		remote := newMemory()
		remote.put(numbered(30)...)
		old := h.Engine(nil)
		before, err := mirror.New(old, mirror.Config[thinGadget]{Service: "shop", Type: "plain_gadget", Remote: thinMemory{remote}})
		enginetest.OK(t, err)
		h.Start(old)
		job, err := before.SyncNow(t.Context(), thinGadget{Instance: "one"}, "", by)
		enginetest.OK(t, err)
		enginetest.WaitStatus(t, old, job.ID, tracker.Success)
		enginetest.OK(t, old.Stop(t.Context()))
		next := h.Engine(nil)
		after, err := mirror.New(next, mirror.Config[plainGadget]{Service: "shop", Type: "plain_gadget", Remote: plainMemory{remote}})
		enginetest.OK(t, err)
		h.Start(next)
		for _, want := range []nawasync.SyncResult{{Listed: 30, Updated: 30, Proof: "complete"}, {Listed: 30, Unchanged: 30, Proof: "complete"}} {
			job, err := after.SyncNow(t.Context(), plainGadget{Instance: "one"}, "", by)
			enginetest.OK(t, err)
			if got := resultOf(t, enginetest.WaitStatus(t, next, job.ID, tracker.Success)); !reflect.DeepEqual(got, want) {
				t.Errorf("the sync did %+v, not %+v", got, want)
			}
		}
	})
}
