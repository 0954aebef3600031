package mirror

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

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
