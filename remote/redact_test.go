package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// The server repeats everything that it was sent, and the envelope takes that for the reason.
func TestErrorsContainNoSecretOfTheCall(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{
		"configured": "configured-5c1f", "named": "pässwörd & <co> 1%", "bearer": "bearer-77aa31", "header": "apikey-90ff12", "query": "query-secret-18ab",
		"form": "form secret/22bc", "nested": "nested-secret-33de",
	}
	for name, handler := range map[string]http.HandlerFunc{
		"refused": echo(400), "with status 200": echo(200), "failed": echo(500), "redirected": redirectBack, "cut": cut,
	} {
		for kind, call := range map[string]remote.Call{
			"form": {Form: url.Values{"password": {secrets["form"]}, "note": {secrets["named"]}}},
			"JSON": {JSON: map[string]any{"user": map[string]string{"client_secret": secrets["nested"]}, "note": secrets["named"]}},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, handler)
				r := s.remote(t, func(c *remote.Config) {
					c.Secrets = []secret.Secret{secret.New(secrets["configured"])}
					c.Envelope = func(a *remote.Answer) error { return errors.New("the server says " + string(a.Body)) }
				})
				call.URL = s.URL + "/" + secrets["configured"] + "/things?api_key=" + secrets["query"]
				call.Header = http.Header{"Authorization": {"Bearer " + secrets["bearer"]}, "x-api-key": {secrets["header"]}}
				call.Secrets = []secret.Secret{secret.New(secrets["named"])}
				_, err := r.Call(t.Context(), "", call, nil)
				if err == nil {
					t.Fatal("no error")
				}
				checkNoSecret(t, err, secrets)
			})
		}
	}
}

func checkNoSecret(t *testing.T, err error, secrets map[string]string) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		text := fmt.Sprintf("%v %+v", err, err)
		for name, value := range secrets {
			for _, form := range []string{value, url.QueryEscape(value), url.PathEscape(value), fmt.Sprintf("%x", value)} {
				if strings.Contains(text, form) {
					t.Errorf("the error %T contains the secret %q: %s", err, name, text)
				}
			}
		}
	}
}

// echo answers with the values of the request, without their names, as they are and encoded.
func echo(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		parts := []string{r.URL.Path, token, r.Header.Get("X-Api-Key"), r.URL.Query().Get("api_key")}
		form, _ := url.ParseQuery(string(body))
		parts = append(parts, form.Get("password"), form.Get("note"))
		var document struct {
			User struct {
				Secret string `json:"client_secret"`
			}
			Note string
		}
		_ = json.Unmarshal(body, &document)
		parts = append(parts, document.User.Secret, document.Note)
		w.WriteHeader(status)
		for _, part := range parts {
			_, _ = fmt.Fprintln(w, "saw", part, "and", url.QueryEscape(part))
		}
	}
}

func redirectBack(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", r.URL.String()+"&again=1")
	w.WriteHeader(http.StatusFound)
}

func TestErrorWithoutSecretKeepsItsCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("record 81058 exists\n already")
	s := newServer(t, answer(400, ""))
	r := s.remote(t, func(c *remote.Config) { c.Envelope = func(*remote.Answer) error { return cause } })
	_, err := r.Call(t.Context(), "", remote.Call{URL: s.URL + "/records"}, nil)
	if want := "test GET /records: HTTP 400: record 81058 exists already"; !errors.Is(err, cause) || err.Error() != want || fault.ClassOf(err) != fault.ClassPermanent {
		t.Errorf("error %q, want %q with its cause", err, want)
	}
}
