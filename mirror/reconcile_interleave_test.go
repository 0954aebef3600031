package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// Users change rows, other users change objects on the remote, and syncs run, in random order and
// with random delays. After all jobs have ended, syncs make the rows equal to the remote, with no
// row left pending.
func TestAnyInterleavingConvergesToTheRemote(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			names := make([]string, 4)
			for i := range names {
				names[i] = fmt.Sprintf("r%d-%d", round, i)
			}
			seed := rapid.Uint64().Draw(rt, "seed of the delays")
			s.remote.Configure(func() { s.remote.PageSize = rapid.IntRange(1, 5).Draw(rt, "page size") })
			delays := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // rapid draws the seed, so that it can repeat a failed run
			var mu sync.Mutex
			wait := func() {
				mu.Lock()
				d := time.Duration(delays.IntN(4)) * time.Millisecond
				mu.Unlock()
				time.Sleep(d)
			}
			s.remote.beforePage(func(int) { wait() })
			s.remote.beforeCall(func(string, string) error { wait(); return nil })
			type step struct {
				kind, name string
				n          int
			}
			steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
				return step{
					rapid.SampledFrom([]string{"create", "update", "update", "delete", "sync", "change remote", "drop remote", "add remote", "wait"}).Draw(rt, "kind"),
					rapid.SampledFrom(names).Draw(rt, "name"), rapid.IntRange(0, 3).Draw(rt, "n"),
				}
			}), 5, 25).Draw(rt, "steps")
			var jobs []*tracker.Job
			collect := func(job *tracker.Job, err error) {
				for _, expected := range []error{nawasync.ErrExists, nawasync.ErrNotFound, nawasync.ErrDeleting, nawasync.ErrUnchanged} {
					if errors.Is(err, expected) {
						return
					}
				}
				if err != nil {
					rt.Fatal(err)
				}
				jobs = append(jobs, job)
			}
			ctx := context.Background()
			for _, step := range steps {
				seen, err := s.repo.FindKey(ctx, gadget{Instance: "one", Name: step.name})
				found := err == nil
				switch step.kind {
				case "create":
					collect(s.repo.Create(ctx, gadget{Instance: "one", Name: step.name, QuotaMB: new(step.n)}, byUser))
				case "update":
					if found {
						collect(s.repo.Update(ctx, seen, setQuota(step.n), byUser))
					}
				case "delete":
					if found {
						collect(s.repo.Delete(ctx, seen, byUser))
					}
				case "sync":
					collect(s.repo.SyncNow(ctx, gadget{Instance: "one"}, "", byUser))
				case "change remote":
					if _, exists := s.remote.find(step.name); exists {
						s.changeRemote(step.name, setPlan(fmt.Sprint("plan", step.n)))
					}
				case "drop remote":
					s.remote.Drop(gadget{Instance: "one", Name: step.name})
				case "add remote":
					if _, exists := s.remote.find(step.name); !exists {
						s.remote.Put(gadget{Instance: "one", Name: step.name, QuotaMB: new(9)})
					}
				case "wait":
					time.Sleep(time.Duration(step.n) * 3 * time.Millisecond)
				}
			}
			for _, job := range jobs {
				s.waitEnd(t, job)
			}
			s.syncUntilEqual(rt, t)
		})
	})
}

// The page of a listing is out of date when the sync compares it with the rows: between the request
// of the page and the comparison, some jobs end and others are queued. The sync must not undo their
// changes.
func TestSyncKeepsTheChangesOfJobsThatRunOrEndDuringTheListing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 20)
		blocked, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		unblock := func() { once.Do(func() { close(release) }) }
		t.Cleanup(unblock)
		s.remote.Configure(func() { s.remote.PageSize = 1000 })
		s.remote.beforePage(func(int) { // the fake remote has already read the objects of this page
			close(blocked)
			<-release
		})
		s.remote.beforeCall(func(call, name string) error {
			if call != "get" && slices.Contains([]string{"g0010", "g0011", "pending"}, name) {
				<-release // keeps these jobs running while the page is compared
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		})
		syncing, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
		enginetest.NoError(t, err)
		<-blocked
		// These jobs end before the comparison.
		s.waitStatus(t, s.update(t, s.row(t, "g0001"), setQuota(7)), tracker.StatusSuccess)
		deleted, err := s.repo.Delete(t.Context(), s.row(t, "g0002"), byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, deleted, tracker.StatusSuccess)
		created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "created"}, byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, created, tracker.StatusSuccess)
		// These jobs are unfinished during the comparison.
		updating := s.update(t, s.row(t, "g0010"), setQuota(8))
		deleting, err := s.repo.Delete(t.Context(), s.row(t, "g0011"), byUser)
		enginetest.NoError(t, err)
		creating, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "pending"}, byUser)
		enginetest.NoError(t, err)
		unblock()
		s.waitStatus(t, syncing, tracker.StatusSuccess)
		for _, job := range []*tracker.Job{updating, deleting, creating} {
			s.waitStatus(t, job, tracker.StatusSuccess)
		}
		rows := s.rows(t)
		if len(rows) != 20 || *rows["g0001"].QuotaMB != 7 || *rows["g0010"].QuotaMB != 8 {
			t.Errorf("%d rows with quotas %v and %v, want 20 with 7 and 8", len(rows), *rows["g0001"].QuotaMB, *rows["g0010"].QuotaMB)
		}
		for _, name := range []string{"created", "pending"} {
			if rows[name].State != nawasync.StateSynced {
				t.Errorf("status of %s = %+v, want synced", name, rows[name].SyncStatus)
			}
		}
		for _, name := range []string{"g0002", "g0011"} {
			if _, found := rows[name]; found {
				t.Errorf("the sync inserted the deleted row %s again", name)
			}
		}
	})
}
