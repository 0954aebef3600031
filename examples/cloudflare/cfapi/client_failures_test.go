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
	"github.com/nawasara/nawasync/secret"
)

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
