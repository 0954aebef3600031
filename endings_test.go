package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// endedElsewhere are the endings that the job's own code has no part in: what is done
// to a queued job so that it ends that way.
func endedElsewhere() map[string]func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
	return map[string]func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error{
		"undecodable": func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET sealed = ? WHERE id = ?", []byte("rubbish"), job.ID).Error
		},
		"expired": func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			// The first engine's duty lasts on.
			if err := db.Exec("DELETE FROM nawasync_duties").Error; err != nil {
				return err
			}
			later := time.Now().Add(time.Hour).UnixMicro()
			return db.Exec("UPDATE nawasync_jobs SET due_at = 1, not_before = ?, wake_at = ? WHERE id = ?", later, later, job.ID).Error
		},
		"cancelled while queued": func(e *nawasync.Engine, _ *testdb.Database, job *tracker.Job) error {
			_, err := e.Cancel(context.Background(), job.ID, "user:1")
			return err
		},
		"its process died for the last time": func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET status = 'running', running_lane = lane, worker = 'dead', attempt = max_attempts, wake_at = NULL, started_at = created_at WHERE id = ?", job.ID).Error
		},
	}
}

// Whatever ends a job, and wherever: its row is pending no more.
func TestEveryEndingTakesTheRowOutOfItsPendingState(t *testing.T) {
	t.Parallel()
	elsewhere := endedElsewhere()
	endings := map[string]struct {
		before func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error // before the worker starts
		hook   func(call, name string) error                                         // of the remote's calls
		want   []nawasync.SyncState                                                  // "" is that the row is gone
	}{
		"success":   {want: []nawasync.SyncState{nawasync.StateSynced, nawasync.StateSynced, ""}},
		"permanent": {hook: func(string, string) error { return nawasync.Permanent(errBoom) }, want: all(nawasync.StateFailed)},
		"a panic": {before: func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET max_attempts = 1 WHERE id = ?", job.ID).Error
		}, hook: func(string, string) error { panic("boom") }, want: all(nawasync.StateFailed)},
		"a skip":                             {hook: func(string, string) error { return nawasync.Skip("not today") }, want: []nawasync.SyncState{"", nawasync.StateSynced, nawasync.StateSynced}},
		"undecodable":                        {before: elsewhere["undecodable"], want: all(nawasync.StateFailed)},
		"expired":                            {before: elsewhere["expired"], want: all(nawasync.StateFailed)},
		"cancelled while queued":             {before: elsewhere["cancelled while queued"], want: []nawasync.SyncState{"", nawasync.StateSynced, nawasync.StateSynced}},
		"its process died for the last time": {before: elsewhere["its process died for the last time"], want: all(nawasync.StateFailed)},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		createGadgets(t, h)
		first := &shop{harness: h, remote: newMemory()}
		first.open(t)
		h.start(first.engine)
		var list []gadget
		for what := range endings {
			for _, act := range []string{"update", "delete"} {
				list = append(list, gadget{Instance: "one", Name: what + "/" + act, Plan: "basic"})
			}
		}
		first.remote.put(list...)
		first.status(t, first.sync(t), tracker.Success)
		ok(t, first.engine.Stop(t.Context()))
		for what, ending := range endings {
			t.Run(what, func(t *testing.T) {
				s := &shop{harness: h, remote: first.remote}
				s.engine = h.tuned(nawasync.Tuning{Patience: 2 * time.Second, Beat: 200 * time.Millisecond, Prune: 200 * time.Millisecond}, func(c *nawasync.Config) { c.Sealer = keyring(t, shopKey) })
				var err error
				s.repo, err = nawasync.NewRepository(s.engine, nawasync.RepositoryConfig[gadget]{Service: "shop", Type: "gadget", Remote: s.remote, Timeout: 5 * time.Second})
				ok(t, err)
				created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: what + "/create", Plan: "basic"}, by)
				ok(t, err)
				updated := s.update(t, s.row(t, what+"/update"), setPlan("gold"))
				deleted, err := s.repo.Delete(t.Context(), s.row(t, what+"/delete"), by)
				ok(t, err)
				jobs := []*tracker.Job{created, updated, deleted}
				for _, job := range jobs {
					if ending.before != nil {
						ok(t, ending.before(s.engine, db, job))
					}
				}
				s.remote.mu.Lock()
				s.remote.before = func(call, name string) error {
					if ending.hook == nil {
						return nil
					}
					return ending.hook(call, name)
				}
				s.remote.mu.Unlock()
				h.start(s.engine)
				defer func() { ok(t, s.engine.Stop(context.Background())) }()
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

func all(state nawasync.SyncState) []nawasync.SyncState {
	return []nawasync.SyncState{state, state, state}
}

// A job that is cancelled while it writes may have written: the row is failed, and
// a refresh looks what became of it.
func TestCancelOfARunningWriteMarksTheRowFailedAndHasItReadAnew(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		entered := make(chan struct{})
		release := make(chan struct{})
		s.remote.mu.Lock()
		s.remote.after = func(call, _ string) error {
			if call != "update" {
				return nil
			}
			close(entered)
			<-release
			return fault.WithClass(fault.UnknownOutcome, errors.New("the answer got lost"))
		}
		s.remote.mu.Unlock()
		job := s.update(t, s.row(t, "g0000"), setQuota(7))
		<-entered
		web := s.harness.engine(func(c *nawasync.Config) { c.Redis = nil }) // another process, without handlers
		_, err := web.Cancel(t.Context(), job.ID, "user:1")
		ok(t, err)
		eventually(t, 10*time.Second, "a cancel that has come through", func() bool {
			now, err := s.engine.Store().Get(t.Context(), job.ID)
			return err == nil && now.CancelBy != ""
		})
		time.Sleep(2100 * time.Millisecond) // within which its context ends
		close(release)
		s.status(t, job, tracker.Cancelled)
		eventually(t, 20*time.Second, "a row read anew", func() bool {
			row := s.row(t, "g0000")
			return row.State == nawasync.StateSynced && *row.QuotaMB == 7
		})
	})
}

func TestRetryMarksTheRowPendingAndItsSuccessTheRowSynced(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		broken := true
		s.remote.mu.Lock()
		s.remote.before = func(call, _ string) error {
			if broken && call == "update" {
				return nawasync.Permanent(errBoom)
			}
			return nil
		}
		s.remote.mu.Unlock()
		job := s.status(t, s.update(t, s.row(t, "g0000"), setQuota(7)), tracker.Failed)
		broken = false
		// The refresh after a write that may have happened comes first.
		eventually(t, 20*time.Second, "a refreshed row", func() bool { return s.row(t, "g0000").State == nawasync.StateSynced })
		err := s.engine.Transaction(t.Context(), func(*gorm.DB) error { return nil })
		ok(t, err)
		again, err := s.engine.Retry(t.Context(), job.ID, nawasync.RetryOptions{By: "user:8", Force: true})
		ok(t, err)
		s.status(t, again, tracker.Success)
		if row := s.row(t, "g0000"); row.State != nawasync.StateSynced || *row.QuotaMB != 7 || row.SyncJobID == nil || *row.SyncJobID != again.ID {
			t.Errorf("the row is %+v", row)
		}
	})
}

// A table that was dropped does not keep its jobs from ending.
func TestJobsOfATableThatIsGoneEndAllTheSame(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := idleShop(t, newHarness(t, db))
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, by)
		ok(t, err)
		ok(t, s.db.Exec("DROP TABLE gadgets").Error)
		now, err := s.engine.Cancel(t.Context(), job.ID, "user:1")
		if err != nil || now.Status != tracker.Cancelled {
			t.Errorf("%+v %v", now, err)
		}
	})
}

// The process is killed when the remote has answered and nothing is committed yet.
func TestKillBetweenTheRemotesAnswerAndTheCommitEndsInTheSameState(t *testing.T) {
	servers(t, func(t *testing.T, h *harness) {
		createGadgets(t, h)
		for _, call := range []string{"create", "update", "delete"} {
			t.Run(call, func(t *testing.T) {
				s := &shop{harness: h, remote: newMemory()}
				s.engine = h.tuned(nawasync.Tuning{Patience: 3 * time.Second}, func(c *nawasync.Config) { c.Sealer = keyring(t, shopKey) })
				var err error
				s.repo, err = nawasync.NewRepository(s.engine, nawasync.RepositoryConfig[gadget]{Service: "shop", Type: "gadget", Remote: s.remote})
				ok(t, err)
				name := "killed in " + call
				var job *tracker.Job
				if call == "create" {
					job, err = s.repo.Create(t.Context(), gadget{Instance: "one", Name: name, QuotaMB: new(5), Password: nawasync.NewSecret("ours")}, by)
				} else {
					there := gadget{Instance: "one", Name: name, QuotaMB: new(1), Password: nawasync.NewSecret("old")}
					s.remote.put(there)
					ok(t, h.db.Exec("INSERT INTO gadgets (instance, name, quota_mb, plan, tags, sync_status, last_synced_at, used) VALUES ('one', ?, 1, '', '[]', 'synced', 1, 0)", name).Error)
					seen := s.row(t, name)
					if call == "update" {
						job, err = s.repo.Update(t.Context(), seen, setQuota(5), by)
					} else {
						job, err = s.repo.Delete(t.Context(), seen, by)
					}
				}
				ok(t, err)
				victim := startChild(t, h, "shop@"+call+"@"+serveMemory(t, s.remote))
				victim.dies(t)
				if s.remote.count(call) != 1 {
					t.Fatalf("the child made %d calls", s.remote.count(call))
				}
				h.start(s.engine)
				done := s.status(t, job, tracker.Success)
				if done.Attempt != 2 || s.remote.count(call) != 1 {
					t.Errorf("attempt %d; %s was called %d times", done.Attempt, call, s.remote.count(call))
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
				ok(t, s.engine.Stop(t.Context()))
			})
		}
	})
}

func shopMode(mode string) (call, url string, is bool) {
	parts := strings.SplitN(mode, "@", 3)
	if len(parts) != 3 || parts[0] != "shop" {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// shopChild is a worker that dies as soon as the remote has answered a call.
func shopChild(e *nawasync.Engine, call, url string) error {
	_, err := nawasync.NewRepository(e, nawasync.RepositoryConfig[gadget]{Service: "shop", Type: "gadget", Remote: &distant{url: url, dieAfter: call}})
	if err == nil {
		err = e.Start(context.Background())
	}
	if err != nil {
		return err
	}
	fmt.Println(childReady)
	select {}
}
