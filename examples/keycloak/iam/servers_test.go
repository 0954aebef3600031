package iam_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// variable names the real Keycloak: its address, with the name and password of an administrator of the realm master, as in
// http://admin:password@127.0.0.1:8080. Tests create realms of their own in it, and delete them.
const variable = "NAWASYNC_TEST_KEYCLOAK"

// server is a Keycloak with two realms.
type server struct {
	url    string
	realms [2]kcapi.Realm
	client *http.Client

	simulated *sim.Server   // nil if the server is real
	ahead     *atomic.Int64 // by how many nanoseconds the clock of a simulated server is ahead
	admin     *url.Userinfo
}

// serverSecret is the secret of the service accounts.
const serverSecret = "SECRET-91c3f7d02b"

// onBoth runs a test with a simulated Keycloak, and with the real one if there is one.
func onBoth(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	t.Run("simulated", func(t *testing.T) {
		t.Parallel()
		test(t, newSimulated(t, sim.Options{}))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, newReal(t))
	})
}

func newSimulated(t *testing.T, o sim.Options) *server {
	t.Helper()
	o.Realms = []sim.Realm{{Name: "main", Secret: serverSecret}, {Name: "shop", Secret: serverSecret}}
	if o.Users == 0 {
		o.Users = 4
	}
	s := &server{ahead: &atomic.Int64{}, client: http.DefaultClient}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	}
	s.simulated = sim.New(o)
	listener := httptest.NewServer(s.simulated)
	t.Cleanup(listener.Close)
	s.url = listener.URL
	for i, realm := range o.Realms {
		s.realms[i] = kcapi.Realm{Name: realm.Name, ClientID: "nawasync", Secret: secret.New(serverSecret)}
	}
	return s
}

// api returns a client of the server. It has credentials for a realm that does not exist, too.
func (s *server) api(t testing.TB, config remote.Config, pageSize int) *kcapi.Client {
	t.Helper()
	gone := kcapi.Realm{Name: "gone", ClientID: "nawasync", Secret: secret.New(serverSecret)}
	client, err := kcapi.New(kcapi.Config{URL: s.url + "//", Realms: append(s.realms[:], gone), Remote: config, PageSize: pageSize})
	enginetest.NoError(t, err)
	return client
}

// suiteRefusal is the body of Keycloak's answer to a refused request.
func suiteRefusal(status int, message string) string {
	if message == "" {
		message = fmt.Sprintf("HTTP %d", status)
	}
	body, _ := json.Marshal(map[string]string{"error": message})
	return string(body)
}

// isWrite tells the requests that change something. A request for a token does not.
func isWrite(r *http.Request) bool {
	return r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/token")
}
