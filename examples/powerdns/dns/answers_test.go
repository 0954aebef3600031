package dns_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

func one(name, kind string, ttl int64, contents ...string) pdnsapi.Set {
	set := pdnsapi.Set{Name: name, Type: kind, TTL: ttl}
	for _, content := range contents {
		set.Records = append(set.Records, pdnsapi.Record{Content: content})
	}
	return set
}

func TestServerRefusesWhatItsAdministratorsKnow(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		zone := s.zone(t, "alpha")
		s.put(t, zone, one("c."+zone, "CNAME", 60, "www.example."))
		for _, c := range []struct {
			set   pdnsapi.Set
			class fault.Class
			text  string
		}{
			{one("x."+zone, "CNAME", 60, "www.example"), fault.ClassPermanent, "Not in expected format (parsed as 'www.example.')"},
			{one("x."+zone, "CNAME", 60, "a.example.", "b.example."), fault.ClassPermanent, "has more than one record"},
			{one("c."+zone, "A", 60, "192.0.2.1"), fault.ClassPermanent, "Conflicts with pre-existing RRset"},
			{one(zone, "CNAME", 60, "x.example."), fault.ClassPermanent, "Conflicts with pre-existing RRset"},
			{one("x."+zone, "TXT", 60, "no quotes"), fault.ClassPermanent, `Data field in DNS should start with quote (")`},
			{one("x."+zone, "MX", 60, "010 mail.example."), fault.ClassPermanent, "Not in expected format (parsed as '10 mail.example.')"},
			{one("x."+zone, "MX", 60, "5   mail.example."), fault.ClassPermanent, "Not in expected format (parsed as '5 mail.example.')"},
			{one("x."+zone, "A", 60, "192.0.2.300"), fault.ClassPermanent, "unable to parse IP address"},
			{one("x."+zone, "A", 60, "192.0.2.001"), fault.ClassPermanent, "Not in expected format (parsed as '192.0.2.1')"},
			{one("x."+zone, "A", 60, " 192.0.2.1 "), fault.ClassPermanent, "Not in expected format (parsed as '192.0.2.1')"},
			{one("x."+zone, "AAAA", 60, "x"), fault.ClassPermanent, "Invalid IPv6 address"},
			{one("x."+zone, "A", 60, "192.0.2.1", "192.0.2.1"), fault.ClassPermanent, `Duplicate record in RRset`},
			{one("x."+zone, "BOGUS", 60, "192.0.2.1"), fault.ClassPermanent, "unknown type given"},
			{one("x.other.example.", "A", 60, "192.0.2.1"), fault.ClassPermanent, "Name is out of zone"},
			{one("x."+strings.TrimSuffix(zone, "."), "A", 60, "192.0.2.1"), fault.ClassPermanent, "is not canonical"},
			{one("bü."+zone, "A", 60, "192.0.2.1"), fault.ClassPermanent, "contains unsupported characters"},
		} {
			err := s.other.ReplaceSet(t.Context(), zone, c.set)
			if fault.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s %s: class %q, want %q with %q: %v", c.set.Name, c.set.Type, fault.ClassOf(err), c.class, c.text, err)
			}
		}
		_, err := s.other.CreateZone(t.Context(), map[string]any{"name": zone, "kind": "Native"})
		if fault.ClassOf(err) != fault.ClassAlreadyExists {
			t.Errorf("a second zone of one name: %v, want the class already_exists", err)
		}
	})
}

func TestServerSpellsNamesAndAddressesItsOwnWay(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		zone := s.zone(t, "alpha")
		for _, c := range []struct {
			sent, want pdnsapi.Set
		}{
			{one("WWW."+zone, "A", 0, "192.0.2.2", "192.0.2.1"), one("www."+zone, "A", 0, "192.0.2.1", "192.0.2.2")},
			{one("six."+zone, "aaaa", 60, "2001:DB8:0:0::1"), one("six."+zone, "AAAA", 60, "2001:db8::1")},
			{one("c."+zone, "CNAME", 60, "WWW.Example."), one("c."+zone, "CNAME", 60, "WWW.Example.")},
			{one("n."+zone, "A", -1, "192.0.2.1"), one("n."+zone, "A", 4294967295, "192.0.2.1")},
			{one("*."+zone, "TXT", 60, `"two" "parts"`), one("*."+zone, "TXT", 60, `"two" "parts"`)},
			{one("a/b_c."+zone, "A", 60, "192.0.2.1"), one("a/b_c."+zone, "A", 60, "192.0.2.1")},
		} {
			s.put(t, zone, c.sent)
			got, err := s.other.Set(t.Context(), zone, c.want.Name, c.want.Type)
			enginetest.NoError(t, err)
			if got.Name != c.want.Name || got.TTL != c.want.TTL || !slices.Equal(got.Records, c.want.Records) {
				t.Errorf("%+v is read as %+v, want %+v", c.sent, got, c.want)
			}
		}
		before, err := s.other.Zone(t.Context(), strings.ToUpper(zone))
		enginetest.NoError(t, err)
		enginetest.NoError(t, s.other.DeleteSet(t.Context(), zone, "none."+zone, "A")) // is no error
		after, err := s.other.Zone(t.Context(), zone)
		enginetest.NoError(t, err)
		if after.EditedSerial <= before.EditedSerial || after.Name != zone {
			t.Errorf("after a change the zone is %+v, was %+v; want a higher serial", after, before)
		}
	})
}

// The filtered read of PowerDNS 4.7 leaves out disabled records.
func TestDisabledRecordsAreRead(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		zone := s.zone(t, "alpha")
		for _, name := range []string{"old." + zone, "*." + zone} {
			for _, records := range [][]pdnsapi.Record{
				{{Content: "192.0.2.1"}, {Content: "192.0.2.2", Disabled: true}},
				{{Content: "192.0.2.2", Disabled: true}},
			} {
				s.put(t, zone, pdnsapi.Set{Name: name, Type: "A", TTL: 300, Records: records})
				got, err := s.other.Set(t.Context(), zone, name, "A")
				enginetest.NoError(t, err)
				if got.TTL != 300 || !slices.Equal(got.Records, records) {
					t.Errorf("%s is read as %+v, want the TTL 300 and %+v", name, got, records)
				}
			}
		}
	})
}

func TestWrongAddressAndWrongKeyProveNothingAboutAZone(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		zone := s.zone(t, "alpha")
		for _, c := range []struct {
			path  string
			key   secret.Secret
			zone  string
			class fault.Class
		}{
			{"", s.key, zone, ""},
			{"/", s.key, zone, ""}, // PowerDNS answers 404 to a path with //
			{"", s.key, "none.example.", fault.ClassGone},
			{"/elsewhere", s.key, zone, fault.ClassConfig},
			{"", secret.New("wrong-key-000"), zone, fault.ClassCredentials},
		} {
			service, err := pdnsapi.NewRemote(remote.Config{})
			enginetest.NoError(t, err)
			client, err := pdnsapi.New(pdnsapi.Config{URL: s.url + c.path, Key: c.key, Remote: service})
			enginetest.NoError(t, err)
			if _, err := client.Zone(t.Context(), c.zone); fault.ClassOf(err) != c.class {
				t.Errorf("zone %s at %q: the class %q, want %q: %v", c.zone, c.path, fault.ClassOf(err), c.class, err)
			}
		}
	})
}
