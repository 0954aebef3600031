package mirror_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

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
