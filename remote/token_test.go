package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// tokenServer serves tokens at /token, as Keycloak does, and its API accepts only the last one.
type tokenServer struct {
	*server

	tokens atomic.Int32
	refuse atomic.Pointer[http.HandlerFunc] // answers in the place of a token
	writes atomic.Int32
}

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	s := &tokenServer{}
	s.server = newServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch refuse := s.refuse.Load(); {
		case r.URL.Path == "/token" && refuse != nil:
			(*refuse)(w, r)
		case r.URL.Path == "/token":
			answer(
				200,
				fmt.Sprintf(`{"access_token":"access-%d-66ff","expires_in":60,"token_type":"Bearer"}`, s.tokens.Add(1)),
				"Content-Type",
				"application/json",
			)(
				w,
				r,
			)
		case r.Header.Get("Authorization") != fmt.Sprintf("Bearer access-%d-66ff", s.tokens.Load()):
			answer(401, `{"error":"HTTP 401 Unauthorized"}`)(w, r)
		default:
			if r.Method != http.MethodGet {
				s.writes.Add(1)
			}
			answer(200, `{}`)(w, r)
		}
	})
	return s
}

func (s *tokenServer) remote(t *testing.T, now func() time.Time) *remote.Remote {
	t.Helper()
	credentials := clientcredentials.Config{
		ClientID:     "nawasync",
		ClientSecret: "client-secret-9911",
		TokenURL:     s.URL + "/token",
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	return s.server.remote(t, func(c *remote.Config) {
		c.Token = func(ctx context.Context, _ string) (*oauth2.Token, error) { return credentials.Token(ctx) }
		c.Now, c.Timeout = now, 300*time.Millisecond
	})
}

func TestOneTokenIsRequestedForAllCalls(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	r := s.remote(t, nil)
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if _, err := r.Call(t.Context(), "", remote.Call{Method: "PUT", URL: s.URL}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if n, writes := s.tokens.Load(), s.writes.Load(); n != 1 || writes != 20 {
		t.Errorf("%d tokens and %d writes, want 1 and 20", n, writes)
	}
	if _, err := r.Call(t.Context(), "other", remote.Call{URL: s.URL}, nil); err != nil || s.tokens.Load() != 2 {
		t.Errorf("another limit scope: %d tokens, want one of its own: %v", s.tokens.Load(), err)
	}
}

func TestTokenIsReplacedBeforeItExpires(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	start := time.Now()
	var passed atomic.Int64
	r := s.remote(t, func() time.Time { return start.Add(time.Duration(passed.Load())) })
	call := func(after time.Duration, wantTokens int32, wantClass fault.Class) {
		t.Helper()
		passed.Store(int64(after))
		_, err := r.Call(t.Context(), "", remote.Call{URL: s.URL}, nil)
		if fault.ClassOf(err) != wantClass || s.tokens.Load() != wantTokens {
			t.Errorf("after %s: %d tokens, class %q, want %d and %q: %v", after, s.tokens.Load(), fault.ClassOf(err), wantTokens, wantClass, err)
		}
	}
	call(0, 1, "")
	call(40*time.Second, 1, "")
	broken := http.HandlerFunc(cut)
	s.refuse.Store(&broken)
	call(50*time.Second, 1, "") // the present token is still valid
	call(61*time.Second, 1, fault.ClassTransient)
	s.refuse.Store(nil)
	call(61*time.Second, 2, "")
}

func TestRefusedTokenIsReplacedOnceInsideACall(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	r := s.remote(t, nil)
	_, err := r.Call(t.Context(), "", remote.Call{URL: s.URL}, nil)
	noError(t, err)
	s.tokens.Add(1) // the server has forgotten the token
	_, err = r.Call(t.Context(), "", remote.Call{URL: s.URL, JSON: "x"}, nil)
	if err != nil || s.tokens.Load() != 3 || s.writes.Load() != 1 {
		t.Errorf("%d tokens and %d writes, want another token and 1 write: %v", s.tokens.Load(), s.writes.Load(), err)
	}
	never := newServer(t, answer(401, ""))
	before := s.tokens.Load()
	_, err = r.Call(t.Context(), "", remote.Call{URL: never.URL, JSON: "x"}, nil)
	if fault.ClassOf(err) != fault.ClassCredentials || never.calls.Load() != 2 || s.tokens.Load() != before+1 {
		t.Errorf("%d calls and %d more tokens, want 2 calls with credentials refused: %v", never.calls.Load(), s.tokens.Load()-before, err)
	}
}

func TestRefusalOfATokenHasItsClass(t *testing.T) {
	t.Parallel()
	jsonType := []string{"Content-Type", "application/json"}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		class   fault.Class
		text    string
	}{
		"unknown client": {answer(401, `{"error":"invalid_client","error_description":"saw client-secret-9911"}`, jsonType...), fault.ClassCredentials, "HTTP 401 invalid_client"},
		"bad request":    {answer(400, `{"error":"unauthorized_client"}`, jsonType...), fault.ClassCredentials, "check the client's id"},
		"wrong path":     {answer(404, ``), fault.ClassConfig, "HTTP 404"},
		"overloaded":     {answer(503, `<html>client-secret-9911`), fault.ClassTransient, "HTTP 503"},
		"limited":        {answer(429, ``, "Retry-After", "120"), fault.ClassRateLimited, "HTTP 429"},
		"cut":            {cut, fault.ClassTransient, "EOF"},
		"no token":       {answer(200, `{}`, jsonType...), fault.ClassUnclassified, "missing access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTokenServer(t)
			s.refuse.Store(&c.handler)
			_, err := s.remote(t, nil).Call(t.Context(), "", remote.Call{URL: s.URL, JSON: "x"}, nil)
			if fault.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "9911") {
				t.Errorf("class %s, want %s with %q and no secret: %v", fault.ClassOf(err), c.class, c.text, err)
			}
			var call *remote.Error
			if !errors.As(err, &call) || call.Sent {
				t.Errorf("the call counts as sent: %+v", call)
			}
		})
	}
}

func TestCallDoesNotWaitForATokenBeyondItsContext(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	handler := http.HandlerFunc(hang)
	s.refuse.Store(&handler)
	_, err := s.remote(t, nil).Call(shortly(t), "", remote.Call{URL: s.URL, JSON: "x"}, nil)
	if !errors.Is(err, context.DeadlineExceeded) || fault.ClassOf(err) != fault.ClassTimeout {
		t.Errorf("class %s, want timeout: %v", fault.ClassOf(err), err)
	}
}
