package cfapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
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

func TestZonesAndRecordsAreListedCompletelyPageByPage(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 5000, 1000)
	var zones []cfapi.Zone
	account := server.AccountID("main")
	for page, err := range client.Zones(t.Context(), account, "") {
		noError(t, err)
		zones = append(zones, page.Items...)
	}
	if len(zones) != 2 || zones[0].Name != "alpha.example" || zones[0].Account.Name != "main" || zones[0].Plan.Name == "" || len(zones[0].NameServers) != 2 {
		t.Fatalf("zones %+v, want those of the token's account", zones)
	}
	seen, last := map[string]bool{}, false
	for page, err := range client.Records(t.Context(), zones[0].ID, "") {
		noError(t, err)
		for _, r := range page.Items {
			seen[r.ID] = true
		}
		if page.Total == nil || *page.Total != 5000 {
			t.Errorf("a page has the total %v, want 5000", page.Total)
		}
		last = page.Next == ""
	}
	if len(seen) != 5000 || !last || server.Calls(sim.OpRecords) != 5 {
		t.Errorf("listed %d records in %d calls, last page %v, want 5000 in 5 calls", len(seen), server.Calls(sim.OpRecords), last)
	}
	for page, err := range client.Records(t.Context(), zones[0].ID, "5") {
		noError(t, err)
		if len(page.Items) != 1000 || page.Next != "" {
			t.Errorf("a list from page 5 on has %d records, and then page %q", len(page.Items), page.Next)
		}
	}
}

func TestAccountsThatTheTokenMaySeeAreListedPageByPage(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 1, 0)
	names := func() (list []string) {
		for page, err := range client.Accounts(t.Context(), "") {
			noError(t, err)
			if page.Total == nil {
				t.Error("a page has no total")
			}
			for _, a := range page.Items {
				list = append(list, a.Name)
			}
		}
		return list
	}
	if got := names(); !slices.Equal(got, []string{"main"}) {
		t.Errorf("accounts %v, want main alone", got)
	}
	for i := range 60 { // a page has 50
		_, err := server.AddAccount("main", fmt.Sprintf("account %d", i), 0)
		noError(t, err)
	}
	before := server.Calls(sim.OpAccounts)
	if got, calls := names(), server.Calls(sim.OpAccounts); len(got) != 61 || calls-before != 2 {
		t.Errorf("listed %d accounts in %d calls, want 61 in 2", len(got), calls-before)
	}
	account, err := client.Account(t.Context(), server.AccountID("main"))
	if err != nil || account.Name != "main" || account.Type != "standard" || account.CreatedOn == nil {
		t.Errorf("the account is %+v, %v", account, err)
	}
	for page, err := range client.Zones(t.Context(), strings.Repeat("0", 32), "") {
		if err != nil || len(page.Items) != 0 || *page.Total != 0 {
			t.Errorf("the zones of no account are %+v, %v", page, err)
		}
	}
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

// calls has each call of the client, by the operation's name.
var calls = map[string]func(ctx context.Context, c *cfapi.Client, zone, record string) error{
	sim.OpVerify: func(ctx context.Context, c *cfapi.Client, _, _ string) error { return c.Verify(ctx) },
	sim.OpAccounts: func(ctx context.Context, c *cfapi.Client, _, _ string) (last error) {
		for _, err := range c.Accounts(ctx, "") {
			last = err
		}
		return last
	},
	sim.OpAccount: func(ctx context.Context, c *cfapi.Client, _, _ string) error {
		_, err := c.Account(ctx, sim.New(sim.Options{}).AccountID("main"))
		return err
	},
	sim.OpZones: func(ctx context.Context, c *cfapi.Client, _, _ string) (last error) {
		for _, err := range c.Zones(ctx, "", "") {
			last = err
		}
		return last
	},
	sim.OpZone: func(ctx context.Context, c *cfapi.Client, zone, _ string) error {
		_, err := c.Zone(ctx, zone)
		return err
	},
	sim.OpRecords: func(ctx context.Context, c *cfapi.Client, zone, _ string) (last error) {
		for _, err := range c.Records(ctx, zone, "") {
			last = err
		}
		return last
	},
	sim.OpRecord: func(ctx context.Context, c *cfapi.Client, zone, record string) error {
		_, err := c.Record(ctx, zone, record)
		return err
	},
	sim.OpCreate: func(ctx context.Context, c *cfapi.Client, zone, _ string) error {
		_, err := c.CreateRecord(ctx, zone, cfapi.Fields{"name": "fresh", "type": "A", "content": "192.0.2.77"})
		return err
	},
	sim.OpEdit: func(ctx context.Context, c *cfapi.Client, zone, record string) error {
		_, err := c.EditRecord(ctx, zone, record, cfapi.Fields{"ttl": 120, "proxied": false})
		return err
	},
	sim.OpDelete: func(ctx context.Context, c *cfapi.Client, zone, record string) error {
		return c.DeleteRecord(ctx, zone, record)
	},
}

func TestEachFailureOfEachCallHasItsClass(t *testing.T) {
	t.Parallel()
	for operation, call := range calls {
		reads := !slices.Contains([]string{sim.OpCreate, sim.OpEdit, sim.OpDelete}, operation)
		incomplete := fault.ClassUnknownOutcome
		if reads {
			incomplete = fault.ClassTransient
		}
		for _, c := range []struct {
			fault sim.Fault
			class fault.Class
			text  string
		}{
			{sim.Fault{Mode: sim.ModeForbidden}, fault.ClassForbidden, "HTTP 403: 10000 Authentication error"},
			{sim.Fault{Mode: sim.ModeRateLimit, RetryAfter: 7}, fault.ClassRateLimited, "HTTP 429"},
			{sim.Fault{Mode: sim.ModeError}, incomplete, "HTTP 500: 10001"},
			{sim.Fault{Mode: sim.ModeError, Status: 503}, incomplete, "HTTP 503"},
			{sim.Fault{Mode: sim.ModeHTML}, incomplete, "HTTP 502: Bad Gateway"},
			{sim.Fault{Mode: sim.ModeHTML, Status: 200}, incomplete, "HTML page"},
			{sim.Fault{Mode: sim.ModeCut}, incomplete, "unexpected EOF"},
			{sim.Fault{Mode: sim.ModeDown}, incomplete, "EOF"},
			{sim.Fault{Mode: sim.ModeLost}, incomplete, "EOF"},
			{sim.Fault{Mode: sim.ModeRefuse, Code: 81044, Status: 404, Message: "Record does not exist."}, fault.ClassGone, "81044"},
			{sim.Fault{Mode: sim.ModeRefuse, Code: 81057, Message: "The record already exists."}, fault.ClassAlreadyExists, "81057"},
			{sim.Fault{Mode: sim.ModeRefuse, Code: 81058, Message: "An identical record already exists."}, fault.ClassAlreadyExists, "81058"},
			{
				sim.Fault{Mode: sim.ModeRefuse, Code: 81053, Message: "An A, AAAA, or CNAME record with that host already exists."},
				fault.ClassPermanent, "delete one of them first",
			},
			{sim.Fault{Mode: sim.ModeRefuse, Code: 1002, Message: "Invalid dns record identifier"}, fault.ClassPermanent, "1002"},
			{sim.Fault{Mode: sim.ModeRefuse, Code: 9021, Message: "Invalid TTL. " + token}, fault.ClassPermanent, "9021"},
			{sim.Fault{Mode: sim.ModeRefuse, Code: 6003, Message: "Invalid request headers"}, fault.ClassCredentials, "the token is malformed"},
			{sim.Fault{Mode: sim.ModeRefuse, Code: 1000, Message: "Invalid API Token"}, fault.ClassCredentials, "was revoked"},
			{sim.Fault{Mode: sim.ModeRefuse, Status: 404, Code: 7000, Message: "No route for that URI"}, fault.ClassConfig, "7000"},
			{sim.Fault{Mode: sim.ModeRefuse, Status: 401, Code: 10000, Message: "Authentication error"}, fault.ClassCredentials, "check the credentials"},
		} {
			t.Run(fmt.Sprint(operation, " ", c.fault.Mode, c.fault.Status, c.fault.Code), func(t *testing.T) {
				t.Parallel()
				server, client := simulator(t, 4, 0)
				zone, record := server.ZoneID("alpha.example"), server.Records("alpha.example")[0].ID
				c.fault.Operation = operation
				noError(t, server.Inject(c.fault))
				err := call(t.Context(), client, zone, record)
				if fault.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), token) {
					t.Fatalf("class %s, want %s with %q and without the token: %v", fault.ClassOf(err), c.class, c.text, err)
				}
				var classified *fault.Error
				if c.fault.Mode == sim.ModeRateLimit && (!errors.As(err, &classified) || classified.RetryAfter != 7*time.Second) {
					t.Errorf("error %+v, want RetryAfter of 7 s", classified)
				}
				server.Clear()
				// Those of a lost answer have made the change already. After a rate limit, no call is made for 7 s.
				if c.fault.Mode != sim.ModeLost && c.fault.Mode != sim.ModeCut && c.fault.Mode != sim.ModeRateLimit {
					noError(t, call(t.Context(), client, zone, record))
				}
			})
		}
	}
}

func TestRealAnswersOfTheSimulatorHaveTheirClass(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 9, 0)
	zone, ctx := server.ZoneID("alpha.example"), t.Context()
	create := func(fields cfapi.Fields) error {
		_, err := client.CreateRecord(ctx, zone, fields)
		return err
	}
	get := func(zone, id string) error {
		_, err := client.Record(ctx, zone, id)
		return err
	}
	getZone := func(id string) error {
		_, err := client.Zone(ctx, id)
		return err
	}
	getAccount := func(id string) error {
		_, err := client.Account(ctx, id)
		return err
	}
	unknown := strings.Repeat("0", 32)
	for name, c := range map[string]struct {
		err   error
		class fault.Class
		text  string
	}{
		"an identical record":         {create(cfapi.Fields{"name": "api", "type": "A", "content": "192.0.2.11"}), fault.ClassAlreadyExists, "81058"},
		"a second CNAME":              {create(cfapi.Fields{"name": "www", "type": "CNAME", "content": "x.example"}), fault.ClassAlreadyExists, "81057"},
		"an address beside a CNAME":   {create(cfapi.Fields{"name": "www", "type": "A", "content": "192.0.2.1"}), fault.ClassPermanent, "81053"},
		"a wrong address":             {create(cfapi.Fields{"name": "x", "type": "A", "content": "many"}), fault.ClassPermanent, "9005"},
		"a wrong ttl":                 {create(cfapi.Fields{"name": "x", "type": "A", "content": "192.0.2.1", "ttl": 5}), fault.ClassPermanent, "9021"},
		"a proxied MX":                {create(cfapi.Fields{"name": "x", "type": "MX", "content": "m.example", "proxied": true}), fault.ClassPermanent, "9004"},
		"no such record":              {get(zone, unknown), fault.ClassGone, "81044"},
		"deleting no such record":     {client.DeleteRecord(ctx, zone, unknown), fault.ClassGone, "81044"},
		"no identifier of a record":   {get(zone, "nonsense"), fault.ClassPermanent, "1002"},
		"the records of no zone":      {get(unknown, unknown), fault.ClassConfig, "7003"},
		"no such zone":                {getZone(unknown), fault.ClassGone, "7003"},
		"no such account":             {getAccount(unknown), fault.ClassGone, "7003"},
		"no identifier of an account": {getAccount("main"), fault.ClassPermanent, "not the identifier of an account"},
		"another account":             {getAccount(server.AccountID("other")), fault.ClassForbidden, "10000"},
		"no identifier of a zone":     {getZone("../accounts"), fault.ClassPermanent, "not the identifier of a zone"},
		"a zone of another account":   {getZone(server.ZoneID("other.example")), fault.ClassForbidden, "10000"},
		"a listing of another's zone": {calls[sim.OpRecords](ctx, client, server.ZoneID("other.example"), ""), fault.ClassForbidden, "10000"},
	} {
		if fault.ClassOf(c.err) != c.class || !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%s: class %s, want %s with %q: %v", name, fault.ClassOf(c.err), c.class, c.text, c.err)
		}
	}
}

// A revoked token and a zone that the token may not see get the same status. Verifying the token tells them apart.
func TestRevokedTokenAndForbiddenZoneAreToldApart(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 4, 0)
	zone := server.ZoneID("alpha.example")
	list := func() error { return calls[sim.OpRecords](t.Context(), client, zone, "") }
	noError(t, server.Forbid("alpha.example", true))
	if err := list(); fault.ClassOf(err) != fault.ClassForbidden || client.Verify(t.Context()) != nil {
		t.Errorf("a forbidden zone: %v, and the token is %v", err, client.Verify(t.Context()))
	}
	noError(t, server.Forbid("alpha.example", false))
	for status, want := range map[int]fault.Class{http.StatusUnauthorized: fault.ClassCredentials, http.StatusForbidden: fault.ClassForbidden} {
		noError(t, server.Revoke("main", status))
		err, verified := list(), client.Verify(t.Context())
		if fault.ClassOf(err) != want || fault.ClassOf(verified) != fault.ClassCredentials {
			t.Errorf("a revoked token with status %d: %v, and verified: %v", status, err, verified)
		}
	}
	noError(t, server.Revoke("main", 0))
	noError(t, list())
}

func TestTokenOverItsLimitIsBlockedForTheNextWindow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	server := sim.New(sim.Options{Limit: 3, Now: func() time.Time { return now }})
	service, err := cfapi.NewRemote(remote.Config{Base: server.Transport(), Now: func() time.Time { return now }, Budgets: []remote.Budget{}})
	noError(t, err)
	client, err := cfapi.New(cfapi.Config{URL: "http://localhost/client/v4", Token: secret.New("secret-token"), Remote: service})
	noError(t, err)
	for range 3 {
		noError(t, client.Verify(t.Context()))
	}
	now = now.Add(time.Minute)
	wait := func() time.Duration {
		t.Helper()
		var refused *fault.Error
		if err := client.Verify(t.Context()); !errors.As(err, &refused) || refused.Class != fault.ClassRateLimited {
			t.Fatalf("the call over the limit returned %v, want a rate limit", err)
		}
		return refused.RetryAfter
	}
	if got := wait(); got != 5*time.Minute {
		t.Errorf("the token is blocked for %s, want 5 minutes", got)
	}
	now = now.Add(4*time.Minute + 30*time.Second) // a new window, but the block lasts
	if got := wait(); got != 30*time.Second {
		t.Errorf("the token is blocked for %s more, want 30 s", got)
	}
	now = now.Add(30 * time.Second)
	noError(t, client.Verify(t.Context()))
	if answered, refused := server.Spent("main"); answered != 1 || refused != 1 {
		t.Errorf("the window has %d answered and %d refused calls, want 1 and 1, since the second one was not sent", answered, refused)
	}
}

// Two tokens share the limit of their IP address, which their budgets do not know.
func TestCallsOverTheLimitOfAnIPAddressWaitForASecond(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	tokens := []string{"first", "second"}
	server := sim.New(sim.Options{PerSecond: sim.PerSecond, Now: clock, Accounts: []sim.Account{{Name: "a", Token: tokens[0]}, {Name: "b", Token: tokens[1]}}})
	var clients []*cfapi.Client
	service, err := cfapi.NewRemote(remote.Config{Base: server.Transport(), Now: clock, MaxWait: time.Millisecond})
	noError(t, err)
	for _, name := range tokens {
		client, err := cfapi.New(cfapi.Config{URL: "http://localhost/client/v4", Token: secret.New(name), Remote: service, Scope: name})
		noError(t, err)
		clients = append(clients, client)
	}
	for i := range sim.PerSecond {
		noError(t, clients[i%2].Verify(t.Context()))
	}
	var refused *fault.Error
	if err := clients[0].Verify(t.Context()); !errors.As(err, &refused) || refused.Class != fault.ClassRateLimited || refused.RetryAfter != time.Second {
		t.Errorf("call 201 of a second returned %v, want a rate limit of 1 s", err)
	}
	now = now.Add(time.Second)
	for _, client := range clients {
		noError(t, client.Verify(t.Context()))
	}
	if answered, blocked := server.Spent("a"); answered != 101 || blocked != 0 {
		t.Errorf("the token has spent %d calls and is over its own limit %d times, want 101 and never", answered, blocked)
	}
}

func TestLimitsAreInTheHeaders(t *testing.T) {
	t.Parallel()
	server := sim.New(sim.Options{})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/client/v4/zones", nil)
	request.Header.Set("Authorization", "Bearer secret-token")
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, request)
	if got := answer.Header().Get("Ratelimit"); got != `"default";r=1199;t=300` {
		t.Errorf("Ratelimit is %s", got)
	}
	if got := answer.Header().Get("Ratelimit-Policy"); got != `"default";q=1200;w=300` || answer.Header().Get("Retry-After") != "" {
		t.Errorf("Ratelimit-Policy is %s, and Retry-After %q", got, answer.Header().Get("Retry-After"))
	}
}

func TestAnswersThatProveNothingAreNoSuccess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		class  fault.Class
	}{
		"JSON of another form":     {200, nil, `{"hello":"world"}`, fault.ClassTransient},
		"an empty body":            {200, nil, ``, fault.ClassTransient},
		"a list":                   {200, nil, `[]`, fault.ClassTransient},
		"no success":               {200, nil, `{"result":null,"success":false,"errors":[{"code":81044,"message":"Record does not exist."}]}`, fault.ClassGone},
		"no success and no reason": {200, nil, `{"result":null,"success":false,"errors":[]}`, fault.ClassPermanent},
		"another shape":            {200, nil, `{"result":[1],"success":true,"errors":[]}`, fault.ClassTransient},
		"a limit without a time":   {429, nil, `error code: 1015`, fault.ClassRateLimited},
		"a redirect":               {302, map[string]string{"Location": "https://elsewhere.example/"}, ``, fault.ClassConfig},
		"another service":          {404, nil, `<html>`, fault.ClassConfig},
	} {
		err := func() error {
			_, err := answering(t, c.status, c.header, c.body).Record(t.Context(), strings.Repeat("a", 32), strings.Repeat("b", 32))
			return err
		}()
		if fault.ClassOf(err) != c.class {
			t.Errorf("%s: class %s, want %s: %v", name, fault.ClassOf(err), c.class, err)
		}
		var limited *fault.Error
		if c.status == http.StatusTooManyRequests && (!errors.As(err, &limited) || limited.RetryAfter != 5*time.Minute) {
			t.Errorf("%s: %+v, want a wait of 5 minutes", name, limited)
		}
	}
}

// A list whose answer lacks the count must not look like a list with 0 elements.
func TestListWithoutItsTotalHasNone(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, 30, 10)
	noError(t, server.Inject(sim.Fault{Operation: sim.OpRecords, Mode: sim.ModeNoTotal, Page: 3}))
	n := 0
	for page, err := range client.Records(t.Context(), server.ZoneID("alpha.example"), "") {
		noError(t, err)
		n += len(page.Items)
		if n == 30 && len(page.Items) > 0 && (page.Total != nil || page.Next == "") {
			t.Errorf("page 3 has the total %v, and then page %q", page.Total, page.Next)
		}
	}
	if n != 30 {
		t.Errorf("listed %d records, want 30", n)
	}
}

func TestRequestThatWasNeverSentIsTransient(t *testing.T) {
	t.Parallel()
	stopped := httptest.NewServer(nil)
	stopped.Close()
	client, err := cfapi.New(cfapi.Config{URL: stopped.URL, Token: secret.New(token)})
	noError(t, err)
	err = client.DeleteRecord(t.Context(), strings.Repeat("a", 32), strings.Repeat("b", 32))
	if fault.ClassOf(err) != fault.ClassTransient {
		t.Errorf("class %s, want transient: %v", fault.ClassOf(err), err)
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
