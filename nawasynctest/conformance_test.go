package nawasynctest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// site is a snapshot struct.
type site struct {
	ID      uint64
	Account string `sync:"scope"`
	Name    string `sync:"key"`
	Plan    string
	Locked  bool
	nawasync.SyncStatus
}

// siteSuite tests a FakeRemote. A real adapter is created with the client that sends through transport.
func siteSuite() nawasynctest.RemoteSuite[site] {
	return nawasynctest.RemoteSuite[site]{
		Open: func(testing.TB, *nawasynctest.RemoteTransport) (mirror.Config[site], nawasynctest.RemoteServer[site]) {
			remote := &nawasynctest.FakeRemote[site]{
				Key:     func(s site) string { return s.Account + "/" + s.Name },
				InScope: func(s, scope site) bool { return s.Account == scope.Account }, PageSize: 2,
			}
			return mirror.Config[site]{Remote: remote, Settle: -1}, nawasynctest.RemoteServer[site]{
				Create: func(s site) (site, error) { remote.Put(s); return s, nil },
				Change: func(s site) error { remote.Put(s); return nil },
				Delete: func(s site) error { remote.Drop(s); return nil },
			}
		},
		NoHTTP: true,
		Scope:  site{Account: "acme"}, OtherScope: site{Account: "other"},
		Object: func(n int) site { return site{Account: "acme", Name: fmt.Sprintf("site%d.example", n), Plan: "free"} },
		Changes: []func(*site, int){
			func(s *site, n int) { s.Plan = fmt.Sprintf("plan%d", n) },
			func(s *site, n int) { s.Locked = n%2 == 1 },
		},
		PageSize: 2,
	}
}

func TestFakeRemotePassesTheConformanceSuite(t *testing.T) {
	t.Parallel()
	nawasynctest.TestRemote(t, siteSuite())
}

// listOnly is a Remote that can only list.
type listOnly struct{ mirror.Lister[site] }

func TestRemoteThatOnlyListsSkipsWhatItLacks(t *testing.T) {
	t.Parallel()
	suite := siteSuite()
	open := suite.Open
	suite.Open = func(tb testing.TB, transport *nawasynctest.RemoteTransport) (mirror.Config[site], nawasynctest.RemoteServer[site]) {
		config, server := open(tb, transport)
		config.Remote = listOnly{config.Remote}
		server.Change = func(site) error { return errors.New("a Remote that only lists must not be tested with changes") }
		return config, server
	}
	nawasynctest.TestRemote(t, suite)
}

// A test function passes its *testing.T to TestRemote, which runs one subtest for each part of the contract.
func ExampleTestRemote() {
	suite := nawasynctest.RemoteSuite[site]{
		Open: func(testing.TB, *nawasynctest.RemoteTransport) (mirror.Config[site], nawasynctest.RemoteServer[site]) {
			remote := &nawasynctest.FakeRemote[site]{Key: func(s site) string { return s.Name }}
			create := func(s site) (site, error) { remote.Put(s); return s, nil }
			return mirror.Config[site]{Remote: remote, Settle: -1}, nawasynctest.RemoteServer[site]{Create: create}
		},
		NoHTTP:  true, // else the adapter's http.Client sends through the transport
		Scope:   site{Account: "acme"},
		Object:  func(n int) site { return site{Account: "acme", Name: fmt.Sprintf("site%d.example", n)} },
		Changes: []func(*site, int){func(s *site, n int) { s.Plan = fmt.Sprintf("plan%d", n) }},
	}
	test := func(t *testing.T) { nawasynctest.TestRemote(t, suite) }
	_ = test
	fmt.Println(suite.Object(1).Name, suite.Object(2).Name)
	// Output: site1.example site2.example
}
