package dns_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/examples/powerdns/pdnssim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// server is a PowerDNS, simulated or real, with a client that tests use behind the adapter's back.
type server struct {
	url    string
	key    secret.Secret
	other  *pdnsapi.Client
	prefix string // of all names that the test makes, so that tests share a real server
}

// onEachServer runs a test with the simulator and, if NAWASYNC_TEST_POWERDNS is set to http://name:KEY@127.0.0.1:PORT, with
// that PowerDNS. The tests on the real server run one after the other: some list all of its zones.
func onEachServer(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	t.Run("simulator", func(t *testing.T) {
		key := "KEY-3c8e51a07d"
		listener := httptest.NewServer(sim.New(sim.Options{Key: key}))
		t.Cleanup(listener.Close)
		test(t, newServer(t, listener.URL, key))
	})
	t.Run("PowerDNS", func(t *testing.T) { test(t, realServer(t)) })
}

// realServer returns the server of NAWASYNC_TEST_POWERDNS, or skips the test.
func realServer(t *testing.T) *server {
	t.Helper()
	address := os.Getenv("NAWASYNC_TEST_POWERDNS")
	if address == "" {
		t.Skip("NAWASYNC_TEST_POWERDNS is not set: set it to http://name:KEY@127.0.0.1:PORT of a PowerDNS to test with")
	}
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		t.Fatal("NAWASYNC_TEST_POWERDNS is not http://name:KEY@127.0.0.1:PORT")
	}
	key, _ := u.User.Password()
	u.User = nil
	return newServer(t, u.String(), key)
}

func newServer(t *testing.T, address, key string) *server {
	t.Helper()
	s := &server{url: address, key: secret.New(key), prefix: "t" + strings.ToLower(rand.Text()[:8])}
	s.other = s.client(t, remote.Config{})
	return s
}

// client returns another client of the server.
func (s *server) client(t testing.TB, config remote.Config) *pdnsapi.Client {
	t.Helper()
	service, err := pdnsapi.NewRemote(config)
	enginetest.NoError(t, err)
	client, err := pdnsapi.New(pdnsapi.Config{URL: s.url, Key: s.key, Remote: service, Scope: "main"})
	enginetest.NoError(t, err)
	return client
}

// zone creates a zone that the test deletes at its end, and returns its name.
func (s *server) zone(t testing.TB, name string) string {
	t.Helper()
	name = name + "." + strings.ToLower(rand.Text()[:8]) + "." + s.prefix + ".example." // several worlds of a test share the server
	_, err := s.other.CreateZone(t.Context(), map[string]any{"name": name, "kind": "Native"})
	enginetest.NoError(t, err)
	t.Cleanup(func() { _ = s.other.DeleteZone(context.Background(), name) }) // the context of the test has ended
	return name
}

// put gives a set a TTL and records.
func (s *server) put(t testing.TB, zone string, set pdnsapi.Set) {
	t.Helper()
	enginetest.NoError(t, s.other.ReplaceSet(t.Context(), zone, set))
}

// insist is put for a client that repeats what the server refuses while it makes another change.
func (s *server) insist(ctx context.Context, zone string, set pdnsapi.Set) (err error) {
	for range 100 {
		if err = s.other.ReplaceSet(ctx, zone, set); fault.ClassOf(err) != fault.ClassTransient && fault.ClassOf(err) != fault.ClassUnknownOutcome {
			return err
		}
	}
	return err
}

func sameSet(a, b pdnsapi.Set) bool {
	byContent := func(a, b pdnsapi.Record) int { return cmp.Compare(a.Content, b.Content) }
	return a.Name == b.Name && a.Type == b.Type && a.TTL == b.TTL &&
		slices.Equal(slices.SortedFunc(slices.Values(a.Records), byContent), slices.SortedFunc(slices.Values(b.Records), byContent))
}

// wire returns a row as the API has it.
func wire(row dns.Set) pdnsapi.Set {
	set := pdnsapi.Set{Name: row.Name, Type: row.Type, TTL: row.TTL}
	for _, content := range row.Records {
		set.Records = append(set.Records, pdnsapi.Record{Content: content})
	}
	for _, content := range row.Disabled {
		set.Records = append(set.Records, pdnsapi.Record{Content: content, Disabled: true})
	}
	return set
}
