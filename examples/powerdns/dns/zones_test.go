package dns_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestZonesComeAndGoWithTheirSets(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		w := newWorld(t, testdb.SQLite(t), s)
		w.sync()
		name := "new." + s.prefix + ".example."
		t.Cleanup(func() { _ = s.other.DeleteZone(context.Background(), name) })
		created, err := w.Zones.Create(t.Context(), dns.Zone{Server: "main", Name: "New." + s.prefix + ".Example", Kind: "Native", Account: "ann"}, byAnn)
		w.noError(err)
		w.drain()
		w.want(created, tracker.StatusSuccess, "")
		s.put(t, name, one("www."+name, "A", 300, "192.0.2.1"))
		_, err = w.Sets.SyncNow(t.Context(), dns.Set{}, "", byAnn) // what the schedule does
		w.noError(err)
		w.drain()
		scope := dns.Set{Server: "main", Zone: name}
		count := func() (n int) {
			for _, err := range w.Sets.All(t.Context(), nawasync.Query{Where: map[string]any{"server": "main", "zone": name}}) {
				w.noError(err)
				n++
			}
			return n
		}
		if count() != 1 {
			t.Errorf("the new zone has %d rows, want 1", count())
		}
		zone, err := w.Zones.FindKey(t.Context(), dns.Zone{Server: "main", Name: name})
		w.noError(err)
		changed, err := w.Zones.Update(t.Context(), zone, func(z *dns.Zone) { z.Account = "ben" }, byAnn)
		w.noError(err)
		w.drain()
		w.want(changed, tracker.StatusSuccess, "")
		w.noError(s.other.DeleteZone(t.Context(), name))
		for range 2 { // the second listing has the zone confirmed, and its sets retired
			_, err := w.Zones.SyncNow(t.Context(), dns.Zone{Server: "main"}, "", byAnn)
			w.noError(err)
			w.drain()
		}
		if count() != 0 {
			t.Errorf("the removed zone still shows %d rows", count())
		}
		if _, err := w.Sets.SyncNow(t.Context(), scope, "", byAnn); !errors.Is(err, mirror.ErrScopeGone) {
			t.Errorf("a sync of the removed zone returns %v, want ErrScopeGone", err)
		}
	})
}
