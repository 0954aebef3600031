package mirror_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// 200 zones are listed, 10 vanish, 5 appear, the listing of zones fails halfway, then it is empty.
func TestScopesFollowTheirListingAndNothingElse(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSites(t, db, zoneNames(0, 200)...)
		s.ends(s.listZones(), tracker.StatusSuccess, "")
		expect := func(when string, listed, gone, rows int) {
			t.Helper()
			n := map[bool]int{}
			for _, is := range s.scopes() {
				n[is]++
			}
			total := 0
			for _, rows := range s.visible() {
				total += rows
			}
			if n[true] != listed || n[false] != gone || total != rows {
				t.Fatalf("%s: %d scopes are listed, %d are gone, %d rows are visible; want %d, %d and %d", when, n[true], n[false], total, listed, gone, rows)
			}
		}
		expect("200 zones are listed, and each is synced at once", 200, 0, 200)
		before := s.rows()
		enginetest.NoError(t, db.Exec("UPDATE site_records SET note = 'kept' WHERE zone = 'z003'").Error)

		s.remote.drop(zoneNames(0, 10)...)
		s.remote.add(zoneNames(200, 205)...)
		s.remote.takeSynced()
		s.listZones()
		expect("10 zones were missing once, 5 are new", 205, 0, 205)
		if synced := s.remote.takeSynced(); len(synced) != 5 || synced["z202"] != 1 {
			t.Fatalf("syncs of %v, want one of each new zone", synced)
		}
		s.listZones()
		expect("10 zones are gone", 195, 10, 195)

		failure := errors.New("HTTP 502")
		s.remote.listing = func(p *mirror.Page[siteZone]) error {
			if p.Items[0].Name >= "z100" {
				return failure
			}
			return nil
		}
		for range 3 {
			s.ends(s.listZones(), tracker.StatusFailed, "HTTP 502")
		}
		expect("the listing of zones failed halfway", 195, 10, 195)
		s.remote.listing = func(p *mirror.Page[siteZone]) error { p.Items = nil; return nil }
		for range 3 {
			s.listZones()
		}
		expect("the listing of zones is empty", 195, 10, 195)
		hold, err := s.engine.Reader().OpenHold(t.Context(), "dns", "zone", "acme")
		enginetest.NoError(t, err)
		if hold == nil {
			t.Fatal("the sync of zones is not held")
		}

		s.remote.listing = nil
		s.remote.add(zoneNames(0, 10)...)
		s.listZones()
		expect("the 10 zones are back", 205, 0, 205)
		after := map[uint64]siteRecord{}
		for _, row := range s.rows() {
			after[row.ID] = row
		}
		for _, row := range before {
			now := after[row.ID]
			if now.RID != row.RID || now.State != nawasync.StateSynced || now.Identity != row.Identity || now.Zone == "z003" && now.Note != "kept" {
				t.Fatalf("row %d was %+v and is %+v", row.ID, row, now)
			}
		}
	})
}

func TestJobsOfAScopeThatIsGoneAreSkippedAndItsHoldCloses(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		ctx := t.Context()
		s := newSites(t, db, "keep", "lost")
		for i := range 20 {
			rid := fmt.Sprintf("lost-%02d", i)
			s.remote.records["lost"][rid] = siteRecord{RID: rid, Content: "192.0.2.7"}
		}
		s.listZones()
		lost := siteRecord{Account: "acme", Zone: "lost"}
		clear(s.remote.records["lost"])
		s.clock.Advance(time.Minute)
		s.drain(s.SyncNow(ctx, lost, "", byUser)) // held: all rows are missing
		row, err := s.FindKey(ctx, siteRecord{Account: "acme", Zone: "lost", RID: "lost-03"})
		enginetest.NoError(t, err)

		s.remote.drop("lost")
		s.listZones()
		s.clock.Advance(time.Minute)
		_, err = s.zones.SyncNow(ctx, siteZone{Account: "acme"}, "", byUser)
		enginetest.NoError(t, err)
		later := nawasync.Options{By: "user:7", At: s.clock.Now().Add(time.Hour)}
		update, err := s.Update(ctx, row, func(r *siteRecord) { r.Content = "192.0.2.8" }, later)
		enginetest.NoError(t, err)
		sync := s.drain(s.SyncNow(ctx, lost, "", later))
		s.ends(sync, tracker.StatusSkipped, `the scope "acme/lost" is gone`)
		s.ends(s.job(update.ID), tracker.StatusSkipped, `the scope "acme/lost" is gone`)
		if open, err := s.engine.Reader().OpenHold(ctx, "dns", "record", "acme/lost"); err != nil || open != nil {
			t.Errorf("the hold of the scope is still open: %v, %v", open, err)
		}
		if _, err := s.SyncNow(ctx, lost, "", byUser); !errors.Is(err, mirror.ErrScopeGone) || !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("SyncNow returns %v, want ErrScopeGone", err)
		}
		if _, err := s.Create(ctx, siteRecord{Account: "acme", Zone: "lost", RID: "new"}, byUser); !errors.Is(err, mirror.ErrScopeGone) {
			t.Errorf("Create returns %v, want ErrScopeGone", err)
		}
		s.remote.takeSynced()
		s.ends(s.drain(s.SyncNow(ctx, siteRecord{}, "", byUser)), tracker.StatusSuccess, "")
		if got := s.remote.takeSynced(); !maps.Equal(got, map[string]int{"keep": 1}) {
			t.Errorf("a sync of all scopes synced %v, want keep", got)
		}
		if got := s.visible(); !maps.Equal(got, map[string]int{"keep": 1}) {
			t.Errorf("visible rows %v, want those of keep", got)
		}

		s.remote.add("lost")
		s.remote.records["lost"] = map[string]siteRecord{"lost-03": {RID: "lost-03", Content: "192.0.2.9"}}
		s.listZones()
		again, err := s.Find(ctx, int64(row.ID))
		enginetest.NoError(t, err)
		if again.State != nawasync.StateSynced || again.Content != "192.0.2.9" || again.SyncError != "" {
			t.Errorf("after the scope's return, the row of the object is %+v", again)
		}
		other, err := s.FindKey(ctx, siteRecord{Account: "acme", Zone: "lost", RID: "lost-04"})
		if err != nil || other.State != nawasync.StateMissing {
			t.Errorf("after the scope's return, a row that was missing is %+v, %v", other, err)
		}
	})
}

func TestRowsOfAScopeThatIsGoneAreRemovedAfter30Days(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSites(t, db, "keep", "lost")
		s.listZones()
		s.remote.drop("lost")
		s.listZones()
		s.listZones()
		count := func() (n int64) {
			enginetest.NoError(t, db.Raw("SELECT COUNT(*) FROM site_records WHERE zone = 'lost'").Scan(&n).Error)
			return n
		}
		for range 29 {
			s.clock.Advance(24 * time.Hour)
			s.drain(s.SyncNow(t.Context(), siteRecord{}, "", byUser))
		}
		if _, known := s.scopes()["acme/lost"]; count() != 1 || !known {
			t.Fatalf("after 29 days the scope has %d rows and is known: %t, want 1 and true", count(), known)
		}
		for range 3 {
			s.clock.Advance(24 * time.Hour)
			s.drain(s.SyncNow(t.Context(), siteRecord{}, "", byUser))
		}
		if _, known := s.scopes()["acme/lost"]; count() != 0 || known {
			t.Fatalf("after 32 days the scope has %d rows and is known: %t, want 0 and false", count(), known)
		}
	})
}

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

func TestObjectThatMovesToAnotherScopeIsANewRowLinkedToTheOldOne(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		ctx := t.Context()
		s := newSites(t, db, "old", "new")
		s.listZones()
		before, err := s.FindKey(ctx, siteRecord{Account: "acme", Zone: "old", RID: "old-a"})
		enginetest.NoError(t, err)
		s.remote.records["new"]["old-a"] = s.remote.records["old"]["old-a"]
		delete(s.remote.records["old"], "old-a")
		s.sync(siteRecord{Account: "acme", Zone: "new"})
		s.sync(siteRecord{Account: "acme", Zone: "old"})
		s.sync(siteRecord{Account: "acme", Zone: "old"})
		now, err := s.FindKey(ctx, siteRecord{Account: "acme", Zone: "new", RID: "old-a"})
		enginetest.NoError(t, err)
		if _, err := s.Find(ctx, int64(before.ID)); !errors.Is(err, nawasync.ErrNotFound) || now.ID == before.ID {
			t.Fatalf("the old row: %v, want ErrNotFound; the new row is %d, the old one %d", err, now.ID, before.ID)
		}
		if from, err := mirror.MovedFrom(ctx, s.SyncedRepository, now); err != nil || from.ID != before.ID || from.Zone != "old" {
			t.Errorf("MovedFrom returns %+v, %v; want row %d", from, err, before.ID)
		}
		if _, err := mirror.MovedFrom(ctx, s.SyncedRepository, before); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("MovedFrom of the old row returns %v, want ErrNotFound", err)
		}
		list, err := s.engine.Reader().Changes(ctx, tracker.Target{Service: "dns", Type: "record", Instance: "acme/new", ID: "old-a"}, time.Time{}, time.Time{}, 10)
		enginetest.NoError(t, err)
		if len(list) == 0 || list[0].Kind != tracker.ChangeMoved || string(list[0].Fields) != `{"zone":{"from":"old","to":"new"}}` {
			t.Errorf("the history of the new row is %+v, want that it was in zone old", list)
		}
		if _, err := mirror.MovedFrom(ctx, s.zones.SyncedRepository, siteZone{}); !errors.Is(err, nawasync.ErrInvalid) {
			t.Errorf("MovedFrom without a global key returns %v, want ErrInvalid", err)
		}
	})
}

func TestNameOfAScopeThatIsUsedAgainByAnotherRowGetsNewRows(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		ctx := t.Context()
		s := newSites(t, db, "keep", "shop")
		s.listZones()
		before, err := s.FindKey(ctx, siteRecord{Account: "acme", Zone: "shop", RID: "shop-a"})
		enginetest.NoError(t, err)
		zone, err := s.zones.FindKey(ctx, siteZone{Account: "acme", Name: "shop"})
		enginetest.NoError(t, err)
		s.clock.Advance(time.Minute)
		s.zones.ends(s.zones.drain(s.zones.Delete(ctx, zone, byUser)), tracker.StatusSuccess, "")
		if listed := s.scopes(); listed["acme/shop"] || len(s.visible()) != 1 {
			t.Fatalf("after the zone's deletion, scopes %v and rows %v; want that shop is gone", listed, s.visible())
		}
		s.clock.Advance(time.Minute)
		s.zones.ends(s.zones.drain(s.zones.Create(ctx, siteZone{Account: "acme", Name: "shop", Plan: "free"}, byUser)), tracker.StatusSuccess, "")
		after, err := s.FindKey(ctx, siteRecord{Account: "acme", Zone: "shop", RID: "shop-a"})
		if err != nil || after.ID == before.ID {
			t.Errorf("the record of another zone with that name has row %d, %v; want another one than %d", after.ID, err, before.ID)
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
