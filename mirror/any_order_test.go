package mirror_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// Users, jobs, syncs, operators and other clients do anything in any order, on a remote that lags, limits
// calls, loses answers, refuses creations and stores values in another form. A job writes only to the
// object that its user saw, or that it has made itself. When all is at rest, each object has one row, and
// each row equals its object or says why not.
func TestAnyOrderOfEventsEndsWithOneRowPerObjectAndTouchesNoOther(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := &worldRemote{}
		m := newMirroredWith[worldRecord](t, db, "world_records", worldColumns, mirror.Config[worldRecord]{
			Remote: remote, Normalise: spellContent, NormaliseVersion: 1, Details: []string{"brief"},
		})
		remote.clock = m.clock
		round := 0
		check := func(rt *rapid.T) {
			round++
			if db.Dialect != "sqlite" && round > 20 {
				return
			}
			w := newWorld(rt, m, remote, round)
			defer w.rest() // also after a failure
			w.begin()
			for range rapid.IntRange(3, 40).Draw(rt, "steps") {
				w.step()
			}
			w.settle()
			w.compare()
		}
		checks := 1
		if flag.Lookup("rapid.checks").Value.String() == defaultChecks && db.Dialect == "sqlite" {
			checks = 5
		}
		for range checks {
			rapid.Check(t, check)
		}
	})
}

// world is one run of the property test.
type world struct {
	rt     *rapid.T
	m      *mirrored[worldRecord]
	remote *worldRemote
	zones  []string
	busy   string // the zone in which most happens
	names  []string

	quiet   bool // the remote answers every call, and other clients do nothing
	running int64
	seen    []worldRecord        // rows that users have seen
	bound   map[int64]worldBound // by job
	made    map[int64][]int64    // the objects that a creation made, by job
	touched map[int64]bool       // the objects that another client has touched
	create  map[uint64]int64     // the job that creates the object of a row, by row
	wants   map[int64]worldWant  // what users asked for, by job
}

// worldWant is what a user asked for.
type worldWant struct {
	at    time.Time
	gone  bool                       // a deletion
	unmet func(worldRecord) []string // the fields that this state of the object does not have as asked
}

// worldBound is the object that a job may write.
type worldBound struct {
	made   int64 // as the user saw it; 0 if the row had no object
	rid    string
	create int64 // the job that creates it
}

func newWorld(rt *rapid.T, m *mirrored[worldRecord], remote *worldRemote, round int) *world {
	w := &world{
		rt: rt, m: m, remote: remote, zones: []string{fmt.Sprintf("plain%d", round), fmt.Sprintf("%s%d", spelledZone, round)}, names: []string{"www", "mail", "ns"},
		bound: map[int64]worldBound{}, made: map[int64][]int64{}, touched: map[int64]bool{}, create: map[uint64]int64{},
		wants: map[int64]worldWant{},
	}
	m.clock.Advance(24 * time.Hour)
	enginetest.NoError(m.t, m.db.Exec("DELETE FROM world_records").Error)
	remote.versions, remote.made = nil, 0 // the keys are the same in each run
	remote.lag = rapid.SampledFrom([]time.Duration{0, 0, 3 * time.Second}).Draw(rt, "lag")
	remote.uniqueNames = rapid.Bool().Draw(rt, "unique names")
	remote.numbered = rapid.Bool().Draw(rt, "versions")
	remote.echo = rapid.Bool().Draw(rt, "echo")
	remote.size = rapid.IntRange(1, 3).Draw(rt, "page size")
	remote.counted = rapid.Bool().Draw(rt, "counted")
	remote.before, remote.after, remote.cursor, remote.wrote = w.before, w.after, w.cursor, w.wrote
	return w
}

func (w *world) draw(n int, label string) int { return rapid.IntRange(0, n-1).Draw(w.rt, label) }

func (w *world) zone() string {
	return rapid.SampledFrom([]string{w.zones[0], w.zones[1], w.busy, w.busy}).Draw(w.rt, "zone")
}

func (w *world) name() string { return rapid.SampledFrom(w.names).Draw(w.rt, "name") }

// begin adds a few objects, and mirrors them in most runs.
func (w *world) begin() {
	w.busy = rapid.SampledFrom(w.zones).Draw(w.rt, "busy zone")
	for range w.draw(5, "objects at first") {
		w.otherClient()
	}
	if w.draw(4, "mirrored at first") > 0 {
		w.quiet = true
		for _, zone := range w.zones {
			_, err := w.m.SyncNow(w.m.t.Context(), worldRecord{Zone: zone}, rapid.SampledFrom([]string{"", "brief"}).Draw(w.rt, "detail"), byUser)
			w.expect(err)
		}
		w.m.clock.Advance(10 * time.Second)
		w.run(100)
		w.quiet = false
	}
}

// run runs up to n jobs. As Drain does, it moves the clock to the time of the next one.
func (w *world) run(n int) {
	ctx := w.m.t.Context()
	internals := w.m.engine.Internals(host.NewKey())
	for range n {
		due, found, err := internals.FirstDue(ctx)
		enginetest.NoError(w.m.t, err)
		if !found {
			return
		}
		if due.At.After(w.m.clock.Now()) {
			w.m.clock.Set(due.At)
		}
		w.running = due.ID
		enginetest.NoError(w.m.t, internals.RunDue(ctx, due))
		w.running = 0
		w.checkSuccess(due.ID)
	}
}

// rest runs all jobs on a remote that answers every call.
func (w *world) rest() {
	w.quiet = true
	w.running = 0
	w.run(500)
}

// settle answers the conflicts, and syncs until what is missing is deleted.
func (w *world) settle() {
	w.rest()
	for range 3 {
		for _, row := range w.m.rows() {
			if row.State == nawasync.StateConflict && row.SyncJobID != nil {
				w.answerRow(row, rapid.SampledFrom([]string{"theirs", "mine", "overwrite", "accept"}).Draw(w.rt, "answer"))
			}
		}
		w.rest()
	}
	for range 4 {
		w.m.clock.Advance(time.Minute)
		for _, zone := range w.zones {
			_, err := w.m.SyncNow(w.m.t.Context(), worldRecord{Zone: zone}, "", byUser)
			w.expect(err)
		}
		w.rest()
		holds, err := w.m.engine.Reader().Holds(w.m.t.Context(), "api", "world_records", true, 10)
		enginetest.NoError(w.m.t, err)
		for _, hold := range holds {
			_, err := mirror.ReleaseHold(w.m.t.Context(), w.m.engine, hold.ID, nawasync.OperatorOptions{By: "user:1"})
			enginetest.NoError(w.m.t, err)
		}
		w.rest()
	}
	if err := nawasynctest.Drain(w.m.t.Context(), w.m.engine, w.m.clock); err != nil {
		w.rt.Fatal(err)
	}
}
