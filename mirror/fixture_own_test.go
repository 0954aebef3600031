package mirror_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// resetPassword are the arguments of a host's own job on a world record. The repository gives it its target.
type resetPassword struct {
	Password string `json:"new_word"`
}

func (resetPassword) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "api", Type: "world_records", Action: "reset_password"}
}
func (resetPassword) Target() nawasync.Target { return nawasync.Target{} }

// resetter runs the resets of a test, which decides how they end.
type resetter struct {
	nawasync.AbstractJob[resetPassword]

	mu   sync.Mutex
	seen []worldRecord // the row of each attempt
	jobs []int64
	do   func(ctx context.Context, run *nawasync.Run[resetPassword], row worldRecord) error // may be nil
}

func (r *resetter) Execute(ctx context.Context, run *nawasync.Run[resetPassword]) error {
	row, err := mirror.Row[worldRecord](ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen, r.jobs = append(r.seen, row), append(r.jobs, run.Job().ID)
	if r.do != nil {
		return r.do(ctx, run, row)
	}
	return nil
}

// ownWorld is a repository of world records with own jobs. Nothing goes wrong unless the test says so.
type ownWorld struct {
	*mirrored[worldRecord]
	remote *worldRemote
	resets *resetter
}

func newOwnWorld(t *testing.T, db *testdb.Database) *ownWorld {
	t.Helper()
	return newOwnWorldWith(t, db, mirror.Config[worldRecord]{})
}

func newOwnWorldWith(t *testing.T, db *testdb.Database, config mirror.Config[worldRecord]) *ownWorld {
	t.Helper()
	remote := &worldRemote{size: 10, before: func(string) error { return nil }, after: func(string) error { return nil }, wrote: func(string, worldRecord) {}}
	config.Remote = remote
	w := &ownWorld{remote: remote, resets: &resetter{}}
	w.mirrored = newMirroredWith[worldRecord](t, db, "world_records", worldColumns, config)
	remote.clock = w.clock
	enginetest.NoError(t, nawasync.Register(w.engine, w.resets))
	return w
}

// synced returns the row of an object that the remote has and a sync has found.
func (w *ownWorld) synced(name string) worldRecord {
	w.t.Helper()
	w.remote.put(worldRecord{Zone: "z", Name: name, Type: "A", Content: "a"})
	w.sync(worldRecord{Zone: "z"})
	w.clock.Advance(time.Minute)
	return w.named(name)
}

// named returns the newest visible row with a name.
func (w *ownWorld) named(name string) (row worldRecord) {
	w.t.Helper()
	for _, r := range w.rows() {
		if r.Name == name {
			row = r
		}
	}
	if row.ID == 0 {
		w.t.Fatalf("no row has the name %s", name)
	}
	return row
}

// is checks the state of the row ann, and the job that it names.
func (w *ownWorld) is(state nawasync.SyncState, text string, job *tracker.Job) {
	w.t.Helper()
	row := w.named("ann")
	if row.State != state || !strings.Contains(row.SyncError, text) || text == "" && row.SyncError != "" || row.SyncJobID == nil || *row.SyncJobID != job.ID {
		w.t.Errorf("row ann is %s by job %v (%s), want %s by job %d and %q in the error", row.State, row.SyncJobID, row.SyncError, state, job.ID, text)
	}
}

func (w *ownWorld) cancel(job *tracker.Job) {
	w.t.Helper()
	_, err := w.engine.Cancel(w.t.Context(), job.ID, nawasync.OperatorOptions{})
	enginetest.NoError(w.t, err)
}
