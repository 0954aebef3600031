package mirror_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// sites are zones, and the records whose scopes they are, on an engine that does not run.
type sites struct {
	*mirrored[siteRecord]

	remote *siteRemote
	zones  *mirrored[siteZone]
}

const (
	siteZoneColumns   = "account TEXT NOT NULL, name TEXT NOT NULL, plan TEXT NOT NULL"
	siteRecordColumns = "account TEXT NOT NULL, zone TEXT NOT NULL, rid TEXT NOT NULL, content TEXT NOT NULL, note TEXT"
)

func newSites(t *testing.T, db *testdb.Database, zones ...string) *sites {
	t.Helper()
	return newSitesWith(t, db, 10*time.Minute, nil, zones...)
}

func newSitesWith(t *testing.T, db *testdb.Database, spread time.Duration, change func(*nawasync.Config), zones ...string) *sites {
	t.Helper()
	h := enginetest.New(t, db)
	createSites(h)
	clock := nawasynctest.NewClock(time.Time{})
	engine := h.Engine(func(c *nawasync.Config) {
		c.Now, c.Redis = clock.Now, nil
		if change != nil {
			change(c)
		}
	})
	s := &sites{remote: newSiteRemote(zones...)}
	zoneRepo, recordRepo, err := siteRepositories(engine, s.remote, spread)
	enginetest.NoError(t, err)
	s.zones = &mirrored[siteZone]{SyncedRepository: zoneRepo, t: t, db: db, engine: engine, clock: clock}
	s.mirrored = &mirrored[siteRecord]{SyncedRepository: recordRepo, t: t, db: db, engine: engine, clock: clock}
	return s
}

// createSites creates the tables of zones and records.
func createSites(h *enginetest.Harness) {
	createTable(h, "site_zones", siteZoneColumns)
	createTable(h, "site_records", siteRecordColumns)
	enginetest.NoError(h.T, h.DB.Exec("CREATE INDEX site_records_rid ON site_records (rid)").Error)
}

// siteRepositories returns the repositories of zones and records.
func siteRepositories(engine *nawasync.Engine, remote *siteRemote, spread time.Duration) (
	zones nawasync.SyncedRepository[siteZone], records nawasync.SyncedRepository[siteRecord], err error,
) {
	zones, err = mirror.New(engine, mirror.Config[siteZone]{Service: "dns", Type: "zone", Remote: siteZoneRemote{remote}, Settle: -1})
	if err != nil {
		return nil, nil, err
	}
	records, err = mirror.New(engine, mirror.Config[siteRecord]{
		Service: "dns", Type: "record", Remote: siteRecordRemote{remote}, Settle: -1, Spread: spread,
		Scopes: mirror.ScopesOf(zones, func(z siteZone) siteRecord { return siteRecord{Account: z.Account, Zone: z.Name} }),
	})
	return zones, records, err
}

// listZones syncs the zones, and returns the job.
func (s *sites) listZones() *tracker.Job {
	s.t.Helper()
	s.clock.Advance(time.Minute)
	return s.zones.drain(s.zones.SyncNow(s.t.Context(), siteZone{Account: "acme"}, "", byUser))
}

// visible returns the number of visible rows by zone.
func (s *sites) visible() map[string]int {
	s.t.Helper()
	n := map[string]int{}
	for _, row := range s.rows() {
		n[row.Zone]++
	}
	return n
}

// jobs returns the jobs of an action, oldest first.
func (s *sites) jobs(action string) (list []*tracker.Job) {
	s.t.Helper()
	var ids []int64
	enginetest.NoError(s.t, s.db.Raw("SELECT id FROM nawasync_jobs WHERE service = 'dns' AND type = 'record' AND action = ? ORDER BY id", action).Scan(&ids).Error)
	for _, id := range ids {
		list = append(list, s.job(id))
	}
	return list
}

// scopes returns which scopes are listed (true) and which are gone.
func (s *sites) scopes() map[string]bool {
	s.t.Helper()
	list, err := s.engine.Reader().ListedScopes(s.t.Context())
	enginetest.NoError(s.t, err)
	found := map[string]bool{}
	for _, l := range list {
		found[l.Instance] = !l.Gone()
	}
	return found
}

func zoneNames(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf("z%03d", i))
	}
	return list
}
