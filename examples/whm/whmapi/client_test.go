package whmapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

const (
	token    = "TOKEN-abcdef123456"
	password = "pässwörd & <co> 1%"
	email    = "info@alpha.example"
)

func simulator(t *testing.T, o sim.Options) (*sim.Server, *whmapi.Client) {
	t.Helper()
	o.Token = token
	server := sim.New(o)
	return server, clientOf(t, server)
}

func clientOf(t *testing.T, handler http.Handler) *whmapi.Client {
	t.Helper()
	listener := httptest.NewServer(handler)
	t.Cleanup(listener.Close)
	client, err := whmapi.New(whmapi.Config{URL: listener.URL, User: "root", Token: secret.New(token)})
	noError(t, err)
	return client
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachCallChangesTheServerExactlyAsAsked(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, sim.Options{})
	ctx := t.Context()
	const created = "new@bravo.example"
	noError(t, client.AddMailbox(ctx, "bravo", created, secret.New(password), 300))
	state := server.Mailbox(created)
	if !state.Exists || *state.QuotaMB != 300 || !server.Password(created, password) {
		t.Errorf("after add_pop: %+v", state)
	}
	noError(t, client.SetQuota(ctx, "bravo", created, 0))
	if state = server.Mailbox(created); *state.QuotaMB != 0 {
		t.Errorf("after edit_pop_quota: %+v", state)
	}
	noError(t, client.SetPassword(ctx, "bravo", created, secret.New("another one")))
	if !server.Password(created, "another one") {
		t.Error("passwd_pop did not set the password")
	}
	noError(t, client.SetLogin(ctx, "bravo", created, true))
	noError(t, client.SetIncoming(ctx, "bravo", created, true))
	if state = server.Mailbox(created); !*state.SuspendedLogin || !*state.SuspendedIncoming {
		t.Errorf("after suspend: %+v", state)
	}
	box, err := client.Mailbox(ctx, "bravo", created)
	noError(t, err)
	if box != (whmapi.Mailbox{Email: created, SuspendedLogin: true, SuspendedIncoming: true}) {
		t.Errorf("Mailbox returned %+v, want a suspended mailbox without a quota", box)
	}
	noError(t, client.SetLogin(ctx, "bravo", created, false))
	noError(t, client.SetIncoming(ctx, "bravo", created, false))
	if state = server.Mailbox(created); *state.SuspendedLogin || *state.SuspendedIncoming {
		t.Errorf("after unsuspend: %+v", state)
	}
	noError(t, client.DeleteMailbox(ctx, "bravo", created))
	if state = server.Mailbox(created); state.Exists {
		t.Errorf("after delete_pop: %+v", state)
	}
	for function, n := range state.Actions {
		if n != 1 {
			t.Errorf("%s changed the server %d times, want once", function, n)
		}
	}
	if _, err := client.Mailbox(ctx, "bravo", created); fault.ClassOf(err) != fault.ClassGone {
		t.Errorf("Mailbox after delete_pop returned %v, want class gone", err)
	}
}

func TestListingsAreCompleteAndPaged(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, sim.Options{Mailboxes: 10_000})
	accounts, err := client.Accounts(t.Context())
	noError(t, err)
	if len(accounts) != 5 || accounts[0].User != "alpha" || accounts[0].Domain != "alpha.example" || accounts[0].Plan != "basic" || accounts[0].DiskLimit != nil ||
		accounts[0].DiskUsed == 0 || *accounts[1].DiskLimit != 20000<<20 || *accounts[3].DiskLimit != 20000<<20 || accounts[0].SuspendReason != "" {
		t.Fatalf("%+v", accounts)
	}
	seen := map[string]whmapi.Mailbox{}
	for _, account := range accounts {
		for page, err := range client.Mailboxes(t.Context(), account.User) {
			noError(t, err)
			for _, box := range page {
				seen[box.Email] = box
			}
		}
	}
	if len(seen) != 10_000 || seen[email].QuotaBytes != 250<<20 {
		t.Errorf("listed %d mailboxes, want 10000; %s is %+v", len(seen), email, seen[email])
	}
	if n := server.Calls("list_pops_with_disk"); n != 4*3+1 {
		t.Errorf("the listing took %d calls, want 13", n)
	}
}

// calls has a call of each function that the client uses, by the function's name on the server.
var calls = map[string]func(ctx context.Context, c *whmapi.Client) error{
	"listaccts": func(ctx context.Context, c *whmapi.Client) error {
		_, err := c.Accounts(ctx)
		return err
	},
	"list_pops_with_disk": func(ctx context.Context, c *whmapi.Client) error {
		for _, err := range c.Mailboxes(ctx, "alpha") {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"list_pops": func(ctx context.Context, c *whmapi.Client) error {
		for _, err := range c.MailboxNames(ctx, "alpha") {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"createacct": func(ctx context.Context, c *whmapi.Client) error {
		return c.CreateAccount(ctx, whmapi.Account{User: "fresh", Domain: "fresh.example", Plan: "basic", Email: "a@b.example"}, secret.New(password))
	},
	"suspendacct":   func(ctx context.Context, c *whmapi.Client) error { return c.SuspendAccount(ctx, "alpha", "unpaid") },
	"unsuspendacct": func(ctx context.Context, c *whmapi.Client) error { return c.UnsuspendAccount(ctx, "alpha") },
	"removeacct":    func(ctx context.Context, c *whmapi.Client) error { return c.RemoveAccount(ctx, "alpha") },
	"changepackage": func(ctx context.Context, c *whmapi.Client) error { return c.ChangePackage(ctx, "alpha", "business") },
	"passwd": func(ctx context.Context, c *whmapi.Client) error {
		return c.SetAccountPassword(ctx, "alpha", secret.New(password))
	},
	"add_pop": func(ctx context.Context, c *whmapi.Client) error {
		return c.AddMailbox(ctx, "alpha", "fresh@alpha.example", secret.New(password), 100)
	},
	"edit_pop_quota": func(ctx context.Context, c *whmapi.Client) error { return c.SetQuota(ctx, "alpha", email, 100) },
	"passwd_pop": func(ctx context.Context, c *whmapi.Client) error {
		return c.SetPassword(ctx, "alpha", email, secret.New(password))
	},
	"delete_pop":       func(ctx context.Context, c *whmapi.Client) error { return c.DeleteMailbox(ctx, "alpha", email) },
	"suspend_incoming": func(ctx context.Context, c *whmapi.Client) error { return c.SetIncoming(ctx, "alpha", email, true) },
	"unsuspend_login":  func(ctx context.Context, c *whmapi.Client) error { return c.SetLogin(ctx, "alpha", email, false) },
}

func TestEachFailureOfEachCallHasItsClass(t *testing.T) {
	t.Parallel()
	for function, call := range calls {
		reads := strings.HasPrefix(function, "list")
		incomplete := fault.ClassUnknownOutcome
		if reads {
			incomplete = fault.ClassTransient
		}
		for _, c := range []struct {
			fault sim.Fault
			class fault.Class
			text  string
		}{
			{sim.Fault{Mode: sim.ModeForbidden}, fault.ClassCredentials, "Access denied (check user, token"},
			{sim.Fault{Mode: sim.ModeRateLimit, RetryAfter: 7}, fault.ClassRateLimited, "429"},
			{sim.Fault{Mode: sim.ModeError500}, incomplete, "HTTP 500"},
			{sim.Fault{Mode: sim.ModeGarbage}, incomplete, "HTML page"},
			{sim.Fault{Mode: sim.ModeTruncated}, incomplete, "decode the answer of"},
			{sim.Fault{Mode: sim.ModeDown}, incomplete, "EOF"},
			{sim.Fault{Mode: sim.ModeLost}, incomplete, "EOF"},
			{sim.Fault{Mode: sim.ModeRefuse, Reason: "The system could not lock the file."}, fault.ClassTransient, "could not lock"},
			{sim.Fault{Mode: sim.ModeRefuse, Reason: "You do not have an email account named “x”."}, fault.ClassGone, "You do not have"},
			{sim.Fault{Mode: sim.ModeRefuse, Reason: "The account already exists!"}, fault.ClassAlreadyExists, "already exists"},
			{sim.Fault{Mode: sim.ModeRefuse, Reason: "Permission denied"}, fault.ClassCredentials, "the URL has its port, 2087"},
			{sim.Fault{Mode: sim.ModeRefuse, Reason: "Function not found"}, fault.ClassConfig, "the URL has WHM's port, 2087"},
			{sim.Fault{Mode: sim.ModeRefuse, Reason: "Invalid quota."}, fault.ClassPermanent, "Invalid quota"},
			{sim.Fault{Mode: sim.ModeRefuse, Reason: "Something nobody has seen before: " + password + " " + token}, fault.ClassUnclassified, "nobody has seen"},
		} {
			t.Run(function+" "+string(c.fault.Mode)+" "+c.fault.Reason, func(t *testing.T) {
				t.Parallel()
				server, client := simulator(t, sim.Options{})
				c.fault.Function = function
				noError(t, server.Inject(c.fault))
				err := call(t.Context(), client)
				if fault.ClassOf(err) != c.class || err == nil || !strings.Contains(err.Error(), c.text) {
					t.Fatalf("class %s, want %s with %q: %v", fault.ClassOf(err), c.class, c.text, err)
				}
				if strings.Contains(err.Error(), token) || (!reads && function == "passwd_pop" && strings.Contains(err.Error(), password)) {
					t.Errorf("the error contains a secret: %v", err)
				}
				var classified *fault.Error
				if c.fault.Mode == sim.ModeRateLimit && (!errors.As(err, &classified) || classified.RetryAfter != 7*time.Second) {
					t.Errorf("error %+v, want RetryAfter of 7 s", classified)
				}
				server.Clear()
				// A lost answer has made the change already. After a rate limit, no call is made for 7 s.
				if c.fault.Mode != sim.ModeLost && c.fault.Mode != sim.ModeRateLimit {
					noError(t, call(t.Context(), client))
				}
			})
		}
	}
}

func TestInterruptedWriteHasAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	server, client := simulator(t, sim.Options{})
	noError(t, server.Inject(sim.Fault{Function: "edit_pop_quota", Mode: sim.ModeSlow, DelayMS: 60_000}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := client.SetQuota(ctx, "alpha", email, 10); fault.ClassOf(err) != fault.ClassUnknownOutcome || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("class %s, want an unknown outcome: %v", fault.ClassOf(err), err)
	}
}

// The answers are forms that servers are known to send. Many of them mean the same.
func TestAnswersInEveryEnvelopeAreUnderstood(t *testing.T) {
	t.Parallel()
	const box = `{"email":"INFO@alpha.example","login":"info","_diskquota":%q,"_diskused":"12.0","suspended_login":"1","suspended_incoming":0}`
	quota := func(value string) string { return strings.Replace(box, "%q", value, 1) }
	for name, c := range map[string]struct {
		status int
		body   string
		quota  int64
		class  fault.Class // "" is no error
	}{
		"UAPI through cpanel": {200, `{"apiversion":3,"func":"f","module":"Email","result":{"status":1,"data":[` + quota(`"262144000"`) +
			`],"errors":null,"messages":null,"metadata":{},"warnings":null}}`, 262144000, ""},
		"status is true":           {200, `{"result":{"status":true,"data":[` + quota("0") + `]}}`, 0, ""},
		"status is a string":       {200, `{"result":{"status":"1","data":[` + quota(`"unlimited"`) + `]}}`, 0, ""},
		"UAPI through uapi_cpanel": {200, `{"data":{"uapi":{"status":1,"data":[` + quota(`"250M"`) + `]}},"metadata":{"result":"1","reason":"OK"}}`, 250 << 20, ""},
		"UAPI directly":            {200, `{"status":1,"data":[` + quota("1048576") + `],"errors":null}`, 1 << 20, ""},
		"WHM 1":                    {200, `{"data":[` + quota(`"1.5G"`) + `],"metadata":{"result":1,"reason":"OK","version":1}}`, 3 << 29, ""},
		"the main account":         {200, `{"result":{"status":1,"data":[{"email":"alpha","login":"Main Account"},` + quota("5") + `]}}`, 5, ""},
		"errors is a string":       {200, `{"result":{"status":0,"errors":"No such user."}}`, 0, fault.ClassGone},
		"errors is null":           {200, `{"result":{"status":0,"errors":null}}`, 0, fault.ClassUnclassified},
		"uapi_cpanel refused":      {200, `{"data":{"uapi":{"status":0,"data":null,"errors":["Access denied"]}},"metadata":{"result":1}}`, 0, fault.ClassCredentials},
		"WHM refused":              {200, `{"metadata":{"command":"x","reason":"Unknown app (\"x\") requested for this version (1) of the API.","result":0,"version":1}}`, 0, fault.ClassConfig},
		"API 2 refused with status 200": {
			200, `{"cpanelresult":{"apiversion":"2","error":"Access denied","data":{"reason":"Access denied","result":"0"},"type":"text"}}`,
			0, fault.ClassCredentials,
		},
		"refused with status 403":    {403, `{"cpanelresult":{"error":"","data":{"reason":"Access denied","result":"0"}}}`, 0, fault.ClassCredentials},
		"JSON of another form":       {200, `{"hello":"world"}`, 0, fault.ClassTransient},
		"a list":                     {200, `[]`, 0, fault.ClassTransient},
		"an empty body":              {200, ``, 0, fault.ClassTransient},
		"data of another shape":      {200, `{"result":{"status":1,"data":{"a":1}}}`, 0, fault.ClassTransient},
		"an invalid disk size":       {200, `{"result":{"status":1,"data":[` + quota(`"many"`) + `]}}`, 0, fault.ClassUnclassified},
		"redirected":                 {302, ``, 0, fault.ClassConfig},
		"not found":                  {404, `<html>`, 0, fault.ClassConfig},
		"unavailable behind a proxy": {503, `<html>`, 0, fault.ClassTransient},
		"a bad request":              {400, ``, 0, fault.ClassPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.RawQuery != "" {
					t.Errorf("request %s %s, want a POST with all arguments in the body", r.Method, r.URL)
				}
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			got, err := client.Mailbox(t.Context(), "alpha", email)
			if c.class != "" {
				if fault.ClassOf(err) != c.class {
					t.Errorf("class %s, want %s: %v", fault.ClassOf(err), c.class, err)
				}
				return
			}
			noError(t, err)
			if want := (whmapi.Mailbox{Email: email, QuotaBytes: c.quota, UsedBytes: 12, SuspendedLogin: true}); got != want {
				t.Errorf("Mailbox returned %+v, want %+v", got, want)
			}
		})
	}
}

func TestListingThatChangesWhileItIsReadFails(t *testing.T) {
	t.Parallel()
	client := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"result":{"status":1,"data":[{"email":"a@x.example","_diskquota":0,"_diskused":0}],"metadata":{"paginate":{"total_pages":1,"total_results":2}}}}`))
	}))
	var last error
	for _, err := range client.Mailboxes(t.Context(), "x") {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "changed while") {
		t.Errorf("the listing ended with %v, want an error that the list changed", last)
	}
}

func TestUntrustedCertificateAndWrongSchemeAreConfigErrors(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(sim.New(sim.Options{Token: token}))
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(sim.New(sim.Options{Token: token}))
	t.Cleanup(plain.Close)
	for url, hint := range map[string]string{secure.URL: "certificate is not trusted", strings.Replace(plain.URL, "http:", "https:", 1): "does not speak TLS"} {
		client, err := whmapi.New(whmapi.Config{URL: url, User: "root", Token: secret.New(token)})
		noError(t, err)
		if _, err := client.Accounts(t.Context()); fault.ClassOf(err) != fault.ClassConfig || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: class %s, want config: %v", url, fault.ClassOf(err), err)
		}
	}
	config := whmapi.RemoteConfig()
	config.Base = secure.Client().Transport
	r, err := remote.New(config)
	noError(t, err)
	trusting, err := whmapi.New(whmapi.Config{URL: secure.URL, User: "root", Token: secret.New(token), Remote: r})
	noError(t, err)
	_, err = trusting.Accounts(t.Context())
	noError(t, err)
}

func TestUnreachableServerIsATransientError(t *testing.T) {
	t.Parallel()
	stopped := httptest.NewServer(nil)
	stopped.Close()
	client, err := whmapi.New(whmapi.Config{URL: stopped.URL, User: "root", Token: secret.New(token)})
	noError(t, err)
	if err := client.SetQuota(t.Context(), "alpha", email, 1); fault.ClassOf(err) != fault.ClassTransient || !strings.Contains(err.Error(), "check that the server runs") {
		t.Errorf("class %s, want transient: %v", fault.ClassOf(err), err)
	}
}

func TestNewNamesTheSettingToFix(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"whm.example":                  "https://host:2087",
		"ftp://whm.example":            "https://host:2087",
		"http://whm.example:2086":      "in the clear",
		"https://root:x@whm.example":   "contains a user",
		"https://whm.example:2087\x00": "is not the URL",
	} {
		_, err := whmapi.New(whmapi.Config{URL: url, User: "root", Token: secret.New(token)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New for %s returned %v, want an error with %q", url, err, want)
		}
	}
	if _, err := whmapi.New(whmapi.Config{URL: "https://whm.example:2087", User: "root"}); err == nil {
		t.Error("New without a token returned no error")
	}
}
