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

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

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
