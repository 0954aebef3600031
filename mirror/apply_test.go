package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
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

// Whatever ends a job, and wherever: its row is pending no more.
func TestEveryEndingTakesTheRowOutOfItsPendingState(t *testing.T) {
	t.Parallel()
	elsewhere := enginetest.EndedElsewhere()
	endings := map[string]struct {
		before func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error // before the worker starts
		hook   func(call, name string) error                                         // of the remote's calls
		want   []nawasync.SyncState                                                  // "" is that the row is gone
	}{
		"success":   {want: []nawasync.SyncState{nawasync.StateSynced, nawasync.StateSynced, ""}},
		"permanent": {hook: func(string, string) error { return nawasync.Permanent(enginetest.ErrBoom) }, want: allRowsEndAs(nawasync.StateFailed)},
		"a panic": {before: func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET max_attempts = 1 WHERE id = ?", job.ID).Error
		}, hook: func(string, string) error { panic("boom") }, want: allRowsEndAs(nawasync.StateFailed)},
		"a skip": {
			hook: func(string, string) error { return nawasync.Skip("not today") },
			want: []nawasync.SyncState{"", nawasync.StateSynced, nawasync.StateSynced},
		},
		"undecodable": {before: elsewhere["undecodable"], want: allRowsEndAs(nawasync.StateFailed)},
		"expired":     {before: elsewhere["expired"], want: allRowsEndAs(nawasync.StateFailed)},
		"cancelled while queued": {
			before: elsewhere["cancelled while queued"],
			want:   []nawasync.SyncState{"", nawasync.StateSynced, nawasync.StateSynced},
		},
		"its process died for the last time": {before: elsewhere["its process died for the last time"], want: allRowsEndAs(nawasync.StateFailed)},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		first := &shop{Harness: h, remote: newMemory()}
		first.open(t)
		h.Start(first.engine)
		var list []gadget
		for what := range endings {
			for _, act := range []string{"update", "delete"} {
				list = append(list, gadget{Instance: "one", Name: what + "/" + act, Plan: "basic"})
			}
		}
		first.remote.Put(list...)
		first.status(t, first.sync(t), tracker.StatusSuccess)
		enginetest.NoError(t, first.engine.Stop(t.Context()))
		for what, ending := range endings {
			t.Run(what, func(t *testing.T) {
				s := &shop{Harness: h, remote: first.remote}
				s.engine = h.Tuned(host.Tuning{DeadAfter: 2 * time.Second, Beat: 200 * time.Millisecond, Prune: 200 * time.Millisecond},
					func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, shopKey) })
				var err error
				s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "gadget", Remote: s.remote, Timeout: 5 * time.Second})
				enginetest.NoError(t, err)
				created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: what + "/create", Plan: "basic"}, byAnn)
				enginetest.NoError(t, err)
				updated := s.update(t, s.row(t, what+"/update"), setPlan("gold"))
				deleted, err := s.repo.Delete(t.Context(), s.row(t, what+"/delete"), byAnn)
				enginetest.NoError(t, err)
				jobs := []*tracker.Job{created, updated, deleted}
				for _, job := range jobs {
					if ending.before != nil {
						enginetest.NoError(t, ending.before(s.engine, db, job))
					}
				}
				s.remote.beforeCall(func(call, name string) error {
					if ending.hook == nil {
						return nil
					}
					return ending.hook(call, name)
				})
				h.Start(s.engine)
				defer func() { enginetest.NoError(t, s.engine.Stop(context.Background())) }()
				for i, job := range jobs {
					ended := s.ended(t, job)
					name := what + "/" + []string{"create", "update", "delete"}[i]
					row, err := s.repo.FindKey(t.Context(), gadget{Instance: "one", Name: name})
					if ending.want[i] == "" {
						if !errors.Is(err, nawasync.ErrNotFound) {
							t.Errorf("%s: the row is %+v, %v; the job is %s", name, row.SyncStatus, err, ended.Status)
						}
						continue
					}
					if err != nil || row.State != ending.want[i] {
						t.Errorf("%s: the row is %s, %v; the job is %s: %s", name, row.State, err, ended.Status, ended.Error)
					}
				}
			})
		}
	})
}

// A job that is cancelled while it writes may have written: the row is failed, and
// a refresh looks what became of it.
func TestCancelOfARunningWriteMarksTheRowFailedAndHasItReadAnew(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		entered := make(chan struct{})
		release := make(chan struct{})
		s.remote.afterCall(func(call, _ string) error {
			if call != "update" {
				return nil
			}
			close(entered)
			<-release
			return fault.WithClass(fault.ClassUnknownOutcome, errors.New("the answer got lost"))
		})
		job := s.update(t, s.row(t, "g0000"), setQuota(7))
		<-entered
		web := s.Engine(func(c *nawasync.Config) { c.Redis = nil }) // another process, without handlers
		_, err := web.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.NoError(t, err)
		enginetest.Eventually(t, 10*time.Second, "a cancel that has come through", func() bool {
			now, err := s.engine.Reader().Get(t.Context(), job.ID)
			return err == nil && now.CancelBy != ""
		})
		time.Sleep(2100 * time.Millisecond) // within which its context ends
		close(release)
		s.status(t, job, tracker.StatusCancelled)
		enginetest.Eventually(t, 20*time.Second, "a row read anew", func() bool {
			row := s.row(t, "g0000")
			return row.State == nawasync.StateSynced && *row.QuotaMB == 7
		})
	})
}

// A table that was dropped does not keep its jobs from ending.
func TestJobsOfATableThatIsGoneEndAllTheSame(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := idleShop(t, enginetest.New(t, db))
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, byAnn)
		enginetest.NoError(t, err)
		enginetest.NoError(t, s.DB.Exec("DROP TABLE gadgets").Error)
		now, err := s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
		if err != nil || now.Status != tracker.StatusCancelled {
			t.Errorf("%+v %v", now, err)
		}
	})
}

// The process is killed when the remote has answered and nothing is committed yet.
func TestKillBetweenTheRemotesAnswerAndTheCommitEndsInTheSameState(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		createGadgets(t, h)
		for _, call := range []string{"create", "update", "delete"} {
			t.Run(call, func(t *testing.T) {
				s := &shop{Harness: h, remote: newMemory()}
				s.engine = h.Tuned(host.Tuning{DeadAfter: 3 * time.Second}, func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, shopKey) })
				var err error
				s.repo, err = mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "gadget", Remote: s.remote})
				enginetest.NoError(t, err)
				name := "killed in " + call
				var job *tracker.Job
				if call == "create" {
					job, err = s.repo.Create(t.Context(), gadget{Instance: "one", Name: name, QuotaMB: new(5), Password: nawasync.NewSecret("ours")}, byAnn)
				} else {
					there := gadget{Instance: "one", Name: name, QuotaMB: new(1), Password: nawasync.NewSecret("old")}
					s.remote.Put(there)
					enginetest.NoError(t, h.DB.Exec("INSERT INTO gadgets (instance, name, quota_mb, plan, tags, sync_status, last_synced_at, used) VALUES ('one', ?, 1, '', '[]', 'synced', 1, 0)", name).Error)
					seen := s.row(t, name)
					if call == "update" {
						job, err = s.repo.Update(t.Context(), seen, setQuota(5), byAnn)
					} else {
						job, err = s.repo.Delete(t.Context(), seen, byAnn)
					}
				}
				enginetest.NoError(t, err)
				victim := enginetest.StartChild(t, h, "shop@"+call+"@"+serveMemory(t, s.remote))
				victim.WaitExit(t)
				if s.remote.Calls(nawasynctest.Call(call)) != 1 {
					t.Fatalf("the child made %d calls", s.remote.Calls(nawasynctest.Call(call)))
				}
				h.Start(s.engine)
				done := s.status(t, job, tracker.StatusSuccess)
				if done.Attempt != 2 || s.remote.Calls(nawasynctest.Call(call)) != 1 {
					t.Errorf("attempt %d; %s was called %d times", done.Attempt, call, s.remote.Calls(nawasynctest.Call(call)))
				}
				there, found := s.remote.look(name)
				row, err := s.repo.FindKey(t.Context(), gadget{Instance: "one", Name: name})
				if call == "delete" {
					if found || !errors.Is(err, nawasync.ErrNotFound) {
						t.Errorf("it is there still: %v, %+v %v", found, row, err)
					}
				} else if !found || *there.QuotaMB != 5 || err != nil || *row.QuotaMB != 5 || row.State != nawasync.StateSynced {
					t.Errorf("the remote has %+v, the row is %+v, %v", there, row, err)
				}
				if call == "create" && there.Password.Reveal() != "ours" {
					t.Error("the password is another")
				}
				enginetest.NoError(t, s.engine.Stop(t.Context()))
			})
		}
	})
}

func TestRetryMarksTheRowPendingAndItsSuccessTheRowSynced(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		broken := true
		s.remote.beforeCall(func(call, _ string) error {
			if broken && call == "update" {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			return nil
		})
		job := s.status(t, s.update(t, s.row(t, "g0000"), setQuota(7)), tracker.StatusFailed)
		broken = false
		// The refresh after a write that may have happened comes first.
		enginetest.Eventually(t, 20*time.Second, "a refreshed row", func() bool { return s.row(t, "g0000").State == nawasync.StateSynced })
		err := s.engine.Transaction(t.Context(), func(*gorm.DB) error { return nil })
		enginetest.NoError(t, err)
		again, err := s.engine.Retry(t.Context(), job.ID, nawasync.RetryOptions{By: "user:8", Force: true})
		enginetest.NoError(t, err)
		s.status(t, again, tracker.StatusSuccess)
		if row := s.row(t, "g0000"); row.State != nawasync.StateSynced || *row.QuotaMB != 7 || row.SyncJobID == nil || *row.SyncJobID != again.ID {
			t.Errorf("the row is %+v", row)
		}
	})
}

func allRowsEndAs(state nawasync.SyncState) []nawasync.SyncState {
	return []nawasync.SyncState{state, state, state}
}

// shopChild is a worker process that dies as soon as the remote has answered a call.
func shopChild(c *enginetest.ChildProcess) error {
	mode := strings.SplitN(c.Mode, "@", 3) // shop, call, url
	ring, err := secret.NewKeyring(shopKey)
	if err != nil {
		return err
	}
	e, err := nawasync.New(nawasync.Config{DB: c.DB, Redis: c.Redis, Sealer: ring, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err == nil {
		_, err = mirror.New(e, mirror.Config[gadget]{Service: "shop", Type: "gadget", Remote: &distant{url: mode[2], dieAfter: mode[1]}})
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
