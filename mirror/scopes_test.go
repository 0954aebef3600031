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
		hidden := mirror.DeletedRow{Service: "dns", Type: "record", ID: int64(row.ID)}
		if _, err := mirror.Restore(ctx, s.engine, hidden, nawasync.OperatorOptions{}); !errors.Is(err, mirror.ErrScopeGone) {
			t.Errorf("Restore returns %v, want ErrScopeGone", err)
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
