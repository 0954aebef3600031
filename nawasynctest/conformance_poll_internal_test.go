package nawasynctest

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/mirror"
)

// wrappedSuite is shelfSuite with an adapter around shelfRemote.
func wrappedSuite(wrap func(*shelfRemote) mirror.Lister[book]) RemoteSuite[book] {
	suite := shelfSuite("")
	open := suite.Open
	suite.Open = func(t testing.TB, transport *RemoteTransport) (mirror.Config[book], RemoteServer[book]) {
		config, server := open(t, transport)
		config.Remote = wrap(config.Remote.(*shelfRemote))
		config.Settle = 100 * time.Millisecond // a write whose answer was lost is carried out after the next request
		return config, server
	}
	suite.pollLimit = 5 * time.Second
	return suite
}

func TestAdapterOfAnAPIThatAcceptsWritesPassesTheSuite(t *testing.T) {
	t.Parallel()
	suite := wrappedSuite(func(r *shelfRemote) mirror.Lister[book] { return &slowShelf{shelfRemote: r} })
	for name, r := range record(t, suite) {
		if r.failed || r.skipped && name != "LimitScope" {
			t.Errorf("%s: failed %t, skipped %t: %s", name, r.failed, r.skipped, r.text())
		}
	}
}

func TestAdapterWithALimitScopePassesTheSuite(t *testing.T) {
	t.Parallel()
	results := record(t, wrappedSuite(func(r *shelfRemote) mirror.Lister[book] { return &limitedShelf{shelfRemote: r} }))
	if failed := failedChecks(results); len(failed) > 0 || results["LimitScope"].skipped {
		t.Errorf("the subtests %v failed, and LimitScope was skipped: %t", failed, results["LimitScope"].skipped)
	}
}

func TestEachFaultOfPollAndLimitScopeFailsWithWhatToDo(t *testing.T) {
	t.Parallel()
	for mistake, want := range map[string]struct{ check, says string }{
		"poll writes":                   {"Poll", "ask for the outcome only, and send no write"},
		"poll never ends":               {"Poll", "still returned mirror.Accepted"},
		"poll ends too early":           {"Poll", "Get does not show the change"},
		"poll hides errors":             {"PollFails", "Poll returned nil although it got status 500"},
		"poll takes errors for busy":    {"PollFails", "Poll returned mirror.Accepted although it got status 500"},
		"limit scope changed":           {"LimitScope", "changed the field shelf"},
		"limit scope with other fields": {"LimitScope", "that are no scope fields: title"},
		"limit scope varies":            {"LimitScope", "always give the same answer for a scope"},
		"limit scope by a call":         {"LimitScope", "LimitScope sent 1 requests"},
	} {
		t.Run(mistake, func(t *testing.T) {
			t.Parallel()
			suite := wrappedSuite(func(r *shelfRemote) mirror.Lister[book] {
				if want.check == "LimitScope" {
					return &limitedShelf{shelfRemote: r, limitFault: mistake}
				}
				return &slowShelf{shelfRemote: r, slowFault: mistake}
			})
			open := suite.Open
			suite.Open = func(t testing.TB, transport *RemoteTransport) (mirror.Config[book], RemoteServer[book]) {
				config, server := open(t, transport)
				config.Settle = -1
				return config, server
			}
			suite.pollLimit, suite.Skip = 20*time.Millisecond, map[string]string{}
			for _, c := range remoteChecks[book]() {
				if c.name != want.check {
					suite.Skip[c.name] = "another subtest is what this is about"
				}
			}
			result := record(t, suite)[want.check]
			if text := result.text(); !result.failed || !strings.Contains(text, want.says) || !strings.Contains(text, "To fix: ") {
				t.Errorf("%s: failed %t, and says %q, want %q and what to do", want.check, result.failed, text, want.says)
			}
		})
	}
}
