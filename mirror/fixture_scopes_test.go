package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// siteZone is a row that stands for a scope of siteRecords.
type siteZone struct {
	ID      uint64
	Account string `sync:"scope"`
	Name    string `sync:"key"`
	Plan    string
	nawasync.SyncStatus
}

type siteRecord struct {
	ID      uint64
	Account string `sync:"scope"`
	Zone    string `sync:"scope"`
	RID     string `gorm:"column:rid" sync:"key,global"`
	Content string
	Note    string `sync:"ignored"` // the host's
	nawasync.SyncStatus
}

// siteRemote is a remote with the zones of an account and their records.
type siteRemote struct {
	mu      sync.Mutex
	zones   map[string]siteZone
	records map[string]map[string]siteRecord     // by zone
	listing func(p *mirror.Page[siteZone]) error // changes the listing of zones, or ends it
	synced  map[string]int                       // listings of records, by zone
	listed  int                                  // listings of zones
	cursors []string                             // from which the feed of records was read
}

func newSiteRemote(zones ...string) *siteRemote {
	r := &siteRemote{zones: map[string]siteZone{}, records: map[string]map[string]siteRecord{}, synced: map[string]int{}}
	r.add(zones...)
	return r
}

func (r *siteRemote) add(zones ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range zones {
		r.zones[name] = siteZone{Name: name, Plan: "free"}
		if r.records[name] == nil {
			r.records[name] = map[string]siteRecord{}
			r.records[name][name+"-a"] = siteRecord{RID: name + "-a", Content: "192.0.2.1"}
		}
	}
}

func (r *siteRemote) drop(zones ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range zones {
		delete(r.zones, name)
	}
}

// takeSynced returns how often the records of each zone were listed, and forgets it.
func (r *siteRemote) takeSynced() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.synced
	r.synced = map[string]int{}
	return out
}

// siteZoneRemote is the remote of zones.
type siteZoneRemote struct{ *siteRemote }

func (r siteZoneRemote) List(context.Context, siteZone, string) iter.Seq2[mirror.Page[siteZone], error] {
	return func(yield func(mirror.Page[siteZone], error) bool) {
		r.mu.Lock()
		r.listed++
		var all []siteZone
		for _, name := range slices.Sorted(maps.Keys(r.zones)) {
			all = append(all, r.zones[name])
		}
		r.mu.Unlock()
		proof := mirror.Proof{Level: mirror.ProofExhausted}
		for page := range slices.Chunk(append(all, siteZone{}), 50) {
			p := mirror.Page[siteZone]{Items: slices.DeleteFunc(page, func(z siteZone) bool { return z.Name == "" }), Proof: proof}
			if r.listing != nil {
				if err := r.listing(&p); err != nil {
					yield(p, err)
					return
				}
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (r siteZoneRemote) Get(_ context.Context, key siteZone) (o mirror.Object[siteZone], err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found bool
	if o.Value, found = r.zones[key.Name]; !found {
		err = nawasynctest.ErrGone
	}
	return o, err
}

func (r siteZoneRemote) Create(_ context.Context, want siteZone) (o mirror.Object[siteZone], err error) {
	r.add(want.Name)
	o.Value = want
	return o, nil
}

func (r siteZoneRemote) Update(_ context.Context, _ mirror.Object[siteZone], want siteZone, _ mirror.FieldDiff) (o mirror.Object[siteZone], err error) {
	o.Value = want
	return o, nil
}

func (r siteZoneRemote) Delete(_ context.Context, key siteZone) error {
	r.drop(key.Name)
	return nil
}

// siteRecordRemote is the remote of records. It knows the records of zones that exist.
type siteRecordRemote struct{ *siteRemote }

func (r siteRecordRemote) List(_ context.Context, scope siteRecord, _ string) iter.Seq2[mirror.Page[siteRecord], error] {
	return func(yield func(mirror.Page[siteRecord], error) bool) {
		r.mu.Lock()
		r.synced[scope.Zone]++
		page := mirror.Page[siteRecord]{Items: slices.Collect(maps.Values(r.records[scope.Zone])), Proof: mirror.Proof{Level: mirror.ProofWhole}}
		_, found := r.zones[scope.Zone]
		r.mu.Unlock()
		if !found {
			yield(page, fault.WithClass(fault.ClassPermanent, errors.New("HTTP 404: no such zone")))
			return
		}
		yield(page, nil)
	}
}

func (r siteRecordRemote) Get(_ context.Context, key siteRecord) (o mirror.Object[siteRecord], err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found bool
	if o.Value, found = r.records[key.Zone][key.RID]; !found {
		err = nawasynctest.ErrGone
	}
	return o, err
}

func (r siteRecordRemote) ScopeExists(_ context.Context, scope siteRecord) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.zones[scope.Zone]
	return found, nil
}

func (r siteRecordRemote) Create(_ context.Context, want siteRecord) (o mirror.Object[siteRecord], err error) {
	return r.Update(context.Background(), o, want, nil)
}

func (r siteRecordRemote) Update(_ context.Context, _ mirror.Object[siteRecord], want siteRecord, _ mirror.FieldDiff) (o mirror.Object[siteRecord], err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[want.Zone][want.RID] = want
	o.Value = want
	return o, nil
}

func (r siteRecordRemote) Delete(_ context.Context, key siteRecord) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.records[key.Zone], key.RID)
	return nil
}

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
