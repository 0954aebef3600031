package dns_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

func TestZonesPassTheConformanceSuite(t *testing.T) {
	t.Parallel()
	names := sim.New(suiteOptions())
	scope := dns.Zone{Token: "main", Account: names.AccountID("main")}
	nawasynctest.TestRemote(t, nawasynctest.RemoteSuite[dns.Zone]{
		Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[dns.Zone], nawasynctest.RemoteServer[dns.Zone]) {
			server, config := suiteServer(t, transport)
			_, zones, _ := dns.Configs(config)
			return zones, nawasynctest.RemoteServer[dns.Zone]{
				Create: func(z dns.Zone) (_ dns.Zone, err error) {
					z.ZoneID, err = server.AddZone(z.Account, z.Name, 0)
					return z, err
				},
				Delete: func(z dns.Zone) error { return server.RemoveZone(z.ZoneID) },
			}
		},
		Scope: scope, OtherScope: dns.Zone{Token: "main", Account: names.AccountID("labs")},
		GoneScope: dns.Zone{Token: "main", Account: strings.Repeat("0", 32)},
		Object: func(n int) dns.Zone {
			z := scope
			z.Name = fmt.Sprintf("zone%d.example", n)
			return z
		},
		PageSize: 50, Secrets: []nawasync.Secret{nawasync.NewSecret(suiteToken)}, ErrorBody: suiteRefusal,
	})
}

func TestAccountsPassTheConformanceSuite(t *testing.T) {
	t.Parallel()
	nawasynctest.TestRemote(t, nawasynctest.RemoteSuite[dns.Account]{
		Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[dns.Account], nawasynctest.RemoteServer[dns.Account]) {
			server, config := suiteServer(t, transport)
			accounts, _, _ := dns.Configs(config)
			return accounts, nawasynctest.RemoteServer[dns.Account]{
				Create: func(a dns.Account) (_ dns.Account, err error) {
					a.AccountID, err = server.AddAccount("main", a.Name, 0)
					return a, err
				},
				Delete: func(a dns.Account) error { return server.RemoveAccount(a.AccountID) },
			}
		},
		Scope: dns.Account{Token: "main"}, OtherScope: dns.Account{Token: "shop"}, GoneScope: dns.Account{Token: "removed"},
		Object:   func(n int) dns.Account { return dns.Account{Token: "main", Name: fmt.Sprintf("account %d", n)} },
		PageSize: 50, Secrets: []nawasync.Secret{nawasync.NewSecret(suiteToken)}, ErrorBody: suiteRefusal,
	})
}
