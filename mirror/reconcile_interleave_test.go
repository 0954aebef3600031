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

// Any interleaving of users, of somebody else at the remote and of syncs, with
// failures, comes to rest with the rows equal to the remote, nothing lost that a job
// has written, and nothing pending.
func TestAnyInterleavingComesToRestEqualToTheRemote(t *testing.T) {
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
			slow := rapid.Uint64().Draw(rt, "slowness")
			s.remote.Configure(func() { s.remote.PageSize = rapid.IntRange(1, 5).Draw(rt, "page size") })
			pace := rand.New(rand.NewPCG(slow, 1)) //nolint:gosec // drawn, so that a run can be repeated
			var mu sync.Mutex
			wait := func() {
				mu.Lock()
				d := time.Duration(pace.IntN(4)) * time.Millisecond
				mu.Unlock()
				time.Sleep(d)
			}
			s.remote.beforePage(func(int) { wait() })
			s.remote.beforeCall(func(string, string) error { wait(); return nil })
			type act struct {
				what, name string
				n          int
			}
			acts := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) act {
				return act{
					rapid.SampledFrom([]string{"create", "update", "update", "delete", "sync", "elsewhere", "vanish", "appear", "pause"}).Draw(rt, "what"),
					rapid.SampledFrom(names).Draw(rt, "name"), rapid.IntRange(0, 3).Draw(rt, "n"),
				}
			}), 5, 25).Draw(rt, "acts")
			var jobs []*tracker.Job
			note := func(job *tracker.Job, err error) {
				for _, fine := range []error{nawasync.ErrExists, nawasync.ErrNotFound, nawasync.ErrDeleting, nawasync.ErrUnchanged} {
					if errors.Is(err, fine) {
						return
					}
				}
				if err != nil {
					rt.Fatal(err)
				}
				jobs = append(jobs, job)
			}
			ctx := context.Background()
			for _, a := range acts {
				seen, err := s.repo.FindKey(ctx, gadget{Instance: "one", Name: a.name})
				found := err == nil
				switch a.what {
				case "create":
					note(s.repo.Create(ctx, gadget{Instance: "one", Name: a.name, QuotaMB: new(a.n)}, byAnn))
				case "update":
					if found {
						note(s.repo.Update(ctx, seen, setQuota(a.n), byAnn))
					}
				case "delete":
					if found {
						note(s.repo.Delete(ctx, seen, byAnn))
					}
				case "sync":
					note(s.repo.SyncNow(ctx, gadget{Instance: "one"}, "", byAnn))
				case "elsewhere":
					if _, there := s.remote.look(a.name); there {
						s.elsewhere(a.name, setPlan(fmt.Sprint("plan", a.n)))
					}
				case "vanish":
					s.remote.Drop(gadget{Instance: "one", Name: a.name})
				case "appear":
					if _, there := s.remote.look(a.name); !there {
						s.remote.Put(gadget{Instance: "one", Name: a.name, QuotaMB: new(9)})
					}
				case "pause":
					time.Sleep(time.Duration(a.n) * 3 * time.Millisecond)
				}
			}
			for _, job := range jobs {
				s.ended(t, job)
			}
			s.settle(rt, t)
		})
	})
}

// A listing that is old by the time it is compared: jobs are queued, and others have
// ended, between the request of its page and its compare.
func TestSyncBesidePendingAndJustEndedJobsResurrectsPrunesAndOverwritesNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 20)
		blocked, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		free := func() { once.Do(func() { close(release) }) }
		t.Cleanup(free)
		s.remote.Configure(func() { s.remote.PageSize = 1000 })
		s.remote.beforePage(func(int) { // its list was read a moment ago
			close(blocked)
			<-release
		})
		s.remote.beforeCall(func(call, name string) error {
			if call != "get" && slices.Contains([]string{"g0010", "g0011", "pending"}, name) {
				<-release // these are still at it when the page is compared
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		})
		syncing, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byAnn)
		enginetest.NoError(t, err)
		<-blocked
		// Ended before the compare:
		s.status(t, s.update(t, s.row(t, "g0001"), setQuota(7)), tracker.StatusSuccess)
		gone, err := s.repo.Delete(t.Context(), s.row(t, "g0002"), byAnn)
		enginetest.NoError(t, err)
		s.status(t, gone, tracker.StatusSuccess)
		made, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "made"}, byAnn)
		enginetest.NoError(t, err)
		s.status(t, made, tracker.StatusSuccess)
		// Open while it compares:
		updating := s.update(t, s.row(t, "g0010"), setQuota(8))
		deleting, err := s.repo.Delete(t.Context(), s.row(t, "g0011"), byAnn)
		enginetest.NoError(t, err)
		creating, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "pending"}, byAnn)
		enginetest.NoError(t, err)
		free()
		s.status(t, syncing, tracker.StatusSuccess)
		for _, job := range []*tracker.Job{updating, deleting, creating} {
			s.status(t, job, tracker.StatusSuccess)
		}
		rows := s.rows(t)
		if len(rows) != 20 || *rows["g0001"].QuotaMB != 7 || *rows["g0010"].QuotaMB != 8 {
			t.Errorf("%d rows; %v %v", len(rows), *rows["g0001"].QuotaMB, *rows["g0010"].QuotaMB)
		}
		for _, name := range []string{"made", "pending"} {
			if rows[name].State != nawasync.StateSynced {
				t.Errorf("%s is %+v", name, rows[name].SyncStatus)
			}
		}
		for _, name := range []string{"g0002", "g0011"} {
			if _, there := rows[name]; there {
				t.Errorf("%s is back", name)
			}
		}
	})
}
