package mirror_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
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
