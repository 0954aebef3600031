package mirror_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// sitesChild runs the sites of a remote that has some zones, and kills the process before the first statement after a
// condition holds. The mode is sites@zones@condition.
func sitesChild(c *enginetest.ChildProcess) error {
	mode := strings.SplitN(c.Mode, "@", 3)
	db, err := testdb.OpenFaulty(c.DB.Name(), c.DSN, func() testdb.Fault {
		var holds bool
		if c.DB.Raw(mode[2]).Row().Scan(&holds) == nil && holds {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return testdb.FaultNone
	})
	if err != nil {
		return err
	}
	e, err := nawasync.New(nawasync.Config{DB: db, Redis: c.Redis, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	if _, _, err := siteRepositories(e, newSiteRemote(strings.Split(mode[1], ",")...), 0); err != nil {
		return err
	}
	if err := e.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(enginetest.ChildReady)
	select {}
}

// runningSites are sites on an engine that runs.
type runningSites struct {
	*sites
	h *enginetest.Harness
}

// start runs the sites in this process, which takes over the jobs of a killed one soon.
func (s *runningSites) start(remote *siteRemote) *nawasync.Engine {
	s.t.Helper()
	e := s.h.Tuned(host.Tuning{Beat: 200 * time.Millisecond, LeaseTTL: 2 * time.Second, DeadAfter: 3 * time.Second}, nil)
	zones, records, err := siteRepositories(e, remote, 0)
	enginetest.NoError(s.t, err)
	s.sites = &sites{
		remote: remote, zones: &mirrored[siteZone]{SyncedRepository: zones, t: s.t, db: s.h.DB, engine: e},
		mirrored: &mirrored[siteRecord]{SyncedRepository: records, t: s.t, db: s.h.DB, engine: e},
	}
	s.h.Start(e)
	return e
}

// count returns the number of rows that SQL counts.
func (s *runningSites) count(sql string) (n int) {
	s.t.Helper()
	enginetest.NoError(s.t, s.h.DB.Raw("SELECT COUNT(*) FROM "+sql).Row().Scan(&n))
	return n
}

// zoneSync requests a sync of the zones, and waits until it has succeeded.
func (s *runningSites) zoneSync() {
	s.t.Helper()
	job, err := s.zones.SyncNow(s.t.Context(), siteZone{Account: "acme"}, "", byUser)
	enginetest.NoError(s.t, err)
	enginetest.WaitStatus(s.t, s.engine, job.ID, tracker.StatusSuccess)
}

// A process dies after it has stored the zones of a listing, or the deletion of a zone, and before it has had the
// scopes compared with them.
func TestScopesAreFollowedAfterTheProcessThatChangedTheirRowsWasKilled(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createSites(h)
		s := &runningSites{sites: &sites{mirrored: &mirrored[siteRecord]{t: t}}, h: h}
		const followed = "nawasync_jobs WHERE action = 'follow_scopes'"

		idle := h.Engine(nil) // only dispatches
		zones, _, err := siteRepositories(idle, newSiteRemote(), 0)
		enginetest.NoError(t, err)
		sync := func() {
			_, err := zones.SyncNow(t.Context(), siteZone{Account: "acme"}, "", byUser)
			enginetest.NoError(t, err)
		}
		child := enginetest.StartChild(t, h, "sites@a,b,c@SELECT COUNT(*) = 3 FROM site_zones WHERE last_synced_at IS NOT NULL")
		sync()
		child.WaitExit(t)
		if n := s.count(followed); n != 0 {
			t.Fatalf("%d jobs follow the scopes, want that the process died before", n)
		}
		running := s.start(newSiteRemote("a", "b", "c"))
		s.expectScopes(map[string]bool{"acme/a": true, "acme/b": true, "acme/c": true}, 3)

		s.remote.drop("c")
		s.zoneSync() // c is missing once
		enginetest.NoError(t, running.Stop(t.Context()))
		before := s.count(followed)
		child = enginetest.StartChild(t, h, "sites@a,b@SELECT COUNT(*) = 1 FROM site_zones WHERE deleted_at IS NOT NULL")
		sync()
		child.WaitExit(t)
		if n := s.count(followed); n != before {
			t.Fatalf("%d jobs follow the scopes, want that the process died before there was one more than %d", n, before)
		}
		s.start(newSiteRemote("a", "b"))
		s.expectScopes(map[string]bool{"acme/a": true, "acme/b": true, "acme/c": false}, 2)
	})
}

// expectScopes waits until the scopes are the wanted ones, and so many rows are visible.
func (s *runningSites) expectScopes(want map[string]bool, rows int) {
	s.t.Helper()
	enginetest.Eventually(s.t, 60*time.Second, "the scopes follow their rows", func() bool {
		return maps.Equal(s.scopes(), want) && s.count("site_records WHERE deleted_at IS NULL") == rows
	})
}
