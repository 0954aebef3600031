package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

type gadgetPages = []mirror.Page[gadget]

// withProof sets the proof of all pages.
func withProof(p gadgetPages, proof mirror.Proof) gadgetPages {
	for i := range p {
		p[i].Proof = proof
	}
	return p
}

func TestListingProvesNoMoreThanItsPagesShow(t *testing.T) {
	t.Parallel()
	listings := map[string]struct {
		pages func(gadgetPages) gadgetPages
		proof string
		note  string
	}{
		"the count is missing from the answer": {
			func(p gadgetPages) gadgetPages { return withProof(p[:3], mirror.Proof{Level: mirror.ProofCounted}) }, "unproven", "without a total",
		},
		"several pages that claim to be one whole answer": {
			func(p gadgetPages) gadgetPages { return withProof(p[:3], mirror.Proof{Level: mirror.ProofWhole}) }, "exhausted", "3 pages",
		},
		"a sign-up moves an object to the next page": {
			func(p gadgetPages) gadgetPages {
				p[1].Items = append([]gadget{p[0].Items[99]}, p[1].Items[:99]...)
				return p
			}, "exhausted", "listed more than once",
		},
		"a sign-up changes the count": {
			func(p gadgetPages) gadgetPages { p[3].Proof.Total = 401; return p }, "exhausted", "changed during the listing",
		},
		"one answer without a count": {
			func(p gadgetPages) gadgetPages {
				for _, rest := range p[1:] {
					p[0].Items = append(p[0].Items, rest.Items...)
				}
				return withProof(p[:1], mirror.Proof{Level: mirror.ProofWhole})
			}, "whole", "",
		},
	}
	s := newSyncedShop(t, testdb.SQLite(t), 400)
	for name, listing := range listings {
		s.remote.changePages(listing.pages)
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Proof != listing.proof || (listing.note == "") != (got.ProofNote == "") || !strings.Contains(got.ProofNote, listing.note) {
			t.Errorf("%s: result = %+v, want proof %s with the note %q", name, got, listing.proof, listing.note)
		}
		if got.Proof == "unproven" && got.Missing != 0 {
			t.Errorf("%s: %d rows are missing, want none", name, got.Missing)
		}
		s.remote.changePages(nil)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
	}
}

func TestEmptyListingOfASmallScopeIsHeld(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		for _, n := range []int{1, 5, 10, 11} {
			for _, level := range []mirror.ProofLevel{mirror.ProofExhausted, mirror.ProofCounted, mirror.ProofWhole} {
				instance := fmt.Sprintf("%s-%d", level, n)
				for i := range n {
					s.remote.Put(gadget{Instance: instance, Name: fmt.Sprint(i)})
				}
				sync := func(want tracker.Status) nawasync.SyncResult {
					job, err := s.repo.SyncNow(t.Context(), gadget{Instance: instance}, "", byUser)
					enginetest.NoError(t, err)
					return resultOf(t, s.waitStatus(t, job, want))
				}
				sync(tracker.StatusSuccess)
				s.remote.changePages(func(gadgetPages) gadgetPages { return gadgetPages{{Proof: mirror.Proof{Level: level}}} })
				s.remote.beforeCall(func(string, string) error { return nawasynctest.ErrGone }) // a token without the permission
				held := sync(tracker.StatusConflict)
				if again := sync(tracker.StatusSuccess); held.Held == 0 || again.Held != held.Held || again.Confirming != 0 {
					t.Errorf("%s: results %+v and %+v, want the same hold and nothing to confirm", instance, held, again)
				}
				s.remote.changePages(nil)
				s.remote.beforeCall(func(string, string) error { return nil })
				if back := sync(tracker.StatusSuccess); back.Updated != int64(n) || back.Held != 0 {
					t.Errorf("%s: result of the next good listing = %+v, want the %d rows back", instance, back, n)
				}
			}
		}
	})
}

// scopedGadgetRemote is a gadgetRemote that knows whether a scope exists.
type scopedGadgetRemote struct {
	*gadgetRemote
	exists func() (bool, error)
}

func (m scopedGadgetRemote) ScopeExists(context.Context, gadget) (bool, error) { return m.exists() }

func TestLastRowsOfAScopeAreDeletedOnlyIfTheScopeExists(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		s := &shop{Harness: h, remote: newGadgetRemote()}
		s.engine = h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, shopKey) })
		exists := false
		var err error
		s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{
			Service: "shop", Type: "gadget", Remote: scopedGadgetRemote{s.remote, func() (bool, error) { return exists, nil }},
		})
		enginetest.NoError(t, err)
		h.Start(s.engine)
		list := numberedGadgets(4)
		s.remote.Put(list[:3]...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		s.remote.Drop(list...)
		s.waitStatus(t, s.sync(t), tracker.StatusConflict)
		exists = true
		for range 2 {
			s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		}
		if got := s.confirmed(t); got.Deleted != 3 || len(s.rows(t)) != 0 {
			t.Errorf("result of the confirmation = %+v, want three deleted", got)
		}
		// Four rows are held, although the scope exists. After a release they are deleted.
		s.remote.Put(list...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		s.remote.Drop(list...)
		held := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusConflict))
		job, err := mirror.ReleaseHold(t.Context(), s.engine, held.Held, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusSuccess)
		if got := s.confirmed(t); got.Deleted != 4 || len(s.rows(t)) != 0 {
			t.Errorf("result of the confirmation after the release = %+v, want four deleted", got)
		}
	})
}

func TestDeletedRowsDoNotMakeASmallScopeLarge(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		s := &shop{Harness: h, remote: newGadgetRemote()}
		s.engine = h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, shopKey) })
		var err error
		s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{
			Service: "shop", Type: "gadget", Settle: -1, Remote: scopedGadgetRemote{s.remote, func() (bool, error) { return true, nil }},
		})
		enginetest.NoError(t, err)
		h.Start(s.engine)
		s.remote.Put(numberedGadgets(6)...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		for _, g := range numberedGadgets(3) {
			job, err := s.repo.Delete(t.Context(), s.row(t, g.Name), byUser)
			enginetest.NoError(t, err)
			s.waitStatus(t, job, tracker.StatusSuccess)
		}
		s.remote.Drop(numberedGadgets(6)...)
		for range 2 {
			s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		}
		if got := s.confirmed(t); got.Deleted != 3 || len(s.rows(t)) != 0 {
			t.Errorf("result of the confirmation = %+v, want three deleted", got)
		}
	})
}

func TestReleaseOfAnEmptiedScopeDeletesNothingIfTheAnswersCannotBeChecked(t *testing.T) {
	t.Parallel()
	s := newSyncedShop(t, testdb.SQLite(t), 5)
	s.remote.Drop(numberedGadgets(5)...)
	held := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusConflict))
	job, err := mirror.ReleaseHold(t.Context(), s.engine, held.Held, nawasync.OperatorOptions{By: "user:7"})
	enginetest.NoError(t, err)
	s.waitStatus(t, job, tracker.StatusSuccess)
	if job := s.confirming(t); job.Status != tracker.StatusFailed || !strings.Contains(job.Error, "ScopeRemote") || len(s.rows(t)) != 5 {
		t.Errorf("the confirmation is %s with the error %q, and %d rows are left; want it failed, with advice, and 5", job.Status, job.Error, len(s.rows(t)))
	}
}

func TestObjectsOfAnotherScopeAreRefusedAndNamed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Configure(func() { s.remote.InScope = func(gadget, gadget) bool { return true } }) // the API ignores the filter
		s.remote.Put(gadget{Instance: "one", Name: "a"}, gadget{Instance: "two", Name: "b"}, gadget{Instance: "two", Name: "c"})
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Created != 1 || got.Refused != 2 || !strings.Contains(got.Refusals[0], `"two"`) || len(s.rows(t)) != 1 {
			t.Errorf("result = %+v with rows %v, want a alone created and two named as refused", got, sortedNames(s.rows(t)))
		}
		for i := range 20 {
			s.remote.Put(gadget{Instance: "two", Name: fmt.Sprint(i)})
		}
		job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
		enginetest.NoError(t, err)
		enginetest.Eventually(t, 20e9, "the error of a listing with too many objects of another scope", func() bool {
			current, err := s.engine.Reader().Get(t.Context(), job.ID)
			return err == nil && strings.Contains(current.Error, "22 of 23 objects could not be stored")
		})
	})
}

func TestTwoObjectsOfOneKeyInOnePageAreRefusedAndNamed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 20)
		s.remote.changePages(func(p gadgetPages) gadgetPages {
			p[0].Items = append(slices.Clone(p[0].Items), p[0].Items[:3]...) // the same objects again
			other := p[0].Items[5]
			other.Plan = "other"
			p[0].Items = append(p[0].Items, other)
			p[0].Proof.Total = int64(len(p[0].Items))
			return p
		})
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Refused != 5 || got.Missing != 0 || got.Updated != 0 || got.Unchanged != 19 || got.Proof != "exhausted" {
			t.Errorf("result = %+v, want five refused, 19 unchanged, none missing, and an exhausted listing", got)
		}
		if !strings.Contains(strings.Join(got.Refusals, "\n"), "g0005") || s.row(t, "g0005").Plan != "basic" {
			t.Errorf("refusals = %v and row %+v, want g0005 named and not changed", got.Refusals, s.row(t, "g0005"))
		}
	})
}

func TestScopeThatCannotBeAskedFailsTheSyncAndDeletesNothing(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	createGadgets(t, h)
	s := &shop{Harness: h, remote: newGadgetRemote()}
	s.engine = h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, shopKey) })
	var err error
	s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{
		Service: "shop", Type: "gadget",
		Remote: scopedGadgetRemote{s.remote, func() (bool, error) { return false, nawasync.Permanent(errors.New("the zone cannot be read")) }},
	})
	enginetest.NoError(t, err)
	h.Start(s.engine)
	s.remote.Put(numberedGadgets(2)...)
	s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
	s.remote.Drop(numberedGadgets(2)...)
	if job := s.waitStatus(t, s.sync(t), tracker.StatusFailed); !strings.Contains(job.Error, "the zone cannot be read") || len(s.rows(t)) != 2 {
		t.Errorf("error = %q with %d rows left, want the remote's error and 2", job.Error, len(s.rows(t)))
	}
}

// withoutGet is a remote that cannot read a single object.
type withoutGet struct{ *mapRemote[person] }

func (withoutGet) Get(context.Context, person) (o mirror.Object[person], err error) {
	return o, errors.ErrUnsupported
}

func TestDeletionsOfARemoteWithoutGetAreHeldAndReleasedByAnOperator(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, _ := newPersons(t, db, ann("ann"), ann("bob"), ann("cid"))
		m := newMirrored[person](t, db, "listed", personColumns, withoutGet{remote})
		m.sync(realm)
		delete(remote.objects, "bob")
		m.sync(realm)
		m.clock.Advance(time.Minute)
		held := m.drain(m.SyncNow(t.Context(), realm, "", byUser))
		m.ends(held, tracker.StatusConflict, "the remote has no Get")
		if len(m.rows()) != 3 {
			t.Fatalf("rows of the held sync = %+v, want all three", m.rows())
		}
		m.sync(realm) // the hold stays open
		m.ends(m.drain(mirror.ReleaseHold(t.Context(), m.engine, resultOf(t, held).Held, operator)), tracker.StatusSuccess, "")
		if rows := m.rows(); len(rows) != 2 || rows[0].Name != "ann" || rows[1].Name != "cid" {
			t.Errorf("rows after the release = %+v, want ann and cid", rows)
		}
	})
}
