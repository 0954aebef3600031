package cfapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/secret"
)

const token = "TOKEN-91c7fe20aa"

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// simulator returns a simulated Cloudflare on a port of its own, and a client of it that lists pages of the size.
func simulator(t *testing.T, records, pageSize int) (*sim.Server, *cfapi.Client) {
	t.Helper()
	server := sim.New(sim.Options{
		Accounts: []sim.Account{
			{Name: "main", Token: token, Zones: []string{"alpha.example", "bravo.example"}},
			{Name: "other", Token: "OTHER", Zones: []string{"other.example"}},
		},
		Records: records,
	})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	client, err := cfapi.New(cfapi.Config{URL: listener.URL + "/client/v4", Token: secret.New(token), PageSize: pageSize})
	noError(t, err)
	return server, client
}

// answering returns a client of a server that gives every call the same answer.
func answering(t *testing.T, status int, header map[string]string, body string) *cfapi.Client {
	t.Helper()
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(listener.Close)
	client, err := cfapi.New(cfapi.Config{URL: listener.URL, Token: secret.New(token)})
	noError(t, err)
	return client
}

func TestRecordsAreStoredAsCloudflareSpellsThem(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 4, 0)
	zone, ctx := server.ZoneID("alpha.example"), t.Context()
	for _, c := range []struct {
		fields cfapi.Fields
		want   string // name, type, content, proxied, ttl and priority
	}{
		{cfapi.Fields{"name": "WWW2.Alpha.Example.", "type": "a", "content": "192.0.2.9"}, "www2.alpha.example A 192.0.2.9 false 1 -"},
		{cfapi.Fields{"name": "proxied", "type": "A", "content": "192.0.2.9", "proxied": true, "ttl": 300}, "proxied.alpha.example A 192.0.2.9 true 1 -"},
		{cfapi.Fields{"name": "*", "type": "AAAA", "content": "2001:DB8:0:0::1", "ttl": 300}, "*.alpha.example AAAA 2001:db8::1 false 300 -"},
		{cfapi.Fields{"name": "büro", "type": "CNAME", "content": "Ziel.Example."}, "xn--bro-hoa.alpha.example CNAME ziel.example false 1 -"},
		{cfapi.Fields{"name": "mx", "type": "MX", "content": "mail.alpha.example", "priority": 0}, "mx.alpha.example MX mail.alpha.example false 1 0"},
		{cfapi.Fields{"name": "_dmarc", "type": "TXT", "content": `"v=DMARC1; p=none"`}, `_dmarc.alpha.example TXT "v=DMARC1; p=none" false 1 -`},
	} {
		created, err := client.CreateRecord(ctx, zone, c.fields)
		noError(t, err)
		got, err := client.Record(ctx, zone, created.ID)
		noError(t, err)
		priority := "-"
		if got.Priority != nil {
			priority = fmt.Sprint(*got.Priority)
		}
		if text := fmt.Sprintf("%s %s %s %v %d %s", got.Name, got.Type, got.Content, got.Proxied, got.TTL, priority); text != c.want {
			t.Errorf("created %v: the record is %q, want %q", c.fields, text, c.want)
		}
		if found, err := client.FindRecord(ctx, zone, got.Type, got.Name, got.Content); err != nil || found.ID != created.ID {
			t.Errorf("FindRecord returned %q, %v, want %s", found.ID, err, created.ID)
		}
	}
}

func TestEditKeepsWhatItDoesNotSend(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 4, 0)
	zone, ctx := server.ZoneID("alpha.example"), t.Context()
	created, err := client.CreateRecord(ctx, zone, cfapi.Fields{
		"name": "mx", "type": "MX", "content": "mail.alpha.example", "priority": 0, "ttl": 300, "comment": "since 2019", "tags": []string{"team:mail"},
	})
	noError(t, err)
	edited, err := client.EditRecord(ctx, zone, created.ID, cfapi.Fields{"ttl": 600})
	noError(t, err)
	if edited.TTL != 600 || *edited.Comment != "since 2019" || !slices.Equal(edited.Tags, []string{"team:mail"}) || *edited.Priority != 0 || edited.Content != created.Content {
		t.Errorf("after a change of the ttl the record is %+v", edited)
	}
	if edited, err = client.EditRecord(ctx, zone, created.ID, cfapi.Fields{"comment": ""}); err != nil || edited.Comment != nil {
		t.Errorf("an empty comment is stored as %v, %v, want none", edited.Comment, err)
	}
	noError(t, client.DeleteRecord(ctx, zone, created.ID))
	if n := server.Changes(created.ID); n != 4 {
		t.Errorf("the record was changed %d times, want 4", n)
	}
}

func TestNewNamesTheSettingToFix(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"cloudflare.example": "not a URL", "http://cloudflare.example": "in the clear", "https://me:x@cloudflare.example": "contains a user",
	} {
		if _, err := cfapi.New(cfapi.Config{URL: address, Token: secret.New(token)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New for %s returned %v, want an error with %q", address, err, want)
		}
	}
	if _, err := cfapi.New(cfapi.Config{}); err == nil || !strings.Contains(err.Error(), "token is empty") {
		t.Errorf("New without a token returned %v", err)
	}
}
