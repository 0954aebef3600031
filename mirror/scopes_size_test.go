package mirror_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// runDue runs the jobs that are due now, and none that is due later.
func (s *sites) runDue() {
	s.t.Helper()
	internals := s.engine.Internals(host.NewKey())
	for {
		due, found, err := internals.FirstDue(s.t.Context())
		enginetest.NoError(s.t, err)
		if !found || due.At.After(s.clock.Now()) {
			return
		}
		enginetest.NoError(s.t, internals.RunDue(s.t.Context(), due))
	}
}

// A schedule syncs many scopes. Their syncs are spread over a day; only the first 100 are run.
func TestScheduleOfManyScopesTakesAFewStatementsForEach(t *testing.T) {
	t.Parallel()
	scopes := enginetest.Sized(1_000, 10_000)
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		if db.Dialect == "mysql" {
			t.Skip("the statements are those of the other databases")
		}
		var statements atomic.Int64
		counted, err := testdb.OpenFaulty(db.Dialect, db.DSN, func() testdb.Fault {
			statements.Add(1)
			return testdb.FaultNone
		})
		enginetest.NoError(t, err)
		t.Cleanup(func() { enginetest.CloseDB(counted) })
		s := newSitesWith(t, db, 24*time.Hour, func(c *nawasync.Config) { c.DB = counted }, zoneNames(0, scopes)...)
		all, err := s.SyncArgs(siteRecord{}, "")
		enginetest.NoError(t, err)
		run := func(when string, most int, job *tracker.Job, err error) {
			t.Helper()
			enginetest.NoError(t, err)
			statements.Store(0)
			for range 5 { // a sync of all scopes waits for that of the zones
				s.runDue()
				s.clock.Advance(3 * time.Second)
			}
			n := int(statements.Load())
			s.ends(s.job(job.ID), tracker.StatusSuccess, "")
			t.Logf("%s: %d statements", when, n)
			if n > most {
				t.Errorf("%s: %d statements, want up to %d", when, n, most)
			}
		}
		// tick is what the schedule does: it syncs the zones, and dispatches the syncs of the scopes.
		tick := func(when string, most int) {
			t.Helper()
			s.clock.Advance(time.Minute)
			job, err := s.engine.Dispatch(t.Context(), all, nawasync.Options{By: "schedule", Source: nawasync.SourceScheduled})
			run(when, most, job, err)
		}
		first, err := s.zones.SyncNow(t.Context(), siteZone{Account: "acme"}, "", byUser)
		run("the first listing", 5*scopes+100*40, first, err)
		queued := s.queuedSyncs()
		if queued < scopes-200 || len(s.scopes()) != scopes {
			t.Fatalf("%d syncs are queued for %d scopes", queued, len(s.scopes()))
		}
		tick("nothing has changed", 3*scopes)
		s.remote.add(zoneNames(scopes, scopes+50)...)
		tick("50 scopes are new", 3*scopes+50*40)
		if n := s.queuedSyncs(); n < queued || n > scopes+50 {
			t.Errorf("%d syncs are queued for %d scopes, want up to one for each", n, scopes+50)
		}
	})
}

// queuedSyncs returns how many syncs of records are queued.
func (s *sites) queuedSyncs() (n int) {
	s.t.Helper()
	enginetest.NoError(s.t, s.db.Raw("SELECT COUNT(*) FROM nawasync_jobs WHERE service = 'dns' AND type = 'record' AND action = 'sync' AND status = 'queued'").Row().Scan(&n))
	return n
}

func TestSyncOfAllScopesSyncsEveryScopeOfTheParent(t *testing.T) {
	t.Parallel()
	const accounts = 205 // more than it waits for
	db := testdb.SQLite(t)
	s := newSites(t, db, "zone")
	s.listZones()
	enginetest.NoError(t, db.Exec(`INSERT INTO site_zones (account, name, plan, identity, sync_status, missing_runs, last_synced_at)
		WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		SELECT 'acme' || i, name, plan, randomblob(32), sync_status, missing_runs, last_synced_at FROM site_zones, n WHERE account = 'acme'`, accounts).Error)
	s.clock.Advance(time.Minute)
	_, err := s.SyncNow(t.Context(), siteRecord{}, "", byUser)
	enginetest.NoError(t, err)
	internals := s.engine.Internals(host.NewKey())
	due, _, err := internals.FirstDue(t.Context())
	enginetest.NoError(t, err)
	enginetest.NoError(t, internals.RunDue(t.Context(), due))
	var syncs int
	enginetest.NoError(t, db.Raw("SELECT COUNT(DISTINCT instance) FROM nawasync_jobs WHERE type = 'zone' AND action = 'sync' AND status = 'queued'").Row().Scan(&syncs))
	if syncs != accounts {
		t.Errorf("%d accounts are synced, want all %d", syncs, accounts)
	}
}
