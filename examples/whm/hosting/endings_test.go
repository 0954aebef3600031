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

// whmActions are the jobs of the WHM module that change something, each on an object
// of its own.
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

func TestEveryEndingOfEveryWHMJobTakesTheRowOutOfItsPendingState(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		enginetest.ParseTimes(t, h)
		enginetest.NoError(t, hosting.CreateTables(t.Context(), h.DB.DB))
		server := sim.New(sim.Options{Token: "token", Mailboxes: 4})
		listener := httptest.NewServer(server)
		t.Cleanup(listener.Close)
		client, err := whmapi.New(whmapi.Config{URL: listener.URL, User: "root", Token: nawasync.NewSecret("token")})
		enginetest.NoError(t, err)
		tuning := host.Tuning{DeadAfter: 2 * time.Second, Beat: 200 * time.Millisecond, Prune: 200 * time.Millisecond}
		open := func() (*nawasync.Engine, *hosting.Module) {
			e := h.Tuned(tuning, func(c *nawasync.Config) {
				c.Sealer = enginetest.Keyring(t, sealingKey)
				c.Queues = map[string]nawasync.Queue{hosting.Queue: {}, hosting.SyncQueue: {}}
			})
			m, err := hosting.New(e, hosting.Servers{"main": client})
			enginetest.NoError(t, err)
			return e, m
		}
		endings := enginetest.CompletionsWithoutHandler()
		endings["success"] = nil
		endings["refused"] = func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET max_attempts = 1 WHERE id = ?", job.ID).Error
		}
		// The objects, some of them suspended: as the server has them, then as rows.
		first, module := open()
		actions := slices.Sorted(maps.Keys(whmActions(t, module)))
		name := func(ending, action string) string {
			return fmt.Sprintf("e%da%d", slices.Index(slices.Sorted(maps.Keys(endings)), ending), slices.Index(actions, action))
		}
		for ending := range endings {
			for _, action := range actions {
				object, suspended := name(ending, action), action == "account unsuspend" || action == "mailbox unsuspend"
				switch {
				case action == "account create" || action == "mailbox create":
				case action[:7] == "account":
					enginetest.NoError(t, client.CreateAccount(t.Context(), whmapi.Account{User: object, Domain: object + ".example", Plan: "basic"},
						nawasync.NewSecret("old password")))
					enginetest.NoError(t, server.EditAccount(object, sim.AccountState{Suspended: &suspended}))
				default:
					enginetest.NoError(t, server.Edit(object+"@alpha.example", sim.State{QuotaMB: new(int64(5)), SuspendedLogin: &suspended, SuspendedIncoming: &suspended}))
				}
			}
		}
		h.Start(first)
		accounts, err := module.Accounts.SyncNow(t.Context(), hosting.WhmAccount{Instance: "main"}, "", byAnn)
		enginetest.NoError(t, err)
		mailboxes, err := module.Emails.SyncNow(t.Context(), hosting.WhmEmailAccount{Instance: "main"}, hosting.WithDisk, byAnn)
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, first, accounts.ID, tracker.StatusSuccess)
		enginetest.WaitStatus(t, first, mailboxes.ID, tracker.StatusSuccess)
		enginetest.NoError(t, first.Stop(t.Context()))
		for ending, before := range endings {
			t.Run(ending, func(t *testing.T) {
				e, module := open()
				jobs := map[string]*tracker.Job{}
				for action, dispatch := range whmActions(t, module) {
					job, err := dispatch(name(ending, action))
					enginetest.NoError(t, err)
					jobs[action] = job
					if before != nil {
						enginetest.NoError(t, before(e, db, job))
					}
				}
				server.Clear()
				if ending == "refused" {
					enginetest.NoError(t, server.Inject(sim.Fault{Mode: sim.ModeRefuse}))
				}
				h.Start(e)
				defer func() { enginetest.NoError(t, e.Stop(context.Background())) }()
				for action, job := range jobs {
					ended := endedJob(t, e, job)
					if ending == "success" && ended.Status != tracker.StatusSuccess {
						t.Errorf("%s: the job is %s: %s", action, ended.Status, ended.Error)
					}
					state, gone := whmState(t, module, action, name(ending, action))
					wantGone := map[string]bool{"create": ending == "cancelled while queued", "terminate": ending == "success", "delete": ending == "success"}[action[8:]]
					if gone != wantGone || state.Pending() {
						t.Errorf("%s: the row is %q, gone %t; the job is %s: %s", action, state, gone, ended.Status, ended.Error)
					}
				}
			})
		}
	})
}

func endedJob(t *testing.T, e *nawasync.Engine, job *tracker.Job) *tracker.Job {
	t.Helper()
	now := job
	enginetest.Eventually(t, 60*time.Second, "an ended job", func() bool {
		var err error
		now, err = e.Reader().Get(t.Context(), job.ID)
		return err == nil && now.Status.Terminal()
	})
	return now
}

func whmState(t *testing.T, m *hosting.Module, action, name string) (state nawasync.SyncState, gone bool) {
	t.Helper()
	if action[:7] == "account" {
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
