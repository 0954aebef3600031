package dns_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

var byAnn = nawasync.Options{By: "user:7"}

// world is a simulated Cloudflare with two tokens, each for one account, and an engine whose jobs drain runs in virtual time.
type world struct {
	t      *testing.T
	server *sim.Server
	engine *nawasync.Engine
	clock  *nawasynctest.Clock
	*dns.Module

	// refused counts the answers 401 and 403, and onRefused, if not nil, is called with each of them.
	refused   atomic.Int64
	onRefused func(n int64)
}

// RoundTrip hands a request to the simulated server.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.server.Transport().RoundTrip(r)
	if err == nil && (response.StatusCode == http.StatusForbidden || response.StatusCode == http.StatusUnauthorized) {
		if n := w.refused.Add(1); w.onRefused != nil {
			w.onRefused(n)
		}
	}
	return response, err
}

// newWorld returns a world whose first zone, alpha.example, has a number of records. Lists have pages of 1,000 records.
func newWorld(t *testing.T, db *testdb.Database, records int) *world {
	t.Helper()
	return newWorldLimited(t, db, records, cfapi.Calls)
}

// newWorldLimited is newWorld with another limit of calls in cfapi.Window.
func newWorldLimited(t *testing.T, db *testdb.Database, records, limit int) *world {
	t.Helper()
	h := enginetest.New(t, db)
	enginetest.ParseTimes(t, h)
	enginetest.NoError(t, dns.CreateTables(t.Context(), h.DB.DB))
	w := &world{t: t, clock: nawasynctest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	w.server = sim.New(sim.Options{
		Accounts: []sim.Account{
			{Name: "main", Token: "token-of-main", Zones: []string{"alpha.example", "bravo.example", "carol.example"}},
			{Name: "shop", Token: "token-of-shop", Zones: []string{"shop.example"}},
		},
		Records: records, Now: w.clock.Now, Limit: limit,
	})
	service, err := cfapi.NewRemote(remote.Config{
		Base: w, Now: w.clock.Now, Budgets: []remote.Budget{{Calls: limit, Window: cfapi.Window}}, MaxWait: time.Nanosecond, // time is virtual
	})
	enginetest.NoError(t, err)
	tokens := dns.Tokens{}
	for _, name := range []string{"main", "shop"} {
		client, err := cfapi.New(cfapi.Config{
			URL: "http://localhost/client/v4", Token: secret.New("token-of-" + name), Remote: service, Scope: name, PageSize: 1000,
		})
		enginetest.NoError(t, err)
		tokens[name] = client
	}
	w.engine = h.Engine(func(c *nawasync.Config) {
		c.Now, c.Sealer = w.clock.Now, enginetest.Keyring(t, []byte(strings.Repeat("k", 32)))
		c.Queues, c.Remotes = map[string]nawasync.Queue{dns.Queue: {}, dns.SyncQueue: {}}, []*remote.Remote{service}
	})
	w.Module, err = dns.New(w.engine, dns.Config{Tokens: tokens, Settle: -1})
	enginetest.NoError(t, err)
	return w
}

// onEveryDatabase runs a test in a world of each database.
func onEveryDatabase(t *testing.T, records int, test func(w *world)) {
	t.Helper()
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) { test(newWorld(t, db, records)) })
}

// onSQLite runs a test that shows what the module does and not what the database does.
func onSQLite(t *testing.T, records int, test func(w *world)) {
	t.Helper()
	t.Parallel()
	test(newWorld(t, testdb.SQLite(t), records))
}

func (w *world) noError(err error) {
	w.t.Helper()
	enginetest.NoError(w.t, err)
}

// drain runs all jobs, and lets an hour pass.
func (w *world) drain() {
	w.t.Helper()
	w.noError(nawasynctest.Drain(w.t.Context(), w.engine, w.clock))
	w.clock.Advance(time.Hour)
}

// syncAll syncs all accounts, zones and records.
func (w *world) syncAll() {
	w.t.Helper()
	w.noError(w.SyncAll(w.t.Context(), []string{"main", "shop"}, byAnn))
	w.drain()
}

// scope returns the scope of a zone's records.
func (w *world) scope(zone string) dns.Record {
	token := "main"
	if zone == "shop.example" {
		token = "shop"
	}
	return dns.Record{Token: token, Account: w.server.AccountID(token), Zone: w.server.ZoneID(zone)}
}

// sync syncs the records of alpha.example, and returns the job as it ended.
func (w *world) sync() *tracker.Job {
	w.t.Helper()
	job, err := w.Records.SyncNow(w.t.Context(), w.scope("alpha.example"), "", byAnn)
	w.noError(err)
	w.drain()
	return w.job(job)
}

func (w *world) job(job *tracker.Job) *tracker.Job {
	w.t.Helper()
	ended, err := w.engine.Reader().Get(w.t.Context(), job.ID)
	w.noError(err)
	return ended
}

// rows returns the rows of a zone by name and content.
func (w *world) rows(zone string, states ...nawasync.SyncState) map[string]dns.Record {
	w.t.Helper()
	return w.rowsOf(w.scope(zone), states...)
}

func (w *world) rowsOf(scope dns.Record, states ...nawasync.SyncState) map[string]dns.Record {
	w.t.Helper()
	found := map[string]dns.Record{}
	where := map[string]any{"token": scope.Token, "account": scope.Account, "zone": scope.Zone}
	for row, err := range w.Records.All(w.t.Context(), nawasync.Query{Where: where, States: states}) {
		w.noError(err)
		found[row.Name+" "+row.Content] = row
	}
	return found
}

// remote returns the records of alpha.example at Cloudflare by name and content, and fails if one is there twice.
func (w *world) remote() map[string]sim.Record {
	w.t.Helper()
	found := map[string]sim.Record{}
	for _, r := range w.server.Records("alpha.example") {
		if _, twice := found[r.Name+" "+r.Content]; twice {
			w.t.Errorf("the record %s %s is there twice", r.Name, r.Content)
		}
		found[r.Name+" "+r.Content] = r
	}
	return found
}

// want checks how a job has ended.
func (w *world) want(job *tracker.Job, status tracker.Status, text string) {
	w.t.Helper()
	ended := w.job(job)
	if ended.Status != status || !strings.Contains(ended.Error+string(ended.Result), text) {
		w.t.Errorf("%s %s is %s, want %s with %q: %s %s", ended.Action, ended.TargetID, ended.Status, status, text, ended.Error, ended.Result)
	}
}
