package dns_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

var byAnn = nawasync.Options{By: "user:7"}

// world is a PowerDNS with a zone, and an engine whose jobs drain runs.
type world struct {
	t      *testing.T
	server *server
	zone   string
	engine *nawasync.Engine
	clock  *nawasynctest.Clock
	*dns.Module
}

// newWorld returns a world with an empty zone whose sets were synced.
func newWorld(t *testing.T, db *testdb.Database, s *server) *world {
	t.Helper()
	h := enginetest.New(t, db)
	enginetest.ParseTimes(t, h)
	enginetest.NoError(t, dns.CreateTables(t.Context(), h.DB.DB))
	w := &world{t: t, server: s, zone: s.zone(t, "alpha"), clock: nawasynctest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	w.engine = h.Engine(func(c *nawasync.Config) {
		c.Now, c.Sealer = w.clock.Now, enginetest.Keyring(t, []byte(strings.Repeat("k", 32)))
		c.Queues = map[string]nawasync.Queue{dns.Queue: {}, dns.SyncQueue: {}}
	})
	var err error
	w.Module, err = dns.New(w.engine, pdnsapi.Servers{"main": s.client(t, remote.Config{})})
	enginetest.NoError(t, err)
	return w
}

func (w *world) noError(err error) {
	w.t.Helper()
	enginetest.NoError(w.t, err)
}

// drain runs all jobs, and lets an hour pass.
func (w *world) drain() {
	w.t.Helper()
	w.noError(nawasynctest.Drain(w.t.Context(), w.engine, w.clock))
	w.clock.Advance(time.Hour)
}

func (w *world) scope() dns.Set { return dns.Set{Server: "main", Zone: w.zone} }

// sync syncs the zones and the sets, and returns the job of the zone's sets as it ended.
func (w *world) sync() *tracker.Job {
	w.t.Helper()
	_, err := w.Zones.SyncNow(w.t.Context(), dns.Zone{Server: "main"}, "", byAnn)
	w.noError(err)
	w.drain()
	job, err := w.Sets.SyncNow(w.t.Context(), w.scope(), "", byAnn)
	w.noError(err)
	w.drain()
	return w.ended(job)
}

func (w *world) ended(job *tracker.Job) *tracker.Job {
	w.t.Helper()
	ended, err := w.engine.Reader().Get(w.t.Context(), job.ID)
	w.noError(err)
	return ended
}

// rows returns the rows of the zone by name and type.
func (w *world) rows(states ...nawasync.SyncState) map[string]dns.Set {
	w.t.Helper()
	found := map[string]dns.Set{}
	for row, err := range w.Sets.All(w.t.Context(), nawasync.Query{Where: map[string]any{"server": "main", "zone": w.zone}, States: states}) {
		w.noError(err)
		found[strings.TrimSuffix(row.Name, w.zone)+" "+row.Type] = row
	}
	return found
}

// want checks how a job has ended.
func (w *world) want(job *tracker.Job, status tracker.Status, text string) {
	w.t.Helper()
	ended := w.ended(job)
	if ended.Status != status || !strings.Contains(ended.Error+string(ended.Result), text) {
		w.t.Errorf("%s %s is %s, want %s with %q: %s %s", ended.Action, ended.TargetID, ended.Status, status, text, ended.Error, ended.Result)
	}
}
