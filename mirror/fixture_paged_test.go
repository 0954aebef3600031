package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// pagedRemote lists a mapRemote of persons page by page and allows a number of calls per window of time.
// The cursor of a page is its last name.
type pagedRemote struct {
	*mapRemote[person]

	now     func() time.Time
	size    int                          // objects per page
	limit   int                          // calls per window; 0 means no limit
	window  time.Duration                // begins with its first call
	proof   mirror.Proof                 // of each page
	page    func(p *mirror.Page[person]) // changes a page; may be nil
	stopped bool                         // page has stopped the attempt
	cursor  func(cursor string) error    // runs when a listing goes on at a cursor; may be nil
	refuse  func()                       // runs when a call is refused; may be nil
	before  func(call string) error      // runs before each call; may be nil

	mu      sync.Mutex
	left    int
	resets  time.Time
	calls   []string // the calls that were not refused
	refused int
}

func (r *pagedRemote) call(name string) error {
	if r.before != nil {
		if err := r.before(name); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); !now.Before(r.resets) {
		r.left, r.resets = r.limit, now.Add(r.window)
	}
	if r.left--; r.left >= 0 || r.limit == 0 {
		r.calls = append(r.calls, name)
		return nil
	}
	r.refused++
	if r.refuse != nil {
		r.refuse()
	}
	return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: r.resets.Sub(r.now()), Err: errors.New("the server answered 429")}
}

func (r *pagedRemote) List(ctx context.Context, scope person, detail string) iter.Seq2[mirror.Page[person], error] {
	return r.ListFrom(ctx, scope, detail, "")
}

func (r *pagedRemote) ListFrom(ctx context.Context, _ person, _, after string) iter.Seq2[mirror.Page[person], error] {
	return func(yield func(mirror.Page[person], error) bool) {
		if after != "" && r.cursor != nil {
			if err := r.cursor(after); err != nil {
				yield(mirror.Page[person]{}, err)
				return
			}
		}
		for more := true; more; {
			p := mirror.Page[person]{Proof: r.proof}
			if err := r.call("list " + after); err != nil {
				yield(p, err)
				return
			}
			more = false
			for _, key := range r.keys() {
				if key <= after {
					continue
				}
				if more = len(p.Items) == r.size; more {
					break
				}
				p.Items = append(p.Items, r.objects[key])
			}
			if more {
				p.Cursor = p.Items[r.size-1].Name
				after = p.Cursor
			}
			if r.page != nil {
				r.page(&p)
				if r.stopped {
					<-ctx.Done() // the end of an attempt reaches it a moment later
				}
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (r *pagedRemote) Get(ctx context.Context, key person) (o mirror.Object[person], err error) {
	if err := r.call("get " + key.Name); err != nil {
		return o, err
	}
	return r.mapRemote.Get(ctx, key)
}

// times returns how often each call was made.
func (r *pagedRemote) times() map[string]int {
	n := map[string]int{}
	for _, call := range r.calls {
		n[call]++
	}
	return n
}

// begin forgets the calls and begins a new window.
func (r *pagedRemote) begin() { r.calls, r.refused, r.resets = nil, 0, time.Time{} }

func (r *pagedRemote) drop(list ...person) {
	r.mapRemote.mu.Lock()
	defer r.mapRemote.mu.Unlock()
	for _, p := range list {
		delete(r.objects, p.Name)
	}
}

// listOnly is a pagedRemote that cannot go on at a cursor.
type listOnly struct{ mirror.Remote[person] }

func numbered(n int) []person {
	list := make([]person, n)
	for i := range list {
		list[i] = person{Realm: "r", Name: fmt.Sprintf("p%05d", i), Email: "a@example.com"}
	}
	return list
}

// newPaged returns a repository of n persons, which are listed in pages of ten. A window allows ten calls
// and lasts an hour.
func newPaged(t *testing.T, db *testdb.Database, n int, wrap func(*pagedRemote) mirror.Remote[person]) (*pagedRemote, *mirrored[person]) {
	t.Helper()
	remote := &pagedRemote{
		mapRemote: &mapRemote[person]{
			objects: map[string]person{},
			keyOf:   func(p person) string { return p.Name },
			find:    func(_ map[string]person, key person) string { return key.Name },
		},
		size: 10, limit: 10, window: time.Hour, proof: mirror.Proof{Level: mirror.ProofExhausted},
	}
	remote.put(numbered(n)...)
	m := newMirrored[person](t, db, "people", personColumns, wrap(remote))
	remote.now = m.clock.Now
	return remote, m
}

func paging(r *pagedRemote) mirror.Remote[person] { return r }

func withoutCursors(r *pagedRemote) mirror.Remote[person] {
	r.page = func(p *mirror.Page[person]) { p.Cursor = "" }
	return listOnly{r}
}

// inRealTime gives the repository an engine that has the system's clock, as every engine outside of tests.
func inRealTime(h *enginetest.Harness, r *pagedRemote, m *mirrored[person]) {
	m.engine = h.Engine(nil)
	repo, err := mirror.New[person](m.engine, mirror.Config[person]{Service: "api", Type: "people", Remote: r})
	enginetest.NoError(h.T, err)
	m.SyncedRepository, r.now = repo, time.Now
}

// drainNow runs the jobs that are due.
func (m *mirrored[T]) drainNow() error {
	return nawasynctest.Drain(m.t.Context(), m.engine, nawasynctest.NewClock(time.Time{}))
}

// syncNow dispatches a sync and runs the jobs.
func (m *mirrored[T]) syncNow(scope T) (job int64) {
	m.t.Helper()
	m.clock.Advance(2 * time.Hour)
	started, err := m.SyncNow(m.t.Context(), scope, "", nawasync.Options{By: "user:7"})
	return m.drain(started, err).ID
}
