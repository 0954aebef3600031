package nawasynctest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/remote"
)

// shelfSuite tests a shelfRemote with a fault.
func shelfSuite(mistake string) RemoteSuite[book] {
	suite := RemoteSuite[book]{
		Open: func(_ testing.TB, transport *RemoteTransport) (mirror.Config[book], RemoteServer[book]) {
			server := newShelfServer()
			transport.Base = directTransport{server}
			config := mirror.Config[book]{
				Remote: &shelfRemote{client: &http.Client{Transport: transport}, fault: mistake}, Settle: -1, NormaliseVersion: 1,
				Normalise: func(b *book) {
					b.Title = strings.ToLower(b.Title)
					if mistake == "normalises twice" {
						b.Title += "."
					}
				},
			}
			if mistake == "logs bodies" {
				config.Remote.(*shelfRemote).client.Transport = loggedTransport{transport}
			}
			return config, server.behind()
		},
		Scope: book{Shelf: "fiction"}, OtherScope: book{Shelf: "travel"}, GoneScope: book{Shelf: "removed"},
		Object: func(n int) book {
			return book{Shelf: "fiction", Title: fmt.Sprintf("Volume %d", n), Note: "new", Copies: 2, Pin: nawasync.NewSecret(fmt.Sprintf(`pin "%d" & more`, n))}
		},
		Changes: []func(*book, int){
			func(b *book, n int) { b.Copies = n - 1 }, // 0 at first
			func(b *book, n int) { b.Note = fmt.Sprintf("note %d", n) },
		},
		PageSize: shelfPageSize, Secrets: []nawasync.Secret{nawasync.NewSecret(shelfToken)},
	}
	if mistake == "background context" { // the calls do not return
		suite.cancelLimit = 50 * time.Millisecond
	}
	return suite
}

// loggedTransport logs the requests, as a client does whose debugging was left on.
type loggedTransport struct{ transport *RemoteTransport }

func (l loggedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	l.transport.Logger().Debug("send a request", "url", req.URL.String(), "authorization", req.Header.Get("Authorization"))
	return l.transport.RoundTrip(req)
}

func TestAdapterWithoutFaultsPassesTheSuite(t *testing.T) {
	t.Parallel()
	for name, r := range record(t, shelfSuite("")) {
		if r.failed || r.skipped && !slices.Contains([]string{"Poll", "PollFails", "LimitScope"}, name) {
			t.Errorf("%s: failed %t, skipped %t: %s", name, r.failed, r.skipped, r.text())
		}
	}
}

// The client of package remote repeats reads, and waits after errors. The suite opens a new one after each fault.
func TestAdapterOnPackageRemotePassesTheSuite(t *testing.T) {
	t.Parallel()
	suite := shelfSuite("")
	open := suite.Open
	suite.Open = func(t testing.TB, transport *RemoteTransport) (mirror.Config[book], RemoteServer[book]) {
		config, server := open(t, transport)
		service, err := remote.New(remote.Config{Service: "shelf", Base: transport, Secrets: suite.Secrets})
		requireNoError(t, err)
		config.Remote.(*shelfRemote).client = service.Client("")
		return config, server
	}
	TestRemote(t, suite)
}

// adapterFaults are the faults of shelfRemote, each with the subtests that fail and what the first of them says.
var adapterFaults = map[string]struct {
	fails []string
	says  string
}{
	// reads
	"gone is permanent":              {[]string{"GetGone"}, `the class "permanent", want "gone"`},
	"cached Get":                     {[]string{"GetFresh"}, "cache nothing"},
	"listing without notes":          {[]string{"ListEqualsGet"}, "Page.Fields"},
	"scope ignored":                  {[]string{"ListScope", "ScopeExists"}, "List of another scope yields"},
	"goes on":                        {[]string{"ListStops"}, "as soon as yield returns false"},
	"normalises twice":               {[]string{"Normalise", "CreateExisting", "LostAnswer", "UpdateTouchedOnly"}, "must stay as it is"},
	"gone scope is empty":            {[]string{"ScopeExists", "ListFails"}, "a scope that does not exist yields a complete listing of 0 objects"},
	"no scope on errors":             {[]string{"ScopeExists", "ServerError"}, "although the server answered with status 500"},
	"first page only":                {[]string{"Paging"}, "leaves out 4 of 7 objects"},
	"wrong total":                    {[]string{"Paging"}, "ProofCounted with a total of 8, and yields 7 objects"},
	"no proof":                       {[]string{"Paging"}, "set Page.Proof of the last page"},
	"repeats the page of the cursor": {[]string{"Resume"}, "go on after the page with the cursor"},
	"stops at a failing page":        {[]string{"ListFails"}, "claims to be complete"},
	"accepts HTML":                   {[]string{"ListFails"}, "an HTML page with status 200"},
	"feed without deletions":         {[]string{"Changes"}, "which another client has deleted"},
	"feed hides errors":              {[]string{"Changes"}, "Changes ended without an error"},
	// writes
	"created without key":      {[]string{"Create"}, "returned an object without a key"},
	"overwrites":               {[]string{"CreateExisting"}, "fault.ClassAlreadyExists"},
	"409 is permanent":         {[]string{"CreateExisting"}, `the class "permanent", want "already_exists"`},
	"drops zero":               {[]string{"Update", "LostAnswer"}, "copies is 2, want 0"},
	"refuses secrets":          {[]string{"UpdateSecret"}, "write the secrets that are touched"},
	"whole document":           {[]string{"UpdateTouchedOnly"}, "send the touched fields only (PATCH)"},
	"no If-Match":              {[]string{"UpdateVersion"}, "for example as If-Match"},
	"gone update is permanent": {[]string{"UpdateGone"}, `want "gone"`},
	"deletes too much":         {[]string{"Delete"}, "and no other"},
	"gone deletion succeeds":   {[]string{"DeleteGone"}, "return an error of fault.ClassGone"},
	// failures
	"repeats writes":              {[]string{"LostAnswer"}, "Create sent 2 writes"},
	"lost is transient":           {[]string{"LostAnswer"}, `the class "transient"`},
	"unsent is unknown":           {[]string{"NotSent"}, "fault.ClassTransient for a request that was not sent"},
	"500 is permanent":            {[]string{"ServerError"}, `the class "permanent" for status 500`},
	"401 is permanent":            {[]string{"Credentials"}, "fault.ClassCredentials"},
	"credentials unchecked":       {[]string{"Credentials"}, "CheckCredentials returned no error"},
	"403 is credentials":          {[]string{"Forbidden"}, "fault.ClassForbidden"},
	"429 is transient":            {[]string{"RateLimit"}, "fault.ClassRateLimited"},
	"Retry-After in seconds only": {[]string{"RateLimit"}, "as date"},
	"body in errors":              {[]string{"Masking"}, "leave bodies, headers and URLs out of errors"},
	"token in URL":                {[]string{"Masking"}, "servers and proxies log URLs"},
	"logs bodies":                 {[]string{"Masking"}, "log neither headers nor bodies"},
	"secret in the row":           {[]string{"Masking", "Create", "Concurrency"}, "fields that are stored"},
	"background context":          {[]string{"Cancelled", "CancelledMidway"}, "pass the context of the call to every request"},
	"other context":               {[]string{"CancelledMidway", "Cancelled"}, "another process may run the job by now"},
	"shared state":                {[]string{"Concurrency"}, "safe for concurrent use"},
}

func TestEachFaultOfAnAdapterFailsItsSubtestWithWhatToDo(t *testing.T) {
	t.Parallel()
	for _, mistake := range slices.Sorted(maps.Keys(adapterFaults)) {
		want := adapterFaults[mistake]
		t.Run(mistake, func(t *testing.T) {
			t.Parallel()
			results := record(t, shelfSuite(mistake))
			failed := failedChecks(results)
			if !slices.Equal(failed, slices.Sorted(slices.Values(want.fails))) {
				t.Errorf("the subtests %v failed, want %v", failed, want.fails)
				for _, name := range failed {
					t.Logf("%s: %s", name, results[name].text())
				}
				return
			}
			if text := results[want.fails[0]].text(); !strings.Contains(text, want.says) || !strings.Contains(text, "To fix: ") {
				t.Errorf("%s says %q, which does not contain %q and what to do", want.fails[0], text, want.says)
			}
		})
	}
}
