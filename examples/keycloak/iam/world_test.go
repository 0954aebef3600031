package iam_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

var byAnn = nawasync.Options{By: "user:7"}

// world is a Keycloak, and an engine whose jobs drain runs in virtual time.
type world struct {
	t *testing.T
	*server
	*iam.Module

	h      *enginetest.Harness
	engine *nawasync.Engine
	clock  *nawasynctest.Clock
	realm  string        // the first one
	other  *kcapi.Client // changes the server behind the engine's back

	// refused counts the answers 403, and onRefused, if not nil, is called with each of them.
	refused   atomic.Int64
	onRefused func(n int64)
}

// RoundTrip sends a request of the engine.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusForbidden {
		if n := w.refused.Add(1); w.onRefused != nil {
			w.onRefused(n)
		}
	}
	return answer, err
}

func newWorld(t *testing.T, s *server, db *testdb.Database) *world {
	t.Helper()
	clock := nawasynctest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w := worldAt(t, s, db, clock.Now, -1)
	w.clock = clock
	return w
}

// worldAt returns a world in whose engine now is the time, and a time to settle. Its clock is nil.
func worldAt(t *testing.T, s *server, db *testdb.Database, now func() time.Time, settle time.Duration) *world {
	t.Helper()
	w := &world{t: t, server: s, realm: s.realms[0].Name}
	w.h = enginetest.New(t, db)
	enginetest.ParseTimes(t, w.h)
	w.noError(iam.CreateTables(t.Context(), w.h.DB.DB))
	w.other = s.api(t, remote.Config{}, 0)
	api := s.api(t, remote.Config{Base: w, Now: now}, 0)
	w.engine = w.h.Engine(func(c *nawasync.Config) {
		c.Now, c.Sealer, c.Secrets = now, enginetest.Keyring(t, []byte(strings.Repeat("k", 32))), api.Secrets()
		c.Queues = map[string]nawasync.Queue{iam.Queue: {}, iam.SyncQueue: {}}
	})
	var err error
	w.Module, err = iam.New(w.engine, iam.Config{API: api, Settle: settle})
	w.noError(err)
	return w
}

// inWorld runs a test with each server and SQLite: it shows what the module does with the server.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) { test(newWorld(t, s, testdb.SQLite(t))) })
}

// simulatedWorld runs a test with a simulated Keycloak and each database.
func simulatedWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) { test(newWorld(t, newSimulated(t, sim4), db)) })
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

// run runs all jobs after one was dispatched, and returns it as it ended.
func (w *world) run(job *tracker.Job, err error) *tracker.Job {
	w.t.Helper()
	w.noError(err)
	w.drain()
	ended, err := w.engine.Reader().Get(w.t.Context(), job.ID)
	w.noError(err)
	return ended
}

// sync syncs the users of the realm.
func (w *world) sync() {
	w.t.Helper()
	w.run(w.Users.SyncNow(w.t.Context(), iam.User{Realm: w.realm}, "", byAnn))
}

// want checks how a job has ended.
func (w *world) want(job *tracker.Job, status tracker.Status, text string) {
	w.t.Helper()
	if job.Status != status || !strings.Contains(job.Error+string(job.Result), text) {
		w.t.Errorf("%s %s is %s, want %s with %q: %s %s", job.Action, job.TargetID, job.Status, status, text, job.Error, job.Result)
	}
}

// user returns the row of a user.
func (w *world) user(name string) iam.User {
	w.t.Helper()
	page, err := w.Users.List(w.t.Context(), nawasync.Query{Where: map[string]any{"realm": w.realm, "username": name}})
	w.noError(err)
	if len(page.Items) != 1 {
		w.t.Fatalf("there are %d rows for the user %s, want one", len(page.Items), name)
	}
	return page.Items[0]
}

// states returns how many rows of users there are in each state.
func (w *world) states() map[nawasync.SyncState]int {
	w.t.Helper()
	found := map[nawasync.SyncState]int{}
	for row, err := range w.Users.All(w.t.Context(), nawasync.Query{Where: map[string]any{"realm": w.realm}}) {
		w.noError(err)
		found[row.State]++
	}
	return found
}

// newUser creates a user at the server, complete enough to sign in.
func (w *world) newUser(name string, more map[string]any) (id string) {
	w.t.Helper()
	fields := map[string]any{
		"username": name, "email": name + "@users.example", "firstName": "First", "lastName": "Last", "enabled": true,
		"attributes": map[string][]string{"phone": {"+62 21 555 1234"}},
	}
	maps.Copy(fields, more)
	id, err := w.other.CreateUser(w.t.Context(), w.realm, fields)
	w.noError(err)
	return id
}

// document returns a user as the server has it.
func (w *world) document(id string) (d map[string]any) {
	w.t.Helper()
	_, err := w.other.Remote().Call(w.t.Context(), w.realm, remote.Call{URL: w.url + "/admin/realms/" + w.realm + "/users/" + id}, &d)
	w.noError(err)
	return d
}

// signIn returns "" if the server accepts a user's password, or else why not.
func (w *world) signIn(username, password string) string {
	w.t.Helper()
	answer, err := w.client.PostForm(w.url+"/realms/"+w.realm+"/protocol/openid-connect/token", url.Values{
		"client_id": {"admin-cli"}, "grant_type": {"password"}, "username": {username}, "password": {password},
	})
	w.noError(err)
	defer func() { _ = answer.Body.Close() }()
	var reason struct {
		Text string `json:"error_description"`
	}
	w.noError(json.NewDecoder(answer.Body).Decode(&reason))
	if answer.StatusCode == http.StatusOK {
		return ""
	}
	return reason.Text
}

// nowhere fails if a secret is in a table, in Redis or in the log.
func (w *world) nowhere(secrets ...string) {
	w.t.Helper()
	enginetest.RequireNoSecret(w.t, "the database and Redis", enginetest.DumpDatabase(w.t, w.h), secrets...)
	enginetest.RequireNoSecret(w.t, "the log", w.h.Log.String(), secrets...)
}
