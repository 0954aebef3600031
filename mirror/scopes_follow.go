package mirror

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

const (
	followPage  = 1000 // rows of the parent, and listed scopes, that one statement reads
	followChunk = 100  // scopes that one transaction changes
	// retireAgain is how long after the last look at the hidden rows of a scope they are looked at again, to
	// remove those that were deleted long ago.
	retireAgain = 24 * time.Hour
)

// followArgs are the arguments of the job that compares the listed scopes with the rows of the parent.
type followArgs struct {
	kind  nawasync.Kind
	queue string
}

func (a followArgs) Kind() nawasync.Kind { return a.kind }

func (a followArgs) Target() nawasync.Target { return nawasync.Target{ID: "all"} }

// Options lets one more of these jobs wait while one runs: it sees what has changed since.
func (a followArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{Queue: a.queue, Lane: "follow\x00" + a.kind.Type, UniqueKey: "all", UniqueUntilRunning: true}
}

func (r *repo) followArgs() followArgs {
	return followArgs{kind: r.kind(tracker.FollowAction), queue: r.syncQueue}
}

// followResult is the result of a job with tracker.FollowAction. It counts scopes.
type followResult struct {
	Listed   int64 `json:"listed"`             // that are listed
	Added    int64 `json:"added,omitempty"`    // that are new
	Gone     int64 `json:"gone,omitempty"`     // whose rows are to be hidden
	Returned int64 `json:"returned,omitempty"` // whose rows are to be visible again
}

func (r *repo) runFollow(ctx context.Context, a host.Attempt, _ *followArgs) error {
	result, err := r.follow(ctx, a)
	a.SetResult(result)
	return err
}

// follow compares the listed scopes with the rows of the parent. It looks at what is true now, and not at what
// has happened: whatever changed a row, and whichever look was missed, the next one finds it.
func (r *repo) follow(ctx context.Context, a host.Attempt) (followResult, error) {
	f := &following{repo: r, parent: r.scopes.parent, attempt: a}
	if err := f.readParent(ctx); err != nil {
		return f.result, err
	}
	if err := f.compare(ctx); err != nil {
		return f.result, err
	}
	f.result.Listed = int64(len(f.listed))
	for scope, row := range f.listed {
		if !f.known[scope] {
			f.steps = append(f.steps, scopeStep{instance: scope, row: row})
		}
	}
	slices.SortFunc(f.steps, func(a, b scopeStep) int { return cmp.Compare(a.row, b.row) })
	for i, chunk := range slices.Collect(slices.Chunk(f.steps, followChunk)) {
		if ctx.Err() != nil {
			return f.result, context.Cause(ctx)
		}
		f.due = spreadOver(r.spread, i*followChunk, len(f.steps), r.engine.Store().Now())
		before := f.result
		err := r.engine.InTx(ctx, func(tx *gorm.DB) error {
			f.result = before // discard the counts of a transaction that is retried
			return f.apply(ctx, tx, chunk)
		})
		if err != nil {
			return f.result, err
		}
	}
	return f.result, nil
}

// following is one comparison of the listed scopes with the rows of the parent.
type following struct {
	*repo

	parent  *repo
	attempt host.Attempt
	within  map[string]bool  // instances of the scopes that the parent has rows in
	listed  map[string]int64 // the row of the parent by the instance of its scope
	known   map[string]bool  // instances that the table of listed scopes has
	steps   []scopeStep      // what may have to change
	due     time.Time        // when the syncs of the current steps are due
	result  followResult
}

// scopeStep is a scope that differs from what is stored of it.
type scopeStep struct {
	instance string
	row      int64                 // the row of the parent that stands for it; 0 if none does
	stored   *jobstore.ListedScope // nil if it is new
}

// readParent reads which scopes the rows of the parent stand for.
func (f *following) readParent(ctx context.Context) error {
	f.listed, f.known, f.within = map[string]int64{}, map[string]bool{}, map[string]bool{}
	for after := int64(0); ; {
		rows, err := f.parentRows(f.parent.db(ctx).Unscoped().Where("id > ? AND deleted_at IS NULL AND last_synced_at IS NOT NULL", after).Order("id").Limit(followPage))
		if err != nil {
			return err
		}
		for i := range rows.Len() {
			after = f.parent.model.idOf(rows.Index(i))
			f.within[f.parent.model.instance(rows.Index(i))] = true
			_, instance, err := f.scopeOfParent(rows.Index(i))
			if err != nil {
				f.attempt.Logf("row %d of %s stands for no scope: %s", after, f.parent.model.table, shorten(err.Error()))
			}
			if _, found := f.listed[instance]; err == nil && instance != "" && !found {
				f.listed[instance] = after
			}
		}
		if rows.Len() < followPage {
			return nil
		}
	}
}

func (f *following) parentRows(query *gorm.DB) (reflect.Value, error) {
	found := reflect.New(reflect.SliceOf(f.parent.model.schema.ModelType))
	if err := f.parent.model.readRows(query.Table(f.parent.model.table).Select(f.parent.columns()), found, nil); err != nil {
		return reflect.Value{}, fmt.Errorf("read %s: %w", f.parent.model.table, err)
	}
	return found.Elem(), nil
}

// compare collects the scopes that differ from the rows of the parent.
func (f *following) compare(ctx context.Context) error {
	old := f.engine.Store().Now()
	for after := ""; ; {
		page, err := f.engine.Store().ListedScopes(ctx, f.service, f.typ, after, followPage)
		if err != nil {
			return err
		}
		for i := range page {
			l := &page[i]
			after, f.known[l.Instance] = l.Instance, true
			row := f.listed[l.Instance]
			switch {
			case !l.Gone() && row == l.Parent:
			case l.Gone() && row == 0 && !l.RetiredAt.IsZero() && (old.Sub(l.GoneAt) < deletedRetention || old.Sub(l.RetiredAt) < retireAgain):
			default:
				f.steps = append(f.steps, scopeStep{l.Instance, row, l})
			}
		}
		if len(page) < followPage {
			return nil
		}
	}
}

// apply carries out steps, if they still hold once the rows of the parent are locked.
func (f *following) apply(ctx context.Context, tx *gorm.DB, steps []scopeStep) error {
	ids := map[int64]bool{}
	for _, s := range steps {
		ids[s.row] = true
		if s.stored != nil {
			ids[s.stored.Parent] = true
		}
	}
	rows, err := f.parentRows(f.forUpdate(sqlkit.Session(ctx, tx)).Unscoped().Where("id IN ?", slices.Sorted(maps.Keys(ids))).Order("id"))
	if err != nil {
		return err
	}
	parents := map[int64]parentRow{}
	for i := range rows.Len() {
		row, status := rows.Index(i), f.parent.status(rows.Index(i))
		p := parentRow{exists: true}
		if status.DeletedAt.IsZero() && !status.LastSyncedAt.IsZero() {
			p.scope, p.instance, err = f.scopeOfParent(row)
			if err != nil {
				p.instance = ""
			}
		}
		parents[f.parent.model.idOf(row)] = p
	}
	out := scopeJobs{}
	for _, s := range steps {
		if err := f.applyStep(ctx, tx, s, parents, &out); err != nil {
			return err
		}
	}
	return f.dispatch(ctx, tx, out)
}

// parentRow is a locked row of the parent.
type parentRow struct {
	exists   bool
	scope    reflect.Value
	instance string // of the scope that the row stands for; "" for none, as after its deletion
}

// scopeJobs are the scopes that steps have jobs dispatched for.
type scopeJobs struct{ sync, retire []nawasync.Args }

func (f *following) applyStep(ctx context.Context, tx *gorm.DB, s scopeStep, parents map[int64]parentRow, out *scopeJobs) error {
	store, key := f.engine.Store(), f.listedKey(s.instance)
	by, listed := parents[s.row], parents[s.row].instance == s.instance
	if s.stored == nil {
		if !listed {
			return nil
		}
		added, err := store.AddListed(ctx, tx, jobstore.ListedScope{HoldScope: key, Parent: s.row})
		if err != nil || !added {
			return err
		}
		f.result.Added++
		return f.addSync(by.scope, out)
	}
	l, err := store.LockListed(ctx, tx, key)
	if err != nil || l == nil || l.Parent != s.stored.Parent {
		return err // another process follows too
	}
	own := parents[l.Parent]
	switch {
	case !l.Gone() && (own.instance == s.instance || !own.exists && !listed):
		return nil
	case !l.Gone() && listed && (!own.exists || len(f.parent.model.incarnation) == 0): // two rows stood for the scope
		return store.SetParent(ctx, tx, *l, s.row, false)
	case !l.Gone():
		f.result.Gone++
		out.retire = append(out.retire, f.retireArgs(s.instance))
		return store.SetGone(ctx, tx, key, true)
	case own.instance == s.instance:
		f.result.Returned++
		if err := store.SetGone(ctx, tx, key, false); err != nil {
			return err
		}
		return f.addSync(own.scope, out)
	case listed && !l.RetiredAt.IsZero(): // its name is used again
		f.result.Added++
		if err := store.SetParent(ctx, tx, *l, s.row, true); err != nil {
			return err
		}
		if err := f.dropCursor(ctx, tx, s.instance); err != nil { // it was that of the earlier scope's feed
			return err
		}
		return f.addSync(by.scope, out)
	}
	out.retire = append(out.retire, f.retireArgs(s.instance))
	return nil
}

// addSync adds the sync of a scope that is new or listed again.
func (f *following) addSync(scope reflect.Value, out *scopeJobs) error {
	args, err := f.syncArgs(scope, "")
	out.sync = append(out.sync, args)
	return err
}

func (f *following) dispatch(ctx context.Context, tx *gorm.DB, jobs scopeJobs) error {
	o := nawasync.Options{By: "nawasync", Source: nawasync.SourceEvent}
	if _, err := f.engine.DispatchManyTx(ctx, tx, jobs.retire, o); err != nil {
		return fmt.Errorf("hide the rows of scopes that are gone: %w", err)
	}
	o.At = f.due
	if _, err := f.engine.DispatchManyTx(ctx, tx, jobs.sync, o); err != nil {
		return fmt.Errorf("sync new scopes: %w", err)
	}
	return nil
}

// spreadOver returns when the i-th of n syncs is due that are spread over a time.
func spreadOver(spread time.Duration, i, n int, now time.Time) time.Time {
	if spread <= 0 || i == 0 {
		return time.Time{} // at once
	}
	return now.Add(time.Duration(float64(spread) * float64(i) / float64(n)))
}
