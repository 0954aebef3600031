package hosting_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// whmActions returns, for each action that changes something, a function that dispatches its job for
// the object with the given name.
func whmActions(t *testing.T, m *hosting.Module) map[string]func(name string) (*tracker.Job, error) {
	account := func(name string) hosting.WhmAccount {
		row, err := m.Accounts.FindKey(t.Context(), hosting.WhmAccount{Instance: "main", Username: name})
		enginetest.NoError(t, err)
		return row
	}
	mailbox := func(name string) hosting.WhmEmailAccount {
		row, err := m.Emails.FindKey(t.Context(), hosting.WhmEmailAccount{Instance: "main", Email: name + "@alpha.example"})
		enginetest.NoError(t, err)
		return row
	}
	password := nawasync.NewSecret("correct horse")
	updateAccount := func(action string, change func(*hosting.WhmAccount)) func(string) (*tracker.Job, error) {
		return func(name string) (*tracker.Job, error) {
			return m.Accounts.Update(t.Context(), account(name), change, nawasync.Options{By: "user:7", Action: action})
		}
	}
	updateMailbox := func(action string, change func(*hosting.WhmEmailAccount)) func(string) (*tracker.Job, error) {
		return func(name string) (*tracker.Job, error) {
			return m.Emails.Update(t.Context(), mailbox(name), change, nawasync.Options{By: "user:7", Action: action})
		}
	}
	return map[string]func(name string) (*tracker.Job, error){
		"account create": func(name string) (*tracker.Job, error) {
			account := hosting.WhmAccount{Instance: "main", Username: name, Domain: name + ".example", Plan: "basic", Password: password}
			return m.Accounts.Create(t.Context(), account, byAnn)
		},
		"account update_package":  updateAccount("update_package", func(a *hosting.WhmAccount) { a.Plan = "business" }),
		"account update_password": updateAccount("update_password", func(a *hosting.WhmAccount) { a.Password = password }),
		"account suspend":         updateAccount("suspend", func(a *hosting.WhmAccount) { a.Suspended, a.SuspendReason = true, "unpaid" }),
		"account unsuspend":       updateAccount("unsuspend", func(a *hosting.WhmAccount) { a.Suspended, a.SuspendReason = false, "" }),
		"account terminate": func(name string) (*tracker.Job, error) {
			return m.Accounts.Delete(t.Context(), account(name), byAnn)
		},
		"mailbox create": func(name string) (*tracker.Job, error) {
			return m.Emails.Create(t.Context(), hosting.WhmEmailAccount{
				Instance: "main", Email: name + "@alpha.example", Account: "alpha", Quota: new(int64(1 << 20)),
				Password: password,
			}, byAnn)
		},
		"mailbox update_quota":    updateMailbox("update_quota", func(m *hosting.WhmEmailAccount) { m.Quota = new(int64(7 << 20)) }),
		"mailbox update_password": updateMailbox("update_password", func(m *hosting.WhmEmailAccount) { m.Password = password }),
		"mailbox suspend":         updateMailbox("suspend", func(m *hosting.WhmEmailAccount) { m.SuspendedLogin, m.SuspendedIncoming = true, true }),
		"mailbox unsuspend":       updateMailbox("unsuspend", func(m *hosting.WhmEmailAccount) { m.SuspendedLogin, m.SuspendedIncoming = false, false }),
		"mailbox delete": func(name string) (*tracker.Job, error) {
			return m.Emails.Delete(t.Context(), mailbox(name), byAnn)
		},
	}
}

var (
	sealingKey = []byte(strings.Repeat("k", 32))
	byAnn      = nawasync.Options{By: "user:7"}
)

// outcomesTest has the engine, the simulated server and the names of the test's objects.
type outcomesTest struct {
	h        *enginetest.Harness
	db       *testdb.Database
	server   *sim.Server
	client   *whmapi.Client
	outcomes map[string]func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error
	actions  []string
}

func TestEveryOutcomeOfEveryWHMJobClearsThePendingState(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		o := newOutcomesTest(t, db)
		e, module := o.open(t)
		o.actions = slices.Sorted(maps.Keys(whmActions(t, module)))
		o.createObjects(t)
		o.loadRows(t, e, module)
		for outcome, prepare := range o.outcomes {
			t.Run(outcome, func(t *testing.T) { o.check(t, outcome, prepare) })
		}
	})
}

func newOutcomesTest(t *testing.T, db *testdb.Database) *outcomesTest {
	t.Helper()
	h := enginetest.New(t, db)
	enginetest.ParseTimes(t, h)
	enginetest.NoError(t, hosting.CreateTables(t.Context(), h.DB.DB))
	server := sim.New(sim.Options{Token: "token", Mailboxes: 4})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	client, err := whmapi.New(whmapi.Config{URL: listener.URL, User: "root", Token: nawasync.NewSecret("token")})
	enginetest.NoError(t, err)
	outcomes := enginetest.CompletionsWithoutHandler()
	outcomes["success"] = nil
	outcomes["refused"] = func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
		return db.Exec("UPDATE nawasync_jobs SET max_attempts = 1 WHERE id = ?", job.ID).Error
	}
	return &outcomesTest{h: h, db: db, server: server, client: client, outcomes: outcomes}
}

// open creates an engine that is not started yet.
func (o *outcomesTest) open(t *testing.T) (*nawasync.Engine, *hosting.Module) {
	t.Helper()
	tuning := host.Tuning{DeadAfter: 2 * time.Second, Beat: 200 * time.Millisecond, Prune: 200 * time.Millisecond}
	e := o.h.Tuned(tuning, func(c *nawasync.Config) {
		c.Sealer = enginetest.Keyring(t, sealingKey)
		c.Queues = map[string]nawasync.Queue{hosting.Queue: {}, hosting.SyncQueue: {}}
	})
	m, err := hosting.New(e, hosting.Servers{"main": o.client})
	enginetest.NoError(t, err)
	return e, m
}

// objectName returns the name of the account or mailbox that an action changes for an outcome.
func (o *outcomesTest) objectName(outcome, action string) string {
	return fmt.Sprintf("e%da%d", slices.Index(slices.Sorted(maps.Keys(o.outcomes)), outcome), slices.Index(o.actions, action))
}

// createObjects creates an object on the server for each outcome and action. The objects of the
// action unsuspend are suspended. The action create needs no object.
func (o *outcomesTest) createObjects(t *testing.T) {
	t.Helper()
	for outcome := range o.outcomes {
		for _, action := range o.actions {
			name, suspended := o.objectName(outcome, action), action == "account unsuspend" || action == "mailbox unsuspend"
			switch {
			case action == "account create" || action == "mailbox create":
			case strings.HasPrefix(action, "account "):
				enginetest.NoError(t, o.client.CreateAccount(t.Context(), whmapi.Account{User: name, Domain: name + ".example", Plan: "basic"},
					nawasync.NewSecret("old password")))
				enginetest.NoError(t, o.server.EditAccount(name, sim.AccountState{Suspended: &suspended}))
			default:
				enginetest.NoError(t, o.server.Edit(name+"@alpha.example",
					sim.State{QuotaMB: new(int64(5)), SuspendedLogin: &suspended, SuspendedIncoming: &suspended}))
			}
		}
	}
}

// loadRows syncs the objects into rows and stops the engine.
func (o *outcomesTest) loadRows(t *testing.T, e *nawasync.Engine, m *hosting.Module) {
	t.Helper()
	o.h.Start(e)
	accounts, err := m.Accounts.SyncNow(t.Context(), hosting.WhmAccount{Instance: "main"}, "", byAnn)
	enginetest.NoError(t, err)
	mailboxes, err := m.Emails.SyncNow(t.Context(), hosting.WhmEmailAccount{Instance: "main"}, hosting.WithDisk, byAnn)
	enginetest.NoError(t, err)
	enginetest.WaitStatus(t, e, accounts.ID, tracker.StatusSuccess)
	enginetest.WaitStatus(t, e, mailboxes.ID, tracker.StatusSuccess)
	enginetest.NoError(t, e.Stop(t.Context()))
}

// check dispatches a job of each action, brings the jobs to the outcome, and compares their rows.
// prepare runs while a job is queued; it may be nil.
func (o *outcomesTest) check(t *testing.T, outcome string, prepare func(*nawasync.Engine, *testdb.Database, *tracker.Job) error) {
	e, module := o.open(t)
	jobs := map[string]*tracker.Job{}
	for action, dispatch := range whmActions(t, module) {
		job, err := dispatch(o.objectName(outcome, action))
		enginetest.NoError(t, err)
		jobs[action] = job
		if prepare != nil {
			enginetest.NoError(t, prepare(e, o.db, job))
		}
	}
	o.server.Clear()
	if outcome == "refused" {
		enginetest.NoError(t, o.server.Inject(sim.Fault{Mode: sim.ModeRefuse}))
	}
	o.h.Start(e)
	defer func() { enginetest.NoError(t, e.Stop(context.Background())) }()
	for action, job := range jobs {
		ended := waitEnded(t, e, job)
		if outcome == "success" && ended.Status != tracker.StatusSuccess {
			t.Errorf("%s: the job is %s, want success: %s", action, ended.Status, ended.Error)
		}
		state, deleted := rowState(t, module, action, o.objectName(outcome, action))
		_, verb, _ := strings.Cut(action, " ")
		wantDeleted := map[string]bool{
			"create": outcome == "cancelled while queued", "terminate": outcome == "success", "delete": outcome == "success",
		}[verb]
		if deleted != wantDeleted || state.Pending() {
			t.Errorf("%s: the row is %q, deleted %t, want it not pending and deleted %t; the job is %s: %s",
				action, state, deleted, wantDeleted, ended.Status, ended.Error)
		}
	}
}

// waitEnded waits up to 60 seconds until the job has ended.
func waitEnded(t *testing.T, e *nawasync.Engine, job *tracker.Job) *tracker.Job {
	t.Helper()
	current := job
	enginetest.Eventually(t, 60*time.Second, "an ended job", func() bool {
		var err error
		current, err = e.Reader().Get(t.Context(), job.ID)
		return err == nil && current.Status.Terminal()
	})
	return current
}

// rowState returns the sync state of the row that an action changed, and whether the row is deleted.
func rowState(t *testing.T, m *hosting.Module, action, name string) (state nawasync.SyncState, deleted bool) {
	t.Helper()
	if strings.HasPrefix(action, "account ") {
		row, err := m.Accounts.FindKey(t.Context(), hosting.WhmAccount{Instance: "main", Username: name})
		if errors.Is(err, nawasync.ErrNotFound) {
			return "", true
		}
		enginetest.NoError(t, err)
		return row.State, false
	}
	row, err := m.Emails.FindKey(t.Context(), hosting.WhmEmailAccount{Instance: "main", Email: name + "@alpha.example"})
	if errors.Is(err, nawasync.ErrNotFound) {
		return "", true
	}
	enginetest.NoError(t, err)
	return row.State, false
}
