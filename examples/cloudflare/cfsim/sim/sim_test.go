package sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
)

// send makes a call with a token and returns the status and the body.
func send(t *testing.T, s *sim.Server, method, path, token, body string) (int, string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, request)
	return answer.Code, answer.Body.String()
}

func TestControlAPIChangesTheServiceAndTakesOnlyItsToken(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Records: 9})
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPost, "/control/accounts", `{"beside":"main","name":"labs","zones":["labs.example"],"records":3}`, http.StatusNoContent},
		{http.MethodPost, "/control/accounts", `{"beside":"nobody","name":"x"}`, http.StatusBadRequest},
		{http.MethodDelete, "/control/accounts/labs", ``, http.StatusNoContent},
		{http.MethodPost, "/control/zones", `{"account":"main","name":"delta.example","records":3}`, http.StatusNoContent},
		{http.MethodPost, "/control/zones", `{"account":"main","name":"delta.example"}`, http.StatusBadRequest},
		{http.MethodPut, "/control/zones/delta.example", `{"forbidden":true}`, http.StatusNoContent},
		{http.MethodPut, "/control/zones/delta.example/records", `{"name":"x","type":"A","content":"192.0.2.7"}`, http.StatusNoContent},
		{http.MethodPut, "/control/zones/delta.example/records", `{"name":"x","type":"A","content":"many"}`, http.StatusBadRequest},
		{http.MethodGet, "/control/zones/delta.example/records", ``, http.StatusOK},
		{http.MethodDelete, "/control/zones/bravo.example", ``, http.StatusNoContent},
		{http.MethodPut, "/control/accounts/main", `{"revoked":401}`, http.StatusNoContent},
		{http.MethodPost, "/control/faults", `{"operation":"records.edit","mode":"lost","times":1}`, http.StatusNoContent},
		{http.MethodPost, "/control/faults", `{"mode":"sulk"}`, http.StatusBadRequest},
		{http.MethodGet, "/control/faults", ``, http.StatusOK},
		{http.MethodDelete, "/control/faults", ``, http.StatusNoContent},
		{http.MethodGet, "/control/calls", ``, http.StatusOK},
	} {
		if status, _ := send(t, s, c.method, c.path, "secret-token", c.body); status != http.StatusUnauthorized {
			t.Errorf("%s %s with the token of the API: status %d, want 401", c.method, c.path, status)
		}
		if status, body := send(t, s, c.method, c.path, s.ControlToken(), c.body); status != c.want {
			t.Errorf("%s %s: status %d, want %d: %s", c.method, c.path, status, c.want, body)
		}
	}
	if records := s.Records("delta.example"); len(records) != 4 || s.ZoneID("bravo.example") != "" {
		t.Errorf("the new zone has %d records, and the removed one the identifier %q", len(records), s.ZoneID("bravo.example"))
	}
	if status, body := send(t, s, http.MethodGet, "/client/v4/zones", "secret-token", ""); status != http.StatusUnauthorized || !strings.Contains(body, `"code":10000`) {
		t.Errorf("a revoked token: status %d, %s", status, body)
	}
}

// A record has no zone: an integration must carry it itself.
func TestRecordsHaveTheFieldsOfTheAPI(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Records: 1})
	_, body := send(t, s, http.MethodGet, "/client/v4/zones/"+s.ZoneID("alpha.example")+"/dns_records", "secret-token", "")
	var list struct {
		Result  []map[string]any `json:"result"`
		Success bool             `json:"success"`
		Errors  []any            `json:"errors"`
		Info    map[string]any   `json:"result_info"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Result) != 1 || !list.Success || list.Errors == nil {
		t.Fatalf("%v: %s", err, body)
	}
	for name := range strings.FieldsSeq("id name type content proxiable proxied ttl settings meta comment tags created_on modified_on") {
		if _, there := list.Result[0][name]; !there {
			t.Errorf("the record lacks %s: %s", name, body)
		}
	}
	for _, name := range []string{"zone_id", "zone_name", "locked"} {
		if _, there := list.Result[0][name]; there {
			t.Errorf("the record has %s, which the API no longer has", name)
		}
	}
	if got := fmt.Sprint(list.Info); got != "map[count:1 page:1 per_page:100 total_count:1 total_pages:1]" {
		t.Errorf("result_info is %s", got)
	}
}

func TestWrongRequestsGetTheCodesOfTheAPI(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Records: 1})
	for _, c := range []struct {
		path, token, code string
		status            int
	}{
		{"/client/v4/zones", "", `"code":6003`, http.StatusBadRequest},
		{"/client/v4/user/tokens/verify", "unknown", `"code":1000`, http.StatusUnauthorized},
		{"/client/v4/zones", "unknown", `"code":10000`, http.StatusUnauthorized},
		{"/client/v4/zones/nothing/dns_records", "secret-token", `"code":7003`, http.StatusNotFound},
		{"/client/v4/nowhere", "secret-token", `"code":7000`, http.StatusNotFound},
		{"/client/v4/zones/" + s.ZoneID("alpha.example") + "/dns_records/nothing", "secret-token", `"code":1002`, http.StatusBadRequest},
	} {
		if status, body := send(t, s, http.MethodGet, c.path, c.token, ""); status != c.status || !strings.Contains(body, c.code) || !strings.Contains(body, `"success":false`) {
			t.Errorf("%s: status %d, want %d with %s: %s", c.path, status, c.status, c.code, body)
		}
	}
}

func TestPutOverwritesWhatItDoesNotSend(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Records: 1})
	first := s.Records("alpha.example")[0] // it has a comment and is proxied
	path := "/client/v4/zones/" + s.ZoneID("alpha.example") + "/dns_records/" + first.ID
	status, body := send(t, s, http.MethodPut, path, "secret-token", `{"name":"@","type":"A","content":"192.0.2.5","ttl":300}`)
	if got := s.Records("alpha.example")[0]; status != http.StatusOK || got.Comment != nil || got.Proxied || got.TTL != 300 {
		t.Errorf("status %d, record %+v: %s", status, got, body)
	}
}

func TestBatchIsCarriedOutAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Records: 9})
	records := s.Records("alpha.example")
	path := "/client/v4/zones/" + s.ZoneID("alpha.example") + "/dns_records/batch"
	// The deletion comes first, so that the same record can be added again.
	status, body := send(t, s, http.MethodPost, path, "secret-token", fmt.Sprintf(
		`{"posts":[{"name":"api","type":"A","content":"192.0.2.11"}],"patches":[{"id":%q,"ttl":600}],"deletes":[{"id":%q}]}`, records[8].ID, records[7].ID))
	if now := s.Records("alpha.example"); status != http.StatusOK || len(now) != 9 || s.Changes(records[8].ID) != 1 || now[7].TTL != 600 {
		t.Errorf("status %d, records %+v: %s", status, now, body)
	}
	status, body = send(t, s, http.MethodPost, path, "secret-token", fmt.Sprintf(
		`{"deletes":[{"id":%q}],"posts":[{"name":"www","type":"A","content":"192.0.2.1"}]}`, records[0].ID))
	if now := s.Records("alpha.example"); status != http.StatusBadRequest || len(now) != 9 || now[0].ID != records[0].ID {
		t.Errorf("a batch that is refused: status %d, %d records: %s", status, len(now), body)
	}
	status, body = send(t, s, http.MethodPost, path, "secret-token", `{"posts":[`+strings.Repeat(`{"name":"x"},`, 200)+`{"name":"x"}]}`)
	if status != http.StatusBadRequest || !strings.Contains(body, "200 operations") {
		t.Errorf("a batch of 201 operations: status %d, %s", status, body)
	}
}
