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
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

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
		s.remote.mu.Lock()
		s.remote.pageSize = 1000
		s.remote.onPage = func(int) { // its list was read a moment ago
			close(blocked)
			<-release
		}
		s.remote.before = func(call, name string) error {
			if call != "get" && slices.Contains([]string{"g0010", "g0011", "pending"}, name) {
				<-release // these are still at it when the page is compared
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		}
		s.remote.mu.Unlock()
		syncing, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", by)
		enginetest.OK(t, err)
		<-blocked
		// Ended before the compare:
		s.status(t, s.update(t, s.row(t, "g0001"), setQuota(7)), tracker.Success)
		gone, err := s.repo.Delete(t.Context(), s.row(t, "g0002"), by)
		enginetest.OK(t, err)
		s.status(t, gone, tracker.Success)
		made, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "made"}, by)
		enginetest.OK(t, err)
		s.status(t, made, tracker.Success)
		// Open while it compares:
		updating := s.update(t, s.row(t, "g0010"), setQuota(8))
		deleting, err := s.repo.Delete(t.Context(), s.row(t, "g0011"), by)
		enginetest.OK(t, err)
		creating, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "pending"}, by)
		enginetest.OK(t, err)
		free()
		s.status(t, syncing, tracker.Success)
		for _, job := range []*tracker.Job{updating, deleting, creating} {
			s.status(t, job, tracker.Success)
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
			s.remote.mu.Lock()
			s.remote.pageSize = rapid.IntRange(1, 5).Draw(rt, "page size")
			pace := rand.New(rand.NewPCG(slow, 1)) //nolint:gosec // drawn, so that a run can be repeated
			var mu sync.Mutex
			wait := func() {
				mu.Lock()
				d := time.Duration(pace.IntN(4)) * time.Millisecond
				mu.Unlock()
				time.Sleep(d)
			}
			s.remote.onPage = func(int) { wait() }
			s.remote.before = func(string, string) error { wait(); return nil }
			s.remote.mu.Unlock()
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
					note(s.repo.Create(ctx, gadget{Instance: "one", Name: a.name, QuotaMB: new(a.n)}, by))
				case "update":
					if found {
						note(s.repo.Update(ctx, seen, setQuota(a.n), by))
					}
				case "delete":
					if found {
						note(s.repo.Delete(ctx, seen, by))
					}
				case "sync":
					note(s.repo.SyncNow(ctx, gadget{Instance: "one"}, "", by))
				case "elsewhere":
					if _, there := s.remote.look(a.name); there {
						s.elsewhere(a.name, setPlan(fmt.Sprint("plan", a.n)))
					}
				case "vanish":
					s.remote.drop(gadget{Instance: "one", Name: a.name})
				case "appear":
					if _, there := s.remote.look(a.name); !there {
						s.remote.put(gadget{Instance: "one", Name: a.name, QuotaMB: new(9)})
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
		s.remote.mu.Lock()
		for _, there := range s.remote.objects {
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
			if _, there := s.remote.objects["one/"+name]; !there && (row.State == nawasync.StateSynced || row.IsPending()) {
				wrong = fmt.Sprintf("%s is not there, and its row %s", name, row.State)
			}
		}
		s.remote.mu.Unlock()
		if wrong == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	rt.Fatalf("it does not come to rest: %s", wrong)
}

// Syncs of two instances run side by side: each waits in its listing for the other.
func TestSyncsOfTwoInstancesRunAtOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.put(gadget{Instance: "one", Name: "a"}, gadget{Instance: "two", Name: "a"})
		var both sync.WaitGroup
		both.Add(2)
		s.remote.mu.Lock()
		s.remote.onPage = func(int) {
			both.Done()
			both.Wait()
		}
		s.remote.mu.Unlock()
		var jobs []*tracker.Job
		for _, instance := range []string{"one", "two"} {
			job, err := s.repo.SyncNow(t.Context(), gadget{Instance: instance}, "", by)
			enginetest.OK(t, err)
			jobs = append(jobs, job)
		}
		for _, job := range jobs {
			s.status(t, job, tracker.Success)
		}
	})
}

// A plan that is called off says so, whatever ended it.
func TestPlanThatIsCalledOffIsNoResult(t *testing.T) {
	t.Parallel()
	s := idleShop(t, enginetest.New(t, testdb.SQLite(t)))
	s.remote.put(numbered(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	s.remote.onPage = func(int) { cancel() }
	if _, err := s.repo.Plan(ctx, gadget{Instance: "one"}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestHeldSyncIsAnEventOfItsOwn(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	createGadgets(t, h)
	s := &shop{Harness: h, remote: newMemory()}
	events := make(chan nawasync.Event, 10)
	s.engine = h.Engine(func(c *nawasync.Config) {
		c.Sealer, c.OnEvent = enginetest.Keyring(t, shopKey), func(_ context.Context, e nawasync.Event) { events <- e }
	})
	var err error
	s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "gadget", Remote: s.remote})
	enginetest.OK(t, err)
	h.Start(s.engine)
	s.remote.put(numbered(20)...)
	s.sync(t)
	<-events
	s.remote.drop(numbered(11)...)
	held := s.sync(t)
	if e := <-events; e.Type != nawasync.EventHeld || e.Job.ID != held.ID {
		t.Errorf("it was told %s of %+v", e.Type, e.Job)
	}
}
