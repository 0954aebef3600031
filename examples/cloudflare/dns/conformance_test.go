package dns_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/remote"
)

// suiteToken is the token of the simulated Cloudflare of the conformance suite.
const suiteToken = "TOKEN-abcdef123456"

// suiteServer returns a simulated Cloudflare, and clients that send through transport and list few records at once.
func suiteServer(t testing.TB, transport *nawasynctest.RemoteTransport) (*sim.Server, dns.Config) {
	t.Helper()
	server := sim.New(suiteOptions())
	transport.Base = server.Transport()
	service, err := cfapi.NewRemote(remote.Config{Base: transport})
	enginetest.NoError(t, err)
	tokens := dns.Tokens{}
	for name, token := range map[string]string{"main": suiteToken, "shop": "token-of-shop"} {
		tokens[name], err = cfapi.New(cfapi.Config{
			URL: "http://localhost/client/v4", Token: nawasync.NewSecret(token), Remote: service, Scope: name, PageSize: 5,
		})
		enginetest.NoError(t, err)
	}
	return server, dns.Config{Tokens: tokens, Settle: -1}
}

func suiteOptions() sim.Options {
	return sim.Options{
		Accounts: []sim.Account{
			{Name: "main", Token: suiteToken, Zones: []string{"alpha.example", "bravo.example"}},
			{Name: "labs", Token: suiteToken, Zones: []string{"labs.example"}},
			{Name: "shop", Token: "token-of-shop", Zones: []string{"shop.example"}},
		},
		Records: 9, Limit: 1_000_000,
	}
}

// suiteRefusal is the body of Cloudflare's answer to a refused request.
func suiteRefusal(status int, message string) string {
	body, _ := json.Marshal(map[string]any{
		"result": nil, "success": false, "errors": []map[string]any{{"code": 10000 + status, "message": message}}, "messages": []string{},
	})
	return string(body)
}

// changeOf is a record as the simulated Cloudflare takes it.
func changeOf(r dns.Record) sim.Change {
	return sim.Change{
		ID: r.RID, Name: &r.Name, Type: &r.Type, Content: &r.Content, Proxied: &r.Proxied, TTL: &r.TTL, Priority: r.Priority, Comment: &r.Comment, Tags: &r.Tags,
	}
}

// recordSuite tests the records of alpha.example with the objects and changes that are given.
func recordSuite(object func(r *dns.Record, n int), changes []func(*dns.Record, int)) nawasynctest.RemoteSuite[dns.Record] {
	names := sim.New(suiteOptions()) // identifiers are the same in each simulated Cloudflare
	account := names.AccountID("main")
	scope := dns.Record{Token: "main", Account: account, Zone: names.ZoneID("alpha.example")}
	return nawasynctest.RemoteSuite[dns.Record]{
		Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[dns.Record], nawasynctest.RemoteServer[dns.Record]) {
			server, config := suiteServer(t, transport)
			_, _, records := dns.Configs(config)
			return records, nawasynctest.RemoteServer[dns.Record]{
				Create: func(r dns.Record) (dns.Record, error) {
					created, err := server.Put("alpha.example", changeOf(r))
					r.RID = created.ID
					return r, err
				},
				Change: func(r dns.Record) error {
					_, err := server.Put("alpha.example", changeOf(r))
					return err
				},
				Delete: func(r dns.Record) error { return server.Remove("alpha.example", r.RID) },
			}
		},
		Scope: scope, OtherScope: dns.Record{Token: "main", Account: account, Zone: names.ZoneID("bravo.example")},
		GoneScope: dns.Record{Token: "main", Account: account, Zone: strings.Repeat("0", 32)},
		Object: func(n int) dns.Record {
			r := scope
			object(&r, n)
			return r
		},
		Changes: changes, PageSize: 5, Secrets: []nawasync.Secret{nawasync.NewSecret(suiteToken)}, ErrorBody: suiteRefusal,
	}
}

func TestRecordsPassTheConformanceSuite(t *testing.T) {
	t.Parallel()
	nawasynctest.TestRemote(t, recordSuite(
		func(r *dns.Record, n int) {
			r.Name, r.Type, r.Content, r.TTL, r.Comment = fmt.Sprintf("Büro%d.alpha.example.", n), "A", "203.0.113.7", 300, "ours"
		},
		[]func(*dns.Record, int){
			func(r *dns.Record, n int) { r.TTL = 60 + n },
			func(r *dns.Record, n int) { r.Comment = fmt.Sprintf("comment %d", n) },
			func(r *dns.Record, n int) { r.Content = fmt.Sprintf("203.0.113.%d", 10+n%200) },
			func(r *dns.Record, n int) { r.Tags = []string{fmt.Sprintf("team:%d", n), "a"} },
			func(r *dns.Record, _ int) { r.Proxied = true }, // makes the TTL automatic
			func(r *dns.Record, _ int) { r.Comment, r.Tags = "", nil },
		},
	))
}

// Several MX records have one name, and 0 is a priority.
func TestMailRecordsPassTheConformanceSuite(t *testing.T) {
	t.Parallel()
	nawasynctest.TestRemote(t, recordSuite(
		func(r *dns.Record, n int) {
			r.Name, r.Type, r.Content, r.TTL, r.Priority = "alpha.example", "MX", fmt.Sprintf("Mail%d.alpha.example.", n), 1, new(0)
		},
		[]func(*dns.Record, int){
			func(r *dns.Record, n int) { r.Priority = new(10 * (n % 3)) }, // the third one is 0 again
			func(r *dns.Record, n int) { r.TTL = 60 * n },
		},
	))
}
