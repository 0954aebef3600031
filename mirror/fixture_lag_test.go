package mirror_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// zoneRecord is a DNS record. Its remote stores names with a final dot.
type zoneRecord struct {
	ID      uint64
	Zone    string `sync:"scope"`
	RID     string `gorm:"column:rid" sync:"key"`
	Name    string `sync:"natural"`
	Type    string `sync:"group=data"`
	Content string `sync:"group=data"`
	TTL     int64  `gorm:"column:ttl"`
	Weight  int64  `sync:"exact"`
	nawasync.SyncStatus
}

const recordColumns = "zone TEXT NOT NULL, rid TEXT, name TEXT NOT NULL, type TEXT NOT NULL, content TEXT NOT NULL, ttl BIGINT NOT NULL, weight BIGINT NOT NULL"

// zoneRemote shows each write after lag, as a remote does whose reads go to a replica.
type zoneRemote struct {
	mu       sync.Mutex
	clock    *nawasynctest.Clock
	lag      time.Duration
	listLag  time.Duration // of listings, if it is longer
	versions []zoneVersion
	made     int

	store   func(want zoneRecord) zoneRecord // what the remote makes of a value; nil stores it as it is
	echo    bool                             // Update and Create answer what was sent
	after   func(call string) error          // runs after a write and returns its error
	reader  func(o *mirror.Object[zoneRecord])
	writes  map[string]int
	handles map[string]int // how many more polls say that the task is busy
}

// zoneVersion is a state of one object, from a time on.
type zoneVersion struct {
	at      time.Time
	value   zoneRecord
	deleted bool
}

func (r *zoneRemote) add(v zoneRecord, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions = append(r.versions, zoneVersion{r.clock.Now(), v, deleted})
}

// shown returns the objects that were there at the given time before now.
func (r *zoneRemote) shown(before time.Duration) (list []zoneRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.versions {
		if v.at.After(r.clock.Now().Add(-before)) {
			continue
		}
		at := slices.IndexFunc(list, func(o zoneRecord) bool { return o.RID == v.value.RID })
		switch {
		case v.deleted && at >= 0:
			list = slices.Delete(list, at, at+1)
		case v.deleted:
		case at >= 0:
			list[at] = v.value
		default:
			list = append(list, v.value)
		}
	}
	return list
}

// stored returns the real state of the remote.
func (r *zoneRemote) stored() []zoneRecord { return r.shown(0) }

func (r *zoneRemote) List(context.Context, zoneRecord, string) iter.Seq2[mirror.Page[zoneRecord], error] {
	return func(yield func(mirror.Page[zoneRecord], error) bool) {
		yield(mirror.Page[zoneRecord]{Items: r.shown(max(r.lag, r.listLag)), Proof: mirror.Proof{Level: mirror.ProofWhole}}, nil)
	}
}

func (r *zoneRemote) Get(_ context.Context, key zoneRecord) (o mirror.Object[zoneRecord], err error) {
	for _, v := range r.shown(r.lag) {
		if v.RID == key.RID || (key.RID == "" && v.Name == key.Name) {
			o.Value = v
			if r.reader != nil {
				r.reader(&o)
			}
			return o, nil
		}
	}
	return o, nawasynctest.ErrGone
}

func (r *zoneRemote) write(call string, want, stored zoneRecord, deleted bool) (o mirror.Object[zoneRecord], err error) {
	r.writes[call]++
	if r.store != nil && !deleted {
		stored = r.store(stored)
	}
	r.add(stored, deleted)
	if o.Value = stored; r.echo {
		want.RID, o.Value = stored.RID, want
		o.Value.RID = stored.RID
	}
	if r.after != nil {
		err = r.after(call)
	}
	return o, err
}

func (r *zoneRemote) Create(_ context.Context, want zoneRecord) (mirror.Object[zoneRecord], error) {
	r.made++
	stored := want
	stored.RID = "id-" + string(rune('0'+r.made))
	return r.write("create", want, stored, false)
}

func (r *zoneRemote) Update(_ context.Context, now mirror.Object[zoneRecord], want zoneRecord, _ mirror.FieldDiff) (mirror.Object[zoneRecord], error) {
	want.RID = now.Value.RID
	return r.write("update", want, want, false)
}

func (r *zoneRemote) Delete(_ context.Context, key zoneRecord) error {
	_, err := r.write("delete", key, key, true)
	return err
}

// pollingRemote is a zoneRemote that can be asked for the outcome of an accepted write.
type pollingRemote struct{ *zoneRemote }

func (r pollingRemote) Poll(_ context.Context, _ zoneRecord, handle string) error {
	if r.handles[handle] > 0 {
		r.handles[handle]--
		return mirror.Accepted(handle)
	}
	return nil
}

// failingPoll is a remote whose accepted writes fail.
type failingPoll struct{ pollingRemote }

func (failingPoll) Poll(context.Context, zoneRecord, string) error {
	return nawasync.Permanent(errors.New("the task has failed"))
}

func newZoneRemote(list ...zoneRecord) *zoneRemote {
	r := &zoneRemote{clock: nawasynctest.NewClock(time.Time{}), writes: map[string]int{}, handles: map[string]int{}}
	for _, v := range list {
		r.add(v, false)
	}
	r.clock.Advance(time.Hour)
	return r
}

// newZone returns a repository of records that has been synced. It uses the remote's clock.
func newZone(t *testing.T, db *testdb.Database, remote *zoneRemote, config mirror.Config[zoneRecord]) *mirrored[zoneRecord] {
	t.Helper()
	if config.Remote == nil {
		config.Remote = remote
	}
	m := newMirroredWith[zoneRecord](t, db, "zone_records", recordColumns, config)
	remote.clock.Advance(m.clock.Now().Sub(remote.clock.Now()) + time.Hour)
	m.clock.Set(remote.clock.Now())
	remote.clock = m.clock
	m.sync(zoneRecord{Zone: "z"})
	return m
}

// row returns the row of the record with the given name.
func row(m *mirrored[zoneRecord], name string) zoneRecord {
	m.t.Helper()
	for _, r := range m.rows() {
		if r.Name == name {
			return r
		}
	}
	m.t.Fatalf("no row has the name %s", name)
	return zoneRecord{}
}

var wwwRecord = zoneRecord{Zone: "z", RID: "id-0", Name: "www", Type: "CNAME", Content: "old.example.com.", TTL: 300, Weight: 1}

var inZone = zoneRecord{Zone: "z"}
