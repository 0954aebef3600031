package hosting_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/remote"
)

type (
	accountConfig = mirror.Config[hosting.WhmAccount]
	accountServer = nawasynctest.RemoteServer[hosting.WhmAccount]
	mailboxConfig = mirror.Config[hosting.WhmEmailAccount]
	mailboxServer = nawasynctest.RemoteServer[hosting.WhmEmailAccount]
)

// whmToken is the token of the simulated servers of the conformance suite.
const whmToken = "TOKEN-abcdef123456"

// whmServer returns a simulated server, its client that sends through transport, and one of another user.
func whmServer(t testing.TB, transport *nawasynctest.RemoteTransport) (server *sim.Server, tested hosting.Servers, other *whmapi.Client) {
	t.Helper()
	server = sim.New(sim.Options{Token: whmToken, Mailboxes: 4})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	config := whmapi.Config{URL: listener.URL, User: "root", Token: nawasync.NewSecret(whmToken)}
	other, err := whmapi.New(config)
	enginetest.NoError(t, err)
	remoteConfig := whmapi.RemoteConfig()
	remoteConfig.Base = transport
	config.Remote, err = remote.New(remoteConfig)
	enginetest.NoError(t, err)
	config.Scope = "main"
	client, err := whmapi.New(config)
	enginetest.NoError(t, err)
	empty := sim.New(sim.Options{Token: whmToken, Mailboxes: 4})
	second := httptest.NewServer(empty)
	t.Cleanup(second.Close)
	config.URL, config.Scope = second.URL, "second"
	otherClient, err := whmapi.New(config)
	enginetest.NoError(t, err)
	return server, hosting.Servers{"main": client, "second": otherClient}, other
}

// isWHMWrite reports whether a call changes something: all calls of WHM are POSTs.
func isWHMWrite(r *http.Request) bool {
	function := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if function == "cpanel" {
		function = r.FormValue("cpanel_jsonapi_func")
	}
	return !strings.HasPrefix(function, "list") && function != "accountsummary"
}

// whmRefusal is the body of WHM's answer to a refused request.
func whmRefusal(_ int, message string) string {
	body, _ := json.Marshal(map[string]any{"cpanelresult": map[string]any{"apiversion": "2", "error": message, "type": "text"}})
	return string(body)
}

func TestAccountsPassTheConformanceSuite(t *testing.T) {
	t.Parallel()
	plans := []string{"basic", "default"} // the plan business has a disk limit
	nawasynctest.TestRemote(t, nawasynctest.RemoteSuite[hosting.WhmAccount]{
		Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (accountConfig, accountServer) {
			server, tested, other := whmServer(t, transport)
			config, _ := hosting.Configs(tested)
			return config, accountServer{
				Create: func(a hosting.WhmAccount) (hosting.WhmAccount, error) {
					account := whmapi.Account{User: a.Username, Domain: a.Domain, Email: a.Contact, Plan: a.Plan}
					return a, other.CreateAccount(t.Context(), account, a.Password)
				},
				Change: func(a hosting.WhmAccount) error {
					return server.EditAccount(a.Username, sim.AccountState{Plan: &a.Plan, Suspended: &a.Suspended, Reason: &a.SuspendReason})
				},
				Delete: func(a hosting.WhmAccount) error {
					server.RemoveAccount(a.Username)
					return nil
				},
			}
		},
		Scope: hosting.WhmAccount{Instance: "main"}, OtherScope: hosting.WhmAccount{Instance: "second"}, GoneScope: hosting.WhmAccount{Instance: "removed"},
		Object: func(n int) hosting.WhmAccount {
			name := fmt.Sprintf("user%d", n)
			return hosting.WhmAccount{
				Instance: "main", Username: name, Domain: name + ".example", Contact: "ann@" + name + ".example", Plan: "basic",
				Password: nawasync.NewSecret(fmt.Sprintf("pässwörd & <%d>", n)),
			}
		},
		Changes: []func(*hosting.WhmAccount, int){
			func(a *hosting.WhmAccount, n int) { a.Plan = plans[n%len(plans)] },
			func(a *hosting.WhmAccount, n int) {
				a.Suspended, a.SuspendReason = true, fmt.Sprintf("unpaid since %d", n)
			},
		},
		Secrets: []nawasync.Secret{nawasync.NewSecret(whmToken)}, IsWrite: isWHMWrite, ErrorBody: whmRefusal,
	})
}

func TestMailboxesPassTheConformanceSuite(t *testing.T) {
	t.Parallel()
	nawasynctest.TestRemote(t, nawasynctest.RemoteSuite[hosting.WhmEmailAccount]{
		Open: func(t testing.TB, transport *nawasynctest.RemoteTransport) (mailboxConfig, mailboxServer) {
			server, tested, _ := whmServer(t, transport)
			_, config := hosting.Configs(tested)
			edit := func(m hosting.WhmEmailAccount) error {
				return server.Edit(m.Email, sim.State{QuotaMB: new(*m.Quota >> 20), SuspendedLogin: &m.SuspendedLogin, SuspendedIncoming: &m.SuspendedIncoming})
			}
			return config, mailboxServer{
				Create: func(m hosting.WhmEmailAccount) (hosting.WhmEmailAccount, error) { return m, edit(m) },
				Change: edit,
				Delete: func(m hosting.WhmEmailAccount) error {
					server.Remove(m.Email)
					return nil
				},
			}
		},
		Scope: hosting.WhmEmailAccount{Instance: "main"}, OtherScope: hosting.WhmEmailAccount{Instance: "second"},
		GoneScope: hosting.WhmEmailAccount{Instance: "removed"},
		Object: func(n int) hosting.WhmEmailAccount {
			return hosting.WhmEmailAccount{
				Instance: "main", Email: fmt.Sprintf("box%d@alpha.example", n), Account: "alpha", Quota: new(int64(250 << 20)),
				Password: nawasync.NewSecret(fmt.Sprintf("pässwörd & <%d>", n)),
			}
		},
		Changes: []func(*hosting.WhmEmailAccount, int){
			func(m *hosting.WhmEmailAccount, n int) { m.Quota = new(int64(n) << 20) },
			func(m *hosting.WhmEmailAccount, n int) { m.SuspendedLogin = n%2 == 1 },
			func(m *hosting.WhmEmailAccount, n int) { m.SuspendedIncoming = n%2 == 1 },
			func(m *hosting.WhmEmailAccount, _ int) { m.Quota = new(int64(0)) },
		},
		PageSize: 1000, Secrets: []nawasync.Secret{nawasync.NewSecret(whmToken)}, IsWrite: isWHMWrite, ErrorBody: whmRefusal,
	})
}
