package whmapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// door is a transport that carries the calls of UAPI to another door of the server, which answers in another form.
type door string

// The doors beside WHM's cpanel, which the client uses.
const (
	doorUAPI    door = "/json-api/uapi_cpanel"
	doorExecute door = "/execute/Email/"
)

func (d door) RoundTrip(r *http.Request) (*http.Response, error) {
	if d != "" && r.URL.Path == "/json-api/cpanel" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		user, function := form.Get("cpanel_jsonapi_user"), form.Get("cpanel_jsonapi_func")
		r = r.Clone(r.Context())
		if r.URL.Path = string(d); d == doorExecute {
			r.URL.Path += function
			r.Header.Set("Authorization", "cpanel "+user+":"+token)
		}
		form.Set("cpanel.user", user)
		form.Set("cpanel.module", "Email")
		form.Set("cpanel.function", function)
		text := form.Encode()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// The simulator gives the same answers in the forms of three doors.
func TestTheAnswersOfEachDoorMeanTheSame(t *testing.T) {
	t.Parallel()
	for _, d := range []door{"", doorUAPI, doorExecute} {
		t.Run("door"+string(d), func(t *testing.T) {
			t.Parallel()
			server := sim.New(sim.Options{Token: token, Mailboxes: 2500 * 4})
			listener := httptest.NewServer(server)
			t.Cleanup(listener.Close)
			config := whmapi.RemoteConfig()
			config.Base = d
			r, err := remote.New(config)
			noError(t, err)
			client, err := whmapi.New(whmapi.Config{URL: listener.URL, User: "root", Token: secret.New(token), Remote: r})
			noError(t, err)
			boxes, names := emails(t, client.Mailboxes(t.Context(), "alpha")), emails(t, client.MailboxNames(t.Context(), "alpha"))
			if len(boxes) != 2500 || !slices.Equal(boxes, names) {
				t.Errorf("%d mailboxes and %d names, want 2,500 of each, without the main account", len(boxes), len(names))
			}
			noError(t, client.AddMailbox(t.Context(), "bravo", "new@bravo.example", secret.New(password), 1))
			noError(t, client.SetQuota(t.Context(), "bravo", "new@bravo.example", 30_000))
			if box, err := client.Mailbox(t.Context(), "bravo", "new@bravo.example"); err != nil || box.QuotaBytes != 20_000<<20 {
				t.Errorf("the quota is %d, %v; want the 20,000 MB of the account's plan", box.QuotaBytes, err)
			}
			if err := client.DeleteMailbox(t.Context(), "alpha", "no@alpha.example"); fault.ClassOf(err) != fault.ClassGone {
				t.Errorf("deleting no mailbox returned %v, want the class gone", err)
			}
			if err := client.AddMailbox(t.Context(), "nobody", email, secret.New(password), 1); fault.ClassOf(err) == "" {
				t.Error("an account that does not exist has got a mailbox")
			}
		})
	}
}

// emails returns the addresses of a listing.
func emails(t *testing.T, pages func(func([]whmapi.Mailbox, error) bool)) (list []string) {
	t.Helper()
	for page, err := range pages {
		noError(t, err)
		for _, box := range page {
			list = append(list, box.Email)
		}
	}
	return list
}
