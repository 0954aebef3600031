package mirror_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// While listings meet rate limits, failures and expired cursors, users and other clients change objects,
// also between two pages and between two attempts. Once the remote answers again, syncs make the rows equal to
// it. No row of an object that exists all the time is ever deleted.
func TestAnyInterleavingWithLimitedListingsConvergesToTheRemote(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 6, paging)
		remote.limit, remote.size = 0, 2
		m.syncNow(realm)
		kept := map[string]uint64{}
		for _, row := range m.rows() {
			kept[row.Name] = row.ID
		}
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			l := &limitedRun{rt: rt, m: m, remote: remote, round: round}
			remote.before, remote.cursor = l.call, l.expire
			for range rapid.IntRange(1, 4).Draw(rt, "syncs") {
				m.clock.Advance(time.Minute)
				_, err := m.SyncNow(t.Context(), realm, "", byUser)
				l.expect(err)
				l.change()
				enginetest.NoError(t, nawasynctest.Drain(t.Context(), m.engine, m.clock))
			}
			remote.before, remote.cursor = nil, nil
			for range 3 {
				m.sync(realm)
			}
			l.compare(kept)
		})
	})
}

// limitedRun is one run of a property test.
type limitedRun struct {
	rt     *rapid.T
	m      *mirrored[person]
	remote *pagedRemote
	round  int
	inside bool // a change is being made
}

// call decides what happens before a call of the remote.
func (l *limitedRun) call(name string) error {
	if l.inside || !strings.HasPrefix(name, "list ") {
		return nil
	}
	l.change()
	switch rapid.IntRange(0, 7).Draw(l.rt, "answer") {
	case 0:
		return errors.New("the server answered 500")
	case 1, 2:
		after := rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(l.rt, "retry after")
		return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: after, Err: errors.New("the server answered 429")}
	}
	return nil
}

func (l *limitedRun) expire(string) error {
	if rapid.IntRange(0, 3).Draw(l.rt, "cursor") == 0 {
		return mirror.ErrCursorExpired
	}
	return nil
}

// change lets a user or another client change an object.
func (l *limitedRun) change() {
	l.inside = true
	defer func() { l.inside = false }()
	ctx := l.m.t.Context()
	p := person{Realm: "r", Name: fmt.Sprintf("p%05d-%d-%d", rapid.IntRange(0, 5).Draw(l.rt, "place"), l.round, rapid.IntRange(0, 2).Draw(l.rt, "object"))}
	p.Email = fmt.Sprintf("%d@example.com", rapid.IntRange(0, 3).Draw(l.rt, "email"))
	row, err := l.m.FindKey(ctx, p)
	found := err == nil && !row.LastSyncedAt.IsZero() // else its creation is open or has failed
	switch rapid.SampledFrom([]string{"", "", "put", "put", "drop", "create", "update", "delete"}).Draw(l.rt, "change") {
	case "put":
		l.remote.put(p)
	case "drop":
		l.remote.drop(p)
	case "create":
		_, err := l.m.Create(ctx, p, byUser)
		l.expect(err)
	case "update":
		if found {
			_, err := l.m.Update(ctx, row, func(row *person) { row.Email = p.Email }, byUser)
			l.expect(err)
		}
	case "delete":
		if found {
			_, err := l.m.Delete(ctx, row, byUser)
			l.expect(err)
		}
	}
}

func (l *limitedRun) expect(err error) {
	for _, expected := range []error{nil, nawasync.ErrExists, nawasync.ErrNotFound, nawasync.ErrDeleting, nawasync.ErrUnchanged} {
		if errors.Is(err, expected) {
			return
		}
	}
	l.rt.Fatal(err)
}

// compare checks that the rows are equal to the remote, or say why not.
func (l *limitedRun) compare(kept map[string]uint64) {
	without := maps.Clone(l.remote.objects)
	for _, row := range l.m.rows() {
		object, exists := l.remote.objects[row.Name]
		delete(without, row.Name)
		had := kept[row.Name]
		switch {
		case had != 0 && had != row.ID:
			l.rt.Errorf("%s has row %d, and had row %d", row.Name, row.ID, had)
		case row.State == nawasync.StateFailed || row.State == nawasync.StateConflict:
			if row.SyncError == "" {
				l.rt.Errorf("%s is %s and does not say why", row.Name, row.State)
			}
		case row.State != nawasync.StateSynced || !exists || row.Email != object.Email:
			l.rt.Errorf("%s is %s with %q, and the remote has %q (%v)", row.Name, row.State, row.Email, object.Email, exists)
		}
	}
	for name := range without {
		l.rt.Errorf("%s has no row", name)
	}
}
