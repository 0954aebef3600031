package kcapi_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

func TestOnlyAnObjectThatDoesNotExistIsGone(t *testing.T) {
	t.Parallel()
	s := newSetup(t, nil)
	s.count(t)
	for text, want := range map[string]fault.Class{
		"User not found": fault.ClassGone, "Could not find client": fault.ClassGone, "Realm not found.": fault.ClassConfig, "HTTP 404 Not Found": fault.ClassConfig,
	} {
		noError(t, s.server.Inject(sim.Fault{Operation: sim.OpUser, Mode: sim.ModeError, Status: http.StatusNotFound, Message: text}))
		if _, err := s.client.User(t.Context(), "main", "x"); fault.ClassOf(err) != want {
			t.Errorf("%s: %v of the class %q, want %q", text, err, fault.ClassOf(err), want)
		}
		s.server.Clear()
	}
	noError(t, s.server.Inject(sim.Fault{Operation: sim.OpUser, Mode: sim.ModeHTML, Status: http.StatusNotFound}))
	if _, err := s.client.User(t.Context(), "main", "x"); fault.ClassOf(err) != fault.ClassConfig {
		t.Errorf("a page of HTML: %v of the class %q", err, fault.ClassOf(err))
	}
}

func TestPasswordIsInNoError(t *testing.T) {
	t.Parallel()
	s := newSetup(t, nil)
	u, err := s.client.FindUser(t.Context(), "main", "ayu.adi")
	noError(t, err)
	noError(t, s.server.Inject(sim.Fault{Operation: sim.OpPassword, Mode: sim.ModeError, Status: http.StatusBadRequest, Message: "Correct-horse-7 is too simple"}))
	err = s.client.ResetPassword(t.Context(), "main", u.ID, secret.New("Correct-horse-7"), true)
	if fault.ClassOf(err) != fault.ClassPermanent || strings.Contains(err.Error(), "Correct-horse-7") || !strings.Contains(err.Error(), "too simple") {
		t.Errorf("the error is %v of the class %q, want the reason without the password", err, fault.ClassOf(err))
	}
}

// roundTrip sends requests.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// bodies keeps the bodies of changes.
type bodies struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		b.text.Write(body)
		b.mu.Unlock()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// Another client may replace the secret between the read and the write, so an update does not send it.
func TestUpdateOfAClientSendsNoSecret(t *testing.T) {
	t.Parallel()
	sent := &bodies{}
	s := newSetup(t, func(c *kcapi.Config) { c.Remote.Base = sent })
	a, err := s.client.FindApp(t.Context(), "main", "portal")
	noError(t, err)
	noError(t, s.client.UpdateApp(t.Context(), "main", a.ID, map[string]any{"name": "Door"}))
	if text := sent.text.String(); !strings.Contains(text, "Door") || strings.Contains(text, `"secret"`) {
		t.Errorf("the update sends %s, want the name and no secret", text)
	}
}
