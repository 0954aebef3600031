package sim_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

func TestControlAPITakesOnlyJSONWithItsToken(t *testing.T) {
	t.Parallel()
	server := sim.New(sim.Options{ControlToken: "control"})
	const fault, json = `{"function":"*","mode":"refuse","reason":"x"}`, "application/json"
	for _, c := range []struct {
		method, path, token, kind, body string
		want                            int
	}{
		{"POST", "/control/faults", "", json, fault, http.StatusUnauthorized},
		{"POST", "/control/faults", "Bearer ", json, fault, http.StatusUnauthorized},
		{"POST", "/control/faults", "Bearer secret-token", json, fault, http.StatusUnauthorized}, // the token of the WHM API
		{"GET", "/control/calls", "control", "", "", http.StatusUnauthorized},
		{"DELETE", "/control/mailboxes/info@alpha.example", "", "", "", http.StatusUnauthorized},
		{"POST", "/control/faults", "Bearer control", "text/plain", fault, http.StatusUnsupportedMediaType},
		{"POST", "/control/faults", "Bearer control", "application/x-www-form-urlencoded", fault, http.StatusUnsupportedMediaType},
		{"PUT", "/control/mailboxes/info@alpha.example", "Bearer control", "", "{}", http.StatusUnsupportedMediaType},
		{"POST", "/control/faults", "Bearer control", json, "function=*", http.StatusBadRequest},
		{"POST", "/control/faults", "Bearer control", json + "; charset=utf-8", fault, http.StatusNoContent},
		{"GET", "/control/faults", "Bearer control", "", "", http.StatusOK},
		{"DELETE", "/control/faults", "Bearer control", "", "", http.StatusNoContent},
	} {
		request := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
		request.Header.Set("Authorization", c.token)
		request.Header.Set("Content-Type", c.kind)
		response := httptest.NewRecorder()
		server.ServeHTTP(response, request)
		if response.Code != c.want {
			t.Errorf("%s %s with the token %q and the type %q: status %d, want %d", c.method, c.path, c.token, c.kind, response.Code, c.want)
		}
	}
	if !server.Mailbox("info@alpha.example").Exists {
		t.Error("a request without the token deleted a mailbox")
	}
}

func TestControlTokenIsRandomUnlessSet(t *testing.T) {
	t.Parallel()
	first, second := sim.New(sim.Options{}).ControlToken(), sim.New(sim.Options{}).ControlToken()
	if len(first) < 20 || first == second {
		t.Errorf("the tokens are %q and %q, want two random ones", first, second)
	}
}
