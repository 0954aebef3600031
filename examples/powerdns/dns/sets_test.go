package dns_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// set returns a set of the world's zone.
func (w *world) set(name, kind string, ttl int64, records ...string) dns.Set {
	s := w.scope()
	s.Name, s.Type, s.TTL, s.Records = dns.FullName(name, w.zone), kind, ttl, records
	return s
}

func TestSetsAreStoredAsTheServerSpellsThem(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		testdb.Each(t, func(t *testing.T, db *testdb.Database) {
			w := newWorld(t, db, s)
			w.sync()
			var jobs []*tracker.Job
			for _, set := range []dns.Set{
				w.set("WWW", "a", 300, "192.0.2.2", "192.0.2.1"), w.set("six", "AAAA", 60, "2001:DB8:0:0::1"), w.set("c", "CNAME", 300, "WWW.Example"),
				w.set("@", "MX", 3600, "10   Mail.Example"), w.set("*", "TXT", 60, `"v=spf1 -all"`), w.set("a/b_c", "A", 0, "192.0.2.1"),
			} {
				job, err := w.Sets.Create(t.Context(), set, byAnn)
				w.noError(err)
				jobs = append(jobs, job)
			}
			w.drain()
			for _, job := range jobs {
				w.want(job, tracker.StatusSuccess, "")
			}
			rows := w.rows(nawasync.StateSynced)
			for key, want := range map[string][]string{
				"www. A": {"192.0.2.1", "192.0.2.2"}, "six. AAAA": {"2001:db8::1"}, "c. CNAME": {"www.example."}, " MX": {"10 mail.example."},
				"*. TXT": {`"v=spf1 -all"`}, "a/b_c. A": {"192.0.2.1"},
			} {
				got := slices.Sorted(slices.Values(rows[key].Records))
				if !slices.Equal(got, want) {
					t.Errorf("the row %q has %q, want %q", key, got, want)
				}
			}
			w.want(w.sync(), tracker.StatusSuccess, `"created":0,"updated":0,"unchanged":6`)
		})
	})
}

func TestChangeOfASetKeepsWhatSomebodyElseHasChangedInIt(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		w := newWorld(t, testdb.SQLite(t), s)
		name := "www." + w.zone
		s.put(t, w.zone, pdnsapi.Set{Name: name, Type: "A", TTL: 300, Records: []pdnsapi.Record{{Content: "192.0.2.1"}, {Content: "192.0.2.9", Disabled: true}}})
		w.sync()
		seen := w.rows()["www. A"]
		theirs := []pdnsapi.Record{{Content: "192.0.2.1"}, {Content: "192.0.2.2"}, {Content: "192.0.2.9", Disabled: true}}
		s.put(t, w.zone, pdnsapi.Set{Name: name, Type: "A", TTL: 300, Records: theirs})
		merged, err := w.Sets.Update(t.Context(), seen, func(r *dns.Set) { r.TTL = 60 }, byAnn)
		w.noError(err)
		w.drain()
		w.want(merged, tracker.StatusSuccess, "")
		got, err := s.other.Set(t.Context(), w.zone, name, "A")
		w.noError(err)
		if got.TTL != 60 || !slices.Equal(got.Records, theirs) {
			t.Errorf("the set is %+v, want the TTL 60 and all records of the other client", got)
		}
		refused, err := w.Sets.Update(t.Context(), seen, func(r *dns.Set) { r.Records = []string{"192.0.2.7"} }, byAnn)
		if errors.Is(err, nawasync.ErrUnchanged) {
			t.Fatal(err)
		}
		w.noError(err)
		w.drain()
		w.want(refused, tracker.StatusConflict, "records")
		if got, err := s.other.Set(t.Context(), w.zone, name, "A"); err != nil || !slices.Equal(got.Records, theirs) {
			t.Errorf("after the conflict the set is %+v, want what it was: %v", got, err)
		}
		answer, err := mirror.Overwrite(t.Context(), w.engine, refused.ID, nawasync.OperatorOptions{By: "user:7"})
		w.noError(err)
		w.drain()
		w.want(answer, tracker.StatusSuccess, "")
		if row := w.rows(nawasync.StateSynced)["www. A"]; row.TTL != 60 || !slices.Equal(row.Records, []string{"192.0.2.7"}) || len(row.Disabled) != 1 {
			t.Errorf("the row is %+v", row)
		}
	})
}

// The changes concern different sets of a zone, and are made at the same time.
func TestChangesBesideThoseOfAnotherClientLoseNothing(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		w := newWorld(t, testdb.SQLite(t), s)
		const n = 12
		var sets []pdnsapi.Set
		for i := range n {
			sets = append(sets, one(fmt.Sprintf("host%d.%s", i, w.zone), "A", 300, "192.0.2.1", "192.0.2.2"))
		}
		w.noError(s.other.ReplaceSets(t.Context(), w.zone, sets...))
		w.sync()
		for i := 0; i < n; i += 2 {
			_, err := w.Sets.Update(t.Context(), w.rows()[fmt.Sprintf("host%d. A", i)], func(r *dns.Set) { r.TTL = 60 }, byAnn)
			w.noError(err)
		}
		theirs := make(chan error, 1)
		go func() {
			var failed error
			for i := 1; i < n; i += 2 {
				failed = errors.Join(failed, s.insist(t.Context(), w.zone, one(sets[i].Name, "A", 900, "192.0.2.9")))
			}
			theirs <- failed
		}()
		w.drain()
		w.noError(<-theirs)
		w.want(w.sync(), tracker.StatusSuccess, "")
		rows := w.rows(nawasync.StateSynced)
		for i, was := range sets {
			got, err := s.other.Set(t.Context(), w.zone, was.Name, "A")
			w.noError(err)
			want := one(was.Name, "A", 60, "192.0.2.1", "192.0.2.2")
			if i%2 == 1 {
				want = one(was.Name, "A", 900, "192.0.2.9")
			}
			if row := wire(rows[fmt.Sprintf("host%d. A", i)]); !sameSet(got, want) || !sameSet(row, want) {
				t.Errorf("the server has %+v and the row is %+v, want %+v", got, row, want)
			}
		}
	})
}

func TestRefusedSetFailsWithTheReasonOfTheServer(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		w := newWorld(t, testdb.SQLite(t), s)
		s.put(t, w.zone, one("www."+w.zone, "A", 300, "192.0.2.1"))
		w.sync()
		for text, set := range map[string]dns.Set{
			"Conflicts with pre-existing RRset":     w.set("www", "CNAME", 60, "x.example"),
			"Data field in DNS should start with":   w.set("t", "TXT", 60, "no quotes"),
			"unable to parse IP address":            w.set("b", "A", 60, "192.0.2.300"),
			"Name is out of zone":                   {Server: "main", Zone: w.zone, Name: "x.other.example.", Type: "A", TTL: 60, Records: []string{"192.0.2.1"}},
			"has more than one record":              w.set("c", "CNAME", 60, "a.example", "b.example"),
			"Parsing record content (try 'pdnsutil": w.set("m", "MX", 60, "mail.example"),
		} {
			job, err := w.Sets.Create(t.Context(), set, byAnn)
			w.noError(err)
			w.drain()
			w.want(job, tracker.StatusFailed, text)
		}
		if rows := w.rows(nawasync.StateSynced); len(rows) != 1 {
			t.Errorf("%d rows are synced, want the one that exists", len(rows))
		}
	})
}
