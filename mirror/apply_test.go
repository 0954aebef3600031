package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

func TestEveryOutcomeMovesTheRowOutOfItsPendingState(t *testing.T) {
	t.Parallel()
	external := enginetest.CompletionsWithoutHandler()
	outcomes := map[string]struct {
		prepare func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error // runs before the worker starts
		before  func(call, name string) error                                         // runs before each call to the remote
		want    []nawasync.SyncState                                                  // of the created, updated and deleted row; "" means no row
	}{
		"success":   {want: []nawasync.SyncState{nawasync.StateSynced, nawasync.StateSynced, ""}},
		"permanent": {before: func(string, string) error { return nawasync.Permanent(enginetest.ErrBoom) }, want: allRowsEndAs(nawasync.StateFailed)},
		"a panic": {prepare: func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET max_attempts = 1 WHERE id = ?", job.ID).Error
		}, before: func(string, string) error { panic("boom") }, want: allRowsEndAs(nawasync.StateFailed)},
		"a skip": {
			before: func(string, string) error { return nawasync.Skip("not today") },
			want:   []nawasync.SyncState{"", nawasync.StateSynced, nawasync.StateSynced},
		},
		"undecodable": {prepare: external["undecodable"], want: allRowsEndAs(nawasync.StateFailed)},
		"expired":     {prepare: external["expired"], want: allRowsEndAs(nawasync.StateFailed)},
		"cancelled while queued": {
			prepare: external["cancelled while queued"],
			want:    []nawasync.SyncState{"", nawasync.StateSynced, nawasync.StateSynced},
		},
		"its process died for the last time": {prepare: external["its process died for the last time"], want: allRowsEndAs(nawasync.StateFailed)},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		first := &shop{Harness: h, remote: newGadgetRemote()} // fills the table before the first case
		first.openEngine(t)
		h.Start(first.engine)
		var list []gadget
		for name := range outcomes {
			for _, action := range []string{"update", "delete"} {
				list = append(list, gadget{Instance: "one", Name: name + "/" + action, Plan: "basic"})
			}
		}
		first.remote.Put(list...)
		first.waitStatus(t, first.sync(t), tracker.StatusSuccess)
		enginetest.NoError(t, first.engine.Stop(t.Context()))
		for outcome, test := range outcomes {
			t.Run(outcome, func(t *testing.T) {
				s := &shop{Harness: h, remote: first.remote}
				s.engine = h.Tuned(host.Tuning{DeadAfter: 2 * time.Second, Beat: 200 * time.Millisecond, Prune: 200 * time.Millisecond},
					func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, shopKey) })
				var err error
				s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "gadget", Remote: s.remote, Timeout: 5 * time.Second})
				enginetest.NoError(t, err)
				created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: outcome + "/create", Plan: "basic"}, byUser)
				enginetest.NoError(t, err)
				updated := s.update(t, s.row(t, outcome+"/update"), setPlan("gold"))
				deleted, err := s.repo.Delete(t.Context(), s.row(t, outcome+"/delete"), byUser)
				enginetest.NoError(t, err)
				jobs := []*tracker.Job{created, updated, deleted}
				for _, job := range jobs {
					if test.prepare != nil {
						enginetest.NoError(t, test.prepare(s.engine, db, job))
					}
				}
				s.remote.beforeCall(func(call, name string) error {
					if test.before == nil {
						return nil
					}
					return test.before(call, name)
				})
				h.Start(s.engine)
				defer func() { enginetest.NoError(t, s.engine.Stop(context.Background())) }()
				for i, job := range jobs {
					ended := s.waitEnd(t, job)
					name := outcome + "/" + []string{"create", "update", "delete"}[i]
					row, found := s.rows(t)[name] // a failed creation gives up its name, so FindKey does not find its row
					if found != (test.want[i] != "") || row.State != test.want[i] {
						t.Errorf("%s: row state = %q, want %q; the job is %s: %s", name, row.State, test.want[i], ended.Status, ended.Error)
					}
				}
			})
		}
	})
}

// A job that is cancelled during a write may have changed the remote object. Its row is marked
// failed, and a refresh job reads the object again.
func TestCancelDuringAWriteMarksTheRowFailedAndRefreshesIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 1)
		entered := make(chan struct{})
		release := make(chan struct{})
		s.remote.afterCall(func(call, _ string) error {
			if call != "update" {
				return nil
			}
			close(entered)
			<-release
			return fault.WithClass(fault.ClassUnknownOutcome, errors.New("the response was lost"))
		})
		job := s.update(t, s.row(t, "g0000"), setQuota(7))
		<-entered
		web := s.Engine(func(c *nawasync.Config) { c.Redis = nil }) // stands for another process without handlers
		_, err := web.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.NoError(t, err)
		enginetest.Eventually(t, 10*time.Second, "the stored cancellation", func() bool {
			current, err := s.engine.Reader().Get(t.Context(), job.ID)
			return err == nil && current.CancelBy != ""
		})
		time.Sleep(2100 * time.Millisecond) // long enough for the worker to end the context of the job
		close(release)
		s.waitStatus(t, job, tracker.StatusCancelled)
		enginetest.Eventually(t, 20*time.Second, "a refreshed row", func() bool {
			row := s.row(t, "g0000")
			return row.State == nawasync.StateSynced && *row.QuotaMB == 7
		})
	})
}

func TestJobsOfADroppedTableCanBeCancelled(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newIdleShop(t, enginetest.New(t, db))
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, byUser)
		enginetest.NoError(t, err)
		enginetest.NoError(t, s.DB.Exec("DROP TABLE gadgets").Error)
		cancelled, err := s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
		if err != nil || cancelled.Status != tracker.StatusCancelled {
			t.Errorf("Cancel = %+v, %v, want a cancelled job", cancelled, err)
		}
	})
}

// The process is killed after the remote has executed the call and before the job's outcome is
// committed.
func TestKillBetweenTheRemoteResponseAndTheCommitReachesTheSameState(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		createGadgets(t, h)
		for _, call := range []string{"create", "update", "delete"} {
			t.Run(call, func(t *testing.T) {
				s := &shop{Harness: h, remote: newGadgetRemote()}
				s.engine = h.Tuned(host.Tuning{DeadAfter: 3 * time.Second}, func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, shopKey) })
				var err error
				s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "gadget", Remote: s.remote})
				enginetest.NoError(t, err)
				name := "killed in " + call
				var job *tracker.Job
				if call == "create" {
					job, err = s.repo.Create(t.Context(), gadget{Instance: "one", Name: name, QuotaMB: new(5), Password: nawasync.NewSecret("ours")}, byUser)
				} else {
					s.remote.Put(gadget{Instance: "one", Name: name, QuotaMB: new(1), Password: nawasync.NewSecret("old")})
					enginetest.NoError(t, h.DB.Exec("INSERT INTO gadgets (instance, name, quota_mb, plan, tags, sync_status, last_synced_at, used, identity, fetched_columns) VALUES ('one', ?, 1, '', '[]', 'synced', 1, 0, ?, 'plan,quota_mb,tags')", name, gadgetIdentity(name)).Error)
					seen := s.row(t, name)
					if call == "update" {
						job, err = s.repo.Update(t.Context(), seen, setQuota(5), byUser)
					} else {
						job, err = s.repo.Delete(t.Context(), seen, byUser)
					}
				}
				enginetest.NoError(t, err)
				victim := enginetest.StartChild(t, h, "shop@"+call+"@"+serveRemote(t, s.remote))
				victim.WaitExit(t)
				if s.remote.Calls(nawasynctest.Call(call)) != 1 {
					t.Fatalf("the killed process called %s %d times, want once", call, s.remote.Calls(nawasynctest.Call(call)))
				}
				h.Start(s.engine)
				done := s.waitStatus(t, job, tracker.StatusSuccess)
				if done.Attempt != 2 || s.remote.Calls(nawasynctest.Call(call)) != 1 {
					t.Errorf("the job ended in attempt %d, want 2; %s was called %d times, want once", done.Attempt, call, s.remote.Calls(nawasynctest.Call(call)))
				}
				object, found := s.remote.find(name)
				row, err := s.repo.FindKey(t.Context(), gadget{Instance: "one", Name: name})
				if call == "delete" {
					if found || !errors.Is(err, nawasync.ErrNotFound) {
						t.Errorf("after the delete: found on the remote = %v, row = %+v, %v, want neither", found, row, err)
					}
				} else if !found || *object.QuotaMB != 5 || err != nil || *row.QuotaMB != 5 || row.State != nawasync.StateSynced {
					t.Errorf("remote object = %+v, row = %+v, %v, want quota 5 in both and a synced row", object, row, err)
				}
				if call == "create" && object.Password.Reveal() != "ours" {
					t.Error("the created object does not have the requested password")
				}
				enginetest.NoError(t, s.engine.Stop(t.Context()))
			})
		}
	})
}

func TestSuccessfulRetryMarksTheRowSynced(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 1)
		broken := true
		s.remote.beforeCall(func(call, _ string) error {
			if broken && call == "update" {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			return nil
		})
		job := s.waitStatus(t, s.update(t, s.row(t, "g0000"), setQuota(7)), tracker.StatusFailed)
		broken = false
		// The failed write may have changed the remote, so a refresh of the row follows. Wait for it.
		enginetest.Eventually(t, 20*time.Second, "a refreshed row", func() bool { return s.row(t, "g0000").State == nawasync.StateSynced })
		err := s.engine.Transaction(t.Context(), func(*gorm.DB) error { return nil })
		enginetest.NoError(t, err)
		retry, err := s.engine.Retry(t.Context(), job.ID, nawasync.RetryOptions{By: "user:8", Force: true})
		enginetest.NoError(t, err)
		s.waitStatus(t, retry, tracker.StatusSuccess)
		if row := s.row(t, "g0000"); row.State != nawasync.StateSynced || *row.QuotaMB != 7 || row.SyncJobID == nil || *row.SyncJobID != retry.ID {
			t.Errorf("row = %+v, want synced with quota 7 by job %d", row, retry.ID)
		}
	})
}

// allRowsEndAs returns one state for the created, the updated and the deleted row.
func allRowsEndAs(state nawasync.SyncState) []nawasync.SyncState {
	return []nawasync.SyncState{state, state, state}
}

// shopChild runs a worker in a child process that kills itself as soon as the remote has responded
// to one kind of call. The mode of the child names the call and the URL of the remote.
func shopChild(c *enginetest.ChildProcess) error {
	if strings.HasPrefix(c.Mode, "sites@") {
		return sitesChild(c)
	}
	mode := strings.SplitN(c.Mode, "@", 3) // shop, call, url
	ring, err := secret.NewKeyring(shopKey)
	if err != nil {
		return err
	}
	e, err := nawasync.New(nawasync.Config{DB: c.DB, Redis: c.Redis, Sealer: ring, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err == nil {
		_, err = mirror.New(e, mirror.Config[gadget]{Service: "shop", Type: "gadget", Remote: &httpRemote{url: mode[2], dieAfter: mode[1]}})
	}
	if err == nil {
		err = e.Start(context.Background())
	}
	if err != nil {
		return err
	}
	fmt.Println(enginetest.ChildReady)
	select {}
}

// The error of an unreachable remote looks like that of an unreachable database.
func TestUnreachableRemoteConsumesAnAttempt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 1)
		s.remote.beforeCall(func(string, string) error { return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED} })
		job := s.update(t, s.row(t, "g0000"), func(g *gadget) { g.Plan = "large" })
		var attempts []tracker.Attempt
		enginetest.Eventually(t, 10*time.Second, "an attempt has ended", func() bool {
			var err error
			attempts, err = s.engine.Reader().Attempts(t.Context(), job)
			enginetest.NoError(t, err)
			return len(attempts) > 0
		})
		job, err := s.engine.Reader().Get(t.Context(), job.ID)
		enginetest.NoError(t, err)
		if attempts[0].Outcome != tracker.OutcomeRetry || job.Attempt != 1 {
			t.Errorf("job %+v after attempts %+v; want that the attempt was consumed", job, attempts)
		}
	})
}

func TestDatabaseOutageDuringAChangeOrASyncConsumesNoAttempt(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, proxy := enginetest.NewProxiedServers(t, h)
		h.DB = db
		s := newShop(t, h)
		s.remote.Put(numberedGadgets(20)...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		var armed atomic.Bool
		over := make(chan struct{})
		outage := func() {
			if armed.CompareAndSwap(true, false) {
				proxy.SetDown(true)
				time.AfterFunc(4*time.Second, func() {
					proxy.SetDown(false)
					over <- struct{}{}
				})
			}
		}
		s.remote.beforeCall(func(string, string) error { outage(); return nil })
		s.remote.beforePage(func(int) { outage() })
		for name, dispatch := range map[string]func() *tracker.Job{
			"change": func() *tracker.Job { return s.update(t, s.row(t, "g0003"), func(g *gadget) { g.Plan = "large" }) },
			"sync":   func() *tracker.Job { return s.sync(t) },
		} {
			armed.Store(true)
			job := dispatch()
			<-over
			job = s.waitStatus(t, job, tracker.StatusSuccess)
			attempts, err := s.engine.Reader().Attempts(t.Context(), job)
			enginetest.NoError(t, err)
			if job.Attempt != 1 || len(attempts) != 2 || attempts[0].Outcome != tracker.OutcomeDatabase {
				t.Errorf("%s: job %+v after attempts %+v; want that the outage consumed no attempt", name, job, attempts)
			}
		}
	})
}
