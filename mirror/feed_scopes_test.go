package mirror_test

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// Changes is a feed in which nothing ever happens.
func (r siteRecordRemote) Changes(_ context.Context, _ siteRecord, cursor string) iter.Seq2[mirror.Change[siteRecord], error] {
	return func(yield func(mirror.Change[siteRecord], error) bool) {
		r.mu.Lock()
		r.cursors = append(r.cursors, cursor)
		r.mu.Unlock()
		yield(mirror.Change[siteRecord]{Cursor: "end"}, nil)
	}
}

// readFeed reads the feed of a scope, and returns the result and the cursor from which it was read.
func (s *sites) readFeed(scope siteRecord) (result map[string]any, cursor string) {
	s.t.Helper()
	s.clock.Advance(time.Minute)
	args, err := s.ChangesArgs(scope)
	enginetest.NoError(s.t, err)
	job := s.drain(s.engine.Dispatch(s.t.Context(), args, byUser))
	s.ends(job, tracker.StatusSuccess, "")
	enginetest.NoError(s.t, json.Unmarshal(job.Result, &result))
	return result, s.remote.cursors[len(s.remote.cursors)-1]
}

// storedCursors returns the scopes whose feeds have a stored cursor.
func storedCursors(t *testing.T, db *testdb.Database) (scopes []string) {
	t.Helper()
	enginetest.NoError(t, db.Raw("SELECT instance FROM nawasync_cursors ORDER BY instance").Scan(&scopes).Error)
	return scopes
}

func TestCursorOfAScopeThatIsGoneIsForgottenWithItsRows(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSites(t, db, "keep", "lost")
		s.listZones()
		for _, zone := range []string{"keep", "lost"} {
			s.readFeed(siteRecord{Account: "acme", Zone: zone})
		}
		s.remote.drop("lost")
		s.listZones()
		s.listZones()
		s.clock.Advance(29 * 24 * time.Hour)
		s.drain(s.SyncNow(t.Context(), siteRecord{}, "", byUser))
		if got := storedCursors(t, db); len(got) != 2 {
			t.Errorf("cursors of %v after 29 days, want both: the scope may return", got)
		}
		s.clock.Advance(2 * 24 * time.Hour)
		s.drain(s.SyncNow(t.Context(), siteRecord{}, "", byUser))
		if got := storedCursors(t, db); !slices.Equal(got, []string{"acme/keep"}) || len(s.scopes()) != 1 {
			t.Errorf("cursors of %v and scopes %v after 31 days, want those of keep", got, s.scopes())
		}
	})
}

func TestAnotherScopeOfTheSameNameDoesNotGoOnAtTheOldCursor(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		ctx := t.Context()
		s := newSites(t, db, "keep", "shop")
		s.listZones()
		s.readFeed(siteRecord{Account: "acme", Zone: "shop"})
		zone, err := s.zones.FindKey(ctx, siteZone{Account: "acme", Name: "shop"})
		enginetest.NoError(t, err)
		s.clock.Advance(time.Minute)
		s.zones.ends(s.zones.drain(s.zones.Delete(ctx, zone, byUser)), tracker.StatusSuccess, "")
		s.clock.Advance(time.Minute)
		s.zones.ends(s.zones.drain(s.zones.Create(ctx, siteZone{Account: "acme", Name: "shop", Plan: "free"}, byUser)), tracker.StatusSuccess, "")
		if result, cursor := s.readFeed(siteRecord{Account: "acme", Zone: "shop"}); cursor != "" || result["syncs"] != 1.0 {
			t.Errorf("the feed of the new zone is read from %q with the result %v, want a sync and no cursor of the old one", cursor, result)
		}
	})
}

func TestCursorThatNobodyUsesForAMonthIsPruned(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSites(t, db, "a", "b", "c")
		s.listZones()
		for _, zone := range []string{"a", "b", "c"} {
			s.readFeed(siteRecord{Account: "acme", Zone: zone})
		}
		prune := func() {
			for last, more := (jobstore.FeedScope{}), true; more; more = last != (jobstore.FeedScope{}) {
				var err error
				last, err = enginetest.Store(s.engine).PruneCursors(t.Context(), last, s.clock.Now().Add(-30*24*time.Hour), 1)
				enginetest.NoError(t, err)
			}
		}
		for range 3 { // a feed without news is in use too
			s.clock.Advance(15 * 24 * time.Hour)
			s.readFeed(siteRecord{Account: "acme", Zone: "b"})
			prune()
		}
		if got := storedCursors(t, db); !slices.Equal(got, []string{"acme/b"}) {
			t.Errorf("cursors of %v, want that of the feed that is read", got)
		}
	})
}

func TestFeedOverSeveralScopesIsSyncedByTheirListing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSites(t, db, "empty", "full", "gone")
		clear(s.remote.records["empty"]) // it has no rows
		s.listZones()
		s.remote.drop("gone")
		s.listZones()
		s.listZones()
		// A zone of another account is not the feed's.
		enginetest.NoError(t, db.Exec("INSERT INTO nawasync_listed_scopes (service, type, instance, parent_id, listed_at, gone_at, retired_job, retired_at)"+
			" VALUES ('dns', 'record', 'other/zone', 99, 1, 0, 0, 0)").Error)
		s.remote.takeSynced()
		if result, _ := s.readFeed(siteRecord{Account: "acme"}); result["syncs"] != 2.0 {
			t.Errorf("result = %v, want a sync of each listed zone of the account", result)
		}
		if got := s.remote.takeSynced(); !maps.Equal(got, map[string]int{"empty": 1, "full": 1}) {
			t.Errorf("syncs of %v, want one of each zone of the account, that without rows too", got)
		}
	})
}

func TestFeedOverAllScopesIsSyncedByOneSyncOfAll(t *testing.T) {
	t.Parallel()
	s := newSites(t, testdb.SQLite(t), "a", "b")
	s.listZones()
	s.remote.add("c")
	s.remote.takeSynced()
	if result, _ := s.readFeed(siteRecord{}); result["syncs"] != 1.0 || !strings.Contains(result["reason"].(string), "no place yet") {
		t.Errorf("result = %v, want one sync of all zones", result)
	}
	if got := s.remote.takeSynced(); !maps.Equal(got, map[string]int{"a": 1, "b": 1, "c": 1}) {
		t.Errorf("syncs of %v, want one of each zone, the new one too", got)
	}
}

func TestRefreshByKeyAddsNoRowInAScopeThatIsNotListed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSites(t, db, "listed")
		s.listZones()
		s.remote.add("other") // no sync has listed it
		key := siteRecord{Account: "acme", Zone: "other", RID: "other-a"}
		job := s.drain(s.RefreshKey(t.Context(), key, byUser))
		s.ends(job, tracker.StatusSkipped, `the scope "acme/other" is not listed`)
		if got := s.visible(); !maps.Equal(got, map[string]int{"listed": 1}) {
			t.Errorf("rows by zone = %v, want those of the listed zone", got)
		}
		s.listZones()
		s.clock.Advance(time.Minute)
		s.ends(s.drain(s.RefreshKey(t.Context(), key, byUser)), tracker.StatusSuccess, "")
		if got := s.visible(); !maps.Equal(got, map[string]int{"listed": 1, "other": 1}) {
			t.Errorf("rows by zone = %v, want those of both zones", got)
		}
	})
}
