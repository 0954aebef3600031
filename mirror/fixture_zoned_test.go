package mirror_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// zoned is an object in a zone of an account.
type zoned struct {
	ID      uint64
	Account string `sync:"scope,limit"`
	Zone    string `sync:"scope"`
	Name    string `sync:"key"`
	Content string
	nawasync.SyncStatus
}

func (zoned) TableName() string { return "zoned" }

const zonedColumns = "account TEXT NOT NULL, zone TEXT NOT NULL, name TEXT NOT NULL, content TEXT"

// zonedRemote is a remote of accounts with zones. before runs before each call.
type zonedRemote struct {
	objects map[string]zoned
	before  func(call string, key zoned) error
}

func (r *zonedRemote) List(_ context.Context, scope zoned, _ string) iter.Seq2[mirror.Page[zoned], error] {
	return func(yield func(mirror.Page[zoned], error) bool) {
		page := mirror.Page[zoned]{Proof: mirror.Proof{Level: mirror.ProofWhole}}
		for _, name := range slices.Sorted(maps.Keys(r.objects)) {
			if o := r.objects[name]; o.Account == scope.Account && o.Zone == scope.Zone {
				page.Items = append(page.Items, o)
			}
		}
		yield(page, r.before("list", scope))
	}
}

func (r *zonedRemote) Get(_ context.Context, key zoned) (o mirror.Object[zoned], err error) {
	if err := r.before("get", key); err != nil {
		return o, err
	}
	found, ok := r.objects[key.Name]
	if !ok {
		return o, nawasynctest.ErrGone
	}
	o.Value = found
	return o, nil
}

func (r *zonedRemote) Create(_ context.Context, want zoned) (o mirror.Object[zoned], err error) {
	return mirror.Object[zoned]{Value: want}, r.write("create", want)
}

func (r *zonedRemote) Update(_ context.Context, _ mirror.Object[zoned], want zoned, _ mirror.FieldDiff) (mirror.Object[zoned], error) {
	return mirror.Object[zoned]{Value: want}, r.write("update", want)
}

func (r *zonedRemote) Delete(_ context.Context, key zoned) error {
	err := r.before("delete", key)
	if err == nil {
		delete(r.objects, key.Name)
	}
	return err
}

func (r *zonedRemote) write(call string, want zoned) error {
	err := r.before(call, want)
	if err == nil {
		r.objects[want.Name] = want
	}
	return err
}

// zonedShop is a repository with objects in two zones of account a and one of account ab.
type zonedShop struct {
	*mirrored[zoned]

	remote *zonedRemote
	calls  map[string][]time.Duration // since the first call, by call, account and zone
}

func newZonedShop(t *testing.T, db *testdb.Database, wrap func(*zonedRemote) mirror.Remote[zoned]) *zonedShop {
	t.Helper()
	remote := &zonedRemote{objects: map[string]zoned{}, before: func(string, zoned) error { return nil }}
	for _, o := range []zoned{
		{Account: "a", Zone: "x", Name: "ax1"},
		{Account: "a", Zone: "x", Name: "ax2"},
		{Account: "a", Zone: "y", Name: "ay"},
		{Account: "ab", Zone: "x", Name: "abx"},
	} {
		remote.objects[o.Name] = o
	}
	config := mirror.Config[zoned]{Remote: remote, MissingRuns: 1, Settle: -1}
	if wrap != nil {
		config.Remote = wrap(remote)
	}
	s := &zonedShop{mirrored: newMirroredWith[zoned](t, db, "zoned", zonedColumns, config), remote: remote}
	for _, scope := range zonedScopes {
		s.sync(scope)
	}
	return s
}

var zonedScopes = []zoned{{Account: "a", Zone: "x"}, {Account: "a", Zone: "y"}, {Account: "ab", Zone: "x"}}

// answer makes the remote answer with the errors of before, and notes the times of the calls from now on.
func (s *zonedShop) answer(before func(call string, key zoned) error) {
	began := s.clock.Now()
	s.calls = map[string][]time.Duration{}
	s.remote.before = func(call string, key zoned) error {
		name := call + " " + key.Account + "/" + key.Zone
		s.calls[name] = append(s.calls[name], s.clock.Now().Sub(began).Round(time.Second))
		return before(call, key)
	}
}

// syncAll dispatches a sync of each scope, runs all jobs and returns the syncs.
func (s *zonedShop) syncAll() (jobs []*tracker.Job) {
	s.t.Helper()
	for _, scope := range zonedScopes {
		job, err := s.SyncNow(s.t.Context(), scope, "", byUser)
		enginetest.NoError(s.t, err)
		jobs = append(jobs, job)
	}
	enginetest.NoError(s.t, nawasynctest.Drain(s.t.Context(), s.engine, s.clock))
	for i, job := range jobs {
		jobs[i] = s.job(job.ID)
	}
	return jobs
}

// rowOf returns the row of an object.
func (s *zonedShop) rowOf(name string) zoned {
	s.t.Helper()
	rows := s.rows()
	i := slices.IndexFunc(rows, func(r zoned) bool { return r.Name == name })
	if i < 0 {
		s.t.Fatalf("no row of %s in %+v", name, rows)
	}
	return rows[i]
}

func (s *zonedShop) noScopes() {
	s.t.Helper()
	if scopes, err := s.engine.Reader().Scopes(s.t.Context()); err != nil || len(scopes) > 0 {
		s.t.Errorf("parked: %+v, error %v; want nothing", scopes, err)
	}
}
