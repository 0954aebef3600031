package dns_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/remote"
)

// configs returns the configurations of the module, whose calls go through transport.
func (s *server) configs(t testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[dns.Zone], mirror.Config[dns.Set]) {
	t.Helper()
	zones, sets, err := dns.Configs(pdnsapi.Servers{"main": s.client(t, remote.Config{Base: transport})})
	enginetest.NoError(t, err)
	return zones, sets
}

// refusal is the body of a refused request.
func refusal(_ int, message string) string {
	body, _ := json.Marshal(map[string]string{"error": message})
	return string(body)
}

func TestZonesPassTheConformanceSuite(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		nawasynctest.TestRemote(t, nawasynctest.RemoteSuite[dns.Zone]{
			Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[dns.Zone], nawasynctest.RemoteServer[dns.Zone]) {
				zones, _ := s.configs(t, transport)
				return zones, nawasynctest.RemoteServer[dns.Zone]{
					Create: func(z dns.Zone) (dns.Zone, error) {
						zones.Normalise(&z)
						_, err := s.other.CreateZone(t.Context(), map[string]any{"name": z.Name, "kind": z.Kind, "account": z.Account})
						return z, err
					},
					Change: func(z dns.Zone) error {
						return s.other.EditZone(t.Context(), z.Name, map[string]any{"kind": z.Kind, "account": z.Account})
					},
					Delete: func(z dns.Zone) error { return s.other.DeleteZone(context.Background(), z.Name) },
				}
			},
			Scope: dns.Zone{Server: "main"},
			Object: func(n int) dns.Zone {
				return dns.Zone{Server: "main", Name: fmt.Sprintf("Suite%d_/%s.Example", n, s.prefix), Kind: "Native", Account: "ann"}
			},
			Changes: []func(*dns.Zone, int){
				func(z *dns.Zone, n int) { z.Kind = []string{"Master", "Native"}[n%2] },
				func(z *dns.Zone, n int) { z.Account = fmt.Sprintf("account%d", n) },
			},
			Secrets: []nawasync.Secret{s.key}, ErrorBody: refusal,
		})
	})
}

func TestSetsPassTheConformanceSuite(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *server) {
		scope := dns.Set{Server: "main", Zone: s.zone(t, "alpha")}
		nawasynctest.TestRemote(t, nawasynctest.RemoteSuite[dns.Set]{
			Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[dns.Set], nawasynctest.RemoteServer[dns.Set]) {
				_, sets := s.configs(t, transport)
				replace := func(r dns.Set) error {
					sets.Normalise(&r)
					return s.other.ReplaceSet(t.Context(), scope.Zone, wire(r))
				}
				return sets, nawasynctest.RemoteServer[dns.Set]{
					Create: func(r dns.Set) (dns.Set, error) { return r, replace(r) },
					Change: replace,
					Delete: func(r dns.Set) error { return s.other.DeleteSet(context.Background(), scope.Zone, r.Name, r.Type) },
				}
			},
			Scope: scope, OtherScope: dns.Set{Server: "main", Zone: s.zone(t, "bravo")}, GoneScope: dns.Set{Server: "main", Zone: "gone." + s.prefix + ".example."},
			Object: func(n int) dns.Set {
				r := scope
				r.Name, r.Type, r.TTL, r.Records = fmt.Sprintf("Suite%d.%s", n, scope.Zone), "AAAA", 300, []string{"2001:DB8:0:0::7"}
				r.Disabled = []string{"2001:db8::8"}
				return r
			},
			Changes: []func(*dns.Set, int){
				func(r *dns.Set, n int) { r.TTL = int64(60 + n) },
				func(r *dns.Set, n int) { r.Records = []string{fmt.Sprintf("2001:db8::1:%x", n+1), "2001:DB8::2"} },
				func(r *dns.Set, n int) { r.Disabled = []string{fmt.Sprintf("2001:db8::2:%x", n+1)} },
			},
			Secrets: []nawasync.Secret{s.key}, ErrorBody: refusal,
		})
	})
}
