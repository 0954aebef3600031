package nawasynctest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// changeContact handles the form that changes the contact of a domain.
func changeContact(domains nawasync.SyncedRepository[domain]) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seen, err := domains.ParseSeen(r.Context(), domain{Name: r.PostFormValue("name")}, "user:7", r.PostFormValue("seen"))
		if err == nil {
			_, err = domains.Update(r.Context(), seen, func(d *domain) { d.Contact = r.PostFormValue("contact") }, nawasync.Options{By: "user:7"})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		http.Redirect(w, r, "/domains", http.StatusSeeOther)
	}
}

func TestFormChangesTheContactThatItsUserHasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	row := w.add(t, domain{Name: "example.org", Contact: "ann"})
	token, err := w.domains.Seen(t.Context(), row, "user:7") // what the page writes into the form
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"name": {"example.org"}, "seen": {token}, "contact": {"bob"}}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/domains", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	changeContact(w.domains)(answer, request)
	row = w.row(t, row)
	if answer.Code != http.StatusSeeOther || !row.IsPending() || row.Contact != "ann" {
		t.Errorf("status %d and the row %+v, want a redirect and a pending row", answer.Code, row)
	}
	if err := nawasynctest.Drain(t.Context(), w.engine, w.clock); err != nil {
		t.Fatal(err)
	}
	if row = w.row(t, row); row.Contact != "bob" || !row.IsSynced() {
		t.Errorf("the row is %+v, want the contact bob", row)
	}
}

func TestSignedEventAddsTheDomainThatItNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hook := mirror.Webhook[domain]{
		Secrets: []nawasync.Secret{nawasync.NewSecret("the secret of the webhook")},
		Keys: func(_ *http.Request, body []byte) ([]domain, error) {
			var event struct {
				Name string `json:"name"`
			}
			err := json.Unmarshal(body, &event)
			return []domain{{Name: event.Name}}, err
		},
	}
	handler, err := hook.Handler(w.domains)
	if err != nil {
		t.Fatal(err)
	}
	w.remote.Put(domain{Name: "example.org", Contact: "ann"})
	const body = `{"name":"example.org"}`
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/domains", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Webhook-Signature", hook.Sign(w.clock.Now(), []byte(body))) // at the time of the engine
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	if answer.Code != http.StatusNoContent {
		t.Errorf("status %d: %s", answer.Code, answer.Body)
	}
	if err := nawasynctest.Drain(t.Context(), w.engine, w.clock); err != nil {
		t.Fatal(err)
	}
	if row := w.row(t, domain{Name: "example.org"}); row.Contact != "ann" {
		t.Errorf("the row is %+v, want the contact ann", row)
	}
}
