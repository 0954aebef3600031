package mirror_test

import (
	"maps"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestSyncOfAnUnknownScopeSyncsTheParentFirst(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		ctx := t.Context()
		s := newSites(t, db, "one")
		job := s.drain(s.SyncNow(ctx, siteRecord{Account: "acme", Zone: "one"}, "", byUser))
		s.ends(job, tracker.StatusSuccess, "")
		if s.remote.listed != 1 || len(s.visible()) != 1 {
			t.Errorf("zones were listed %d times, rows %v; want 1, and those of one", s.remote.listed, s.visible())
		}
		s.clock.Advance(time.Minute)
		job = s.drain(s.SyncNow(ctx, siteRecord{Account: "acme", Zone: "two"}, "", byUser))
		s.ends(job, tracker.StatusFailed, `the scope "acme/two" is not known`)
		if s.remote.listed != 2 {
			t.Errorf("zones were listed %d times, want 2", s.remote.listed)
		}
	})
}

func TestScheduledSyncOfAllScopesIsSpread(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSites(t, db, zoneNames(0, 40)...)
		s.listZones()
		s.clock.Advance(time.Hour)
		args, err := s.SyncArgs(siteRecord{}, "")
		enginetest.NoError(t, err)
		all := s.drain(s.engine.Dispatch(t.Context(), args, nawasync.Options{By: "schedule:records", Source: nawasync.SourceScheduled}))
		s.ends(all, tracker.StatusSuccess, "")
		times := map[time.Time]int{}
		var last time.Time
		for _, job := range s.jobs("sync") {
			if job.ID > all.ID && job.Instance != "" {
				times[job.NotBefore]++
				last = job.NotBefore
			}
		}
		if spread := last.Sub(all.FinishedAt); len(times) != 40 || spread < 9*time.Minute || spread > 10*time.Minute {
			t.Errorf("the syncs have %d times, the last one %s after the first; want 40, and almost 10 minutes", len(times), spread)
		}
	})
}

func TestScheduleOfAllScopesFollowsThemWhileTheEngineRuns(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		createSites(h)
		remote := newSiteRemote("one", "two")
		e := h.Unhurried(nil)
		zones, records, err := siteRepositories(e, remote, 10*time.Minute)
		enginetest.NoError(t, err)
		args, err := records.SyncArgs(siteRecord{}, "")
		enginetest.NoError(t, err)
		enginetest.NoError(t, e.Schedule(nawasync.Schedule{Name: "records", Spec: "@every 20m", Args: args}))
		h.Start(e)
		first, err := zones.SyncNow(t.Context(), siteZone{Account: "acme"}, "", byUser)
		enginetest.NoError(t, err)
		expect := func(when string, want map[string]int) {
			t.Helper()
			if got := remote.takeSynced(); !maps.Equal(got, want) {
				t.Fatalf("%s: syncs %v, want %v", when, got, want)
			}
		}
		time.Sleep(10 * time.Minute)
		if job, err := e.Reader().Get(t.Context(), first.ID); err != nil || job.Status != tracker.StatusSuccess {
			t.Fatalf("the sync of the zones: %+v, %v", job, err)
		}
		expect("after the first sync of the zones", map[string]int{"one": 1, "two": 1})
		time.Sleep(20 * time.Minute)
		expect("after a tick", map[string]int{"one": 1, "two": 1})
		remote.add("three")
		time.Sleep(20 * time.Minute)
		expect("after another tick with a new zone", map[string]int{"one": 1, "two": 1, "three": 1})
		remote.drop("two")
		time.Sleep(40 * time.Minute)
		remote.takeSynced()
		time.Sleep(40 * time.Minute)
		expect("two ticks after a zone is gone", map[string]int{"one": 2, "three": 2})
		if at, err := records.LastSyncedAt(t.Context(), siteRecord{}); err != nil || time.Since(at) > 20*time.Minute {
			t.Errorf("all scopes were last synced at %s, %v; want after the last tick", at, err)
		}
	})
}
