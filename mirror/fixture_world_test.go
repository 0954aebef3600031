package mirror_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// worldRecord is an object of a worldRemote, which assigns RID and Made, and stores contents in lower
// case.
type worldRecord struct {
	ID      uint64
	Zone    string `sync:"scope"`
	RID     string `gorm:"column:rid"  sync:"key"`
	Name    string `sync:"natural"`
	Made    int64  `sync:"incarnation"`
	Type    string `sync:"group=data"`
	Content string `sync:"group=data"`
	TTL     int64  `gorm:"column:ttl"`
	Used    int64  `sync:"observed"`
	nawasync.SyncStatus
}

const worldColumns = "zone TEXT NOT NULL, rid TEXT, name TEXT NOT NULL, made BIGINT, type TEXT, content TEXT, ttl BIGINT, used BIGINT"

// spelledZone begins the names of zones whose repository knows how the remote spells contents.
const spelledZone = "spelled"

func spellContent(r *worldRecord) {
	if strings.HasPrefix(r.Zone, spelledZone) {
		r.Content = strings.ToLower(r.Content)
	}
}

// String returns the values of an object and where its row stands.
func (r worldRecord) String() string {
	return fmt.Sprintf("{%s %s/%d %s: %s %s %d %d; row %d %s %q %v}", r.Zone, r.RID, r.Made, r.Name, r.Type, r.Content, r.TTL, r.Used, r.ID, r.State, r.SyncError,
		r.LastSyncedAt.Format(time.TimeOnly))
}

// worldVersion is a state of one object, from a time on. Made identifies the object.
type worldVersion struct {
	at      time.Time
	value   worldRecord
	deleted bool
}

func (v worldVersion) String() string {
	return fmt.Sprintf("%s %v deleted %v", v.at.Format(time.TimeOnly), v.value, v.deleted)
}

// worldRemote is a remote of which a property test decides everything.
type worldRemote struct {
	clock    *nawasynctest.Clock
	versions []worldVersion
	made     int64

	lag         time.Duration // of reads
	uniqueNames bool          // a creation of a name that exists is refused
	numbered    bool          // objects have versions
	echo        bool          // a write answers what was sent
	size        int           // objects per page
	counted     bool          // listings have a total

	before func(call string) error          // runs before each call
	after  func(call string) error          // runs after each write that took effect
	wrote  func(call string, v worldRecord) // runs with each write, with the object as it was; of a creation, as it is
	cursor func() error                     // runs when a listing goes on at a cursor
}

func (r *worldRemote) add(v worldRecord, deleted bool) {
	r.versions = append(r.versions, worldVersion{r.clock.Now(), v, deleted})
}

// put adds a new object and returns it.
func (r *worldRemote) put(v worldRecord) worldRecord {
	r.made++
	v.Made = r.made
	if v.RID == "" {
		v.RID = fmt.Sprintf("id-%d", v.Made)
	}
	v.Used, v.Content = v.Made%3, strings.ToLower(v.Content)
	v.ID, v.SyncStatus = 0, nawasync.SyncStatus{}
	r.add(v, false)
	return v
}

// shown returns the objects of a zone as they were at the given time before now, ordered by key.
func (r *worldRemote) shown(zone string, before time.Duration) (list []worldRecord) {
	for _, v := range r.versions {
		if v.value.Zone != zone || v.at.After(r.clock.Now().Add(-before)) {
			continue
		}
		list = slices.DeleteFunc(list, func(o worldRecord) bool { return o.Made == v.value.Made })
		if !v.deleted {
			list = append(list, v.value)
		}
	}
	slices.SortFunc(list, func(a, b worldRecord) int { return cmp.Compare(a.RID, b.RID) })
	return list
}

func (r *worldRemote) find(zone, rid, name string, before time.Duration) (worldRecord, bool) {
	for _, v := range r.shown(zone, before) {
		if v.RID == rid || rid == "" && v.Name == name {
			return v, true
		}
	}
	return worldRecord{}, false
}

// showed reports whether reads could show an object under a key within the remote's lag.
func (r *worldRemote) showed(zone, rid string, made int64) bool {
	since := r.clock.Now().Add(-r.lag)
	last := false
	for _, v := range r.versions {
		if v.value.Made != made {
			continue
		}
		if v.at.After(since) && last {
			return true
		}
		last = v.value.Zone == zone && v.value.RID == rid && !v.deleted
	}
	return last
}

func (r *worldRemote) object(v worldRecord) (o mirror.Object[worldRecord]) {
	o.Value = v
	if r.numbered {
		o.Version = fmt.Sprintf("%+v", v)
	}
	return o
}

func (r *worldRemote) Get(_ context.Context, key worldRecord) (o mirror.Object[worldRecord], err error) {
	if err := r.before("get"); err != nil {
		return o, err
	}
	v, found := r.find(key.Zone, key.RID, key.Name, r.lag)
	if !found {
		return o, nawasynctest.ErrGone
	}
	return r.object(v), nil
}

func (r *worldRemote) ScopeExists(context.Context, worldRecord) (bool, error) { return true, nil }

func (r *worldRemote) Create(_ context.Context, want worldRecord) (o mirror.Object[worldRecord], err error) {
	if err := r.before("create"); err != nil {
		return o, err
	}
	if _, taken := r.find(want.Zone, "", want.Name, 0); taken && r.uniqueNames {
		return o, nawasynctest.ErrExists
	}
	v := r.put(want)
	r.wrote("create", v)
	o = r.object(v)
	if r.echo && !r.numbered {
		o.Value.Content = want.Content
	}
	return o, r.after("create")
}

func (r *worldRemote) Update(_ context.Context, current mirror.Object[worldRecord], want worldRecord, touched mirror.FieldDiff) (
	o mirror.Object[worldRecord], err error,
) {
	if err := r.before("update"); err != nil {
		return o, err
	}
	v, found := r.find(want.Zone, current.Value.RID, "", 0)
	switch {
	case !found:
		return o, nawasynctest.ErrGone
	case r.numbered && r.object(v).Version != current.Version:
		return o, fault.WithClass(fault.ClassConflict, errors.New("HTTP 412"))
	}
	before := v
	for _, c := range touched {
		switch c.Field {
		case "name":
			v.Name = want.Name
		case "type":
			v.Type = want.Type
		case "content":
			v.Content = strings.ToLower(want.Content)
		case "ttl":
			v.TTL = want.TTL
		}
	}
	r.add(v, false)
	r.wrote("update", before)
	if o = r.object(v); r.echo && !r.numbered {
		o.Value = want
	}
	return o, r.after("update")
}

func (r *worldRemote) Delete(_ context.Context, key worldRecord) error {
	if err := r.before("delete"); err != nil {
		return err
	}
	v, found := r.find(key.Zone, key.RID, "", 0)
	if !found {
		return nawasynctest.ErrGone
	}
	r.add(v, true)
	r.wrote("delete", v)
	return r.after("delete")
}

func (r *worldRemote) List(ctx context.Context, scope worldRecord, detail string) iter.Seq2[mirror.Page[worldRecord], error] {
	return r.ListFrom(ctx, scope, detail, "")
}

// ListFrom yields pages. The cursor of a page is the last key of it.
func (r *worldRemote) ListFrom(_ context.Context, scope worldRecord, detail, after string) iter.Seq2[mirror.Page[worldRecord], error] {
	return func(yield func(mirror.Page[worldRecord], error) bool) {
		if after != "" {
			if err := r.cursor(); err != nil {
				yield(mirror.Page[worldRecord]{}, err)
				return
			}
		}
		for more := true; more; {
			if err := r.before("list"); err != nil {
				yield(mirror.Page[worldRecord]{}, err)
				return
			}
			var p mirror.Page[worldRecord]
			if p, more = r.page(scope.Zone, detail, after); more {
				after = p.Cursor
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// page returns the objects with the keys after the given one.
func (r *worldRemote) page(zone, detail, after string) (p mirror.Page[worldRecord], more bool) {
	all := r.shown(zone, r.lag)
	p.Proof.Level = mirror.ProofExhausted
	if r.counted {
		p.Proof = mirror.Proof{Level: mirror.ProofCounted, Total: int64(len(all))}
	}
	for _, v := range all {
		if v.RID <= after {
			continue
		}
		if more = len(p.Items) == r.size; more {
			p.Cursor = p.Items[r.size-1].RID
			break
		}
		if detail == "brief" {
			v = worldRecord{Zone: v.Zone, RID: v.RID, Name: v.Name, Made: v.Made, Type: v.Type}
		}
		p.Items = append(p.Items, v)
	}
	if detail == "brief" {
		p.Fields = []string{"name", "made", "type"}
	}
	return p, more
}
