package sim_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

func TestWhatIsOutOfScopeIsRefusedAndNotIgnored(t *testing.T) {
	t.Parallel()
	server := sim.New(sim.Options{})
	for call, want := range map[string]string{
		"listaccts?api.version=1&api.chunk.enable=1":          "501 does not know the parameter api.chunk.enable",
		"listaccts?api.version=1&api.columns.a=user":          "501 does not know the parameter api.columns.a",
		"listaccts?api.version=1&search=a&searchmethod=exact": "501 does not know the parameter searchmethod",
		"listsuspended?api.version=1":                         "200 Unknown app",
		"verify_new_username?api.version=1&user=x":            "200 Unknown app",
		"batch?api.version=1&command=listaccts":               "200 Unknown app",
		"listaccts?api.version=1":                             "200 alpha.example",
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/json-api/"+call, nil)
		request.Header.Set("Authorization", "whm root:secret-token")
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, request)
		status, text, _ := strings.Cut(want, " ")
		if http.StatusText(answer.Code) == "" || !strings.HasPrefix(answer.Result().Status, status) || !strings.Contains(answer.Body.String(), text) {
			t.Errorf("%s: status %d, want %s: %s", call, answer.Code, want, answer.Body)
		}
	}
}
