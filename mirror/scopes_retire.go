package mirror

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// retireRows is how many rows one transaction hides, or makes visible again.
const retireRows = 500

// retireArgs are the arguments of the job that hides the rows of a scope that is gone.
type retireArgs struct {
	kind   nawasync.Kind
	target nawasync.Target
	queue  string
}

func (a retireArgs) Kind() nawasync.Kind { return a.kind }

func (a retireArgs) Target() nawasync.Target { return a.target }

// Options puts the job into the lane of the scope's syncs, which must not run meanwhile.
func (a retireArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{Queue: a.queue, Lane: syncLane(a.kind.Type, a.target.Instance), UniqueKey: "all", UniqueUntilRunning: true}
}

func (r *repo) retireArgs(instance string) retireArgs {
	return retireArgs{kind: r.kind(tracker.RetireAction), target: nawasync.Target{Instance: instance, ID: "all"}, queue: r.syncQueue}
}

// retireResult is the result of a job with tracker.RetireAction.
type retireResult struct {
	Retired int64 `json:"retired"`          // rows that are hidden now
	Purged  int64 `json:"purged,omitempty"` // rows that were removed, because they were deleted 30 days ago
}

// runRetire hides the rows of a scope that is gone, as deleted rows are hidden, and closes its hold. Later it
// removes the rows that were deleted long ago; without any row left, the scope is forgotten.
func (r *repo) runRetire(ctx context.Context, a host.Attempt, _ *retireArgs) error {
	job := a.Job()
	instance := job.Instance
	scope, err := r.model.scopeOf(instance)
	if err != nil {
		return nawasync.Permanent(err)
	}
	s := &reconcile{repo: r, attempt: a, scope: scope, args: &syncArgs{target: nawasync.Target{Instance: instance, ID: job.TargetID}}}
	t := &retirement{reconcile: s, key: r.listedKey(instance)}
	err = t.run(ctx)
	a.SetResult(retireResult{Retired: t.retired, Purged: s.result.Purged})
	return err
}

// retirement is one attempt of a job that hides the rows of a scope.
type retirement struct {
	*reconcile

	key     jobstore.HoldScope
	job     int64 // what deleted_job_id of the hidden rows is
	retired int64
}

func (t *retirement) run(ctx context.Context) error {
	if err := t.begin(ctx); err != nil || t.job == 0 {
		return err
	}
	for after, more := int64(0), true; more; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var hidden int64
		err := t.stillGone(ctx, func(tx *gorm.DB) (err error) {
			hidden, after, more, err = t.hide(ctx, tx, after)
			return err
		})
		if err != nil {
			return err
		}
		t.retired += hidden
	}
	for purged := int64(-1); purged != t.result.Purged; {
		purged = t.result.Purged
		if err := t.purge(ctx); err != nil {
			return err
		}
	}
	if err := t.stillGone(ctx, func(tx *gorm.DB) error { return t.finish(ctx, tx) }); err != nil {
		return err
	}
	t.repo.scopes.parent.notifyWith(ctx, t.attempt, nil) // another row may stand for the scope by now
	t.repo.notifyWith(ctx, t.attempt, nil)               // the hidden rows may be scopes themselves
	return nil
}

// stillGone runs fn in a transaction in which the scope stays gone. A scope that is listed again ends the job.
func (t *retirement) stillGone(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return t.fenced(ctx, func(tx *gorm.DB) error {
		l, err := t.repo.engine.Store().LockListed(ctx, tx, t.key)
		if err != nil {
			return err
		}
		if l == nil || !l.Gone() {
			return nawasync.Skip("the scope is listed again")
		}
		return fn(tx)
	})
}

// begin closes the open hold, and records which job hides the rows before it hides the first one.
func (t *retirement) begin(ctx context.Context) error {
	store := t.repo.engine.Store()
	return t.stillGone(ctx, func(tx *gorm.DB) error {
		l, err := store.LockListed(ctx, tx, t.key)
		if err != nil {
			return err
		}
		if t.job = l.RetiredJob; t.job == 0 {
			t.job = t.attempt.Job().ID
		}
		if err := store.SetRetiring(ctx, tx, t.key, t.job); err != nil {
			return err
		}
		open, err := store.OpenHold(ctx, t.key.Service, t.key.Type, t.key.Instance)
		if err != nil || open == nil {
			return err
		}
		return store.CloseHold(ctx, tx, open.ID, tracker.HoldWithdrawn, "nawasync")
	})
}

// finish records that the rows are hidden, or forgets the scope if it has none.
func (t *retirement) finish(ctx context.Context, tx *gorm.DB) error {
	where, args := t.inScope()
	var left []int64
	err := tx.Table(t.repo.model.table).Where(where+"1 = 1", args...).Limit(1).Pluck("id", &left).Error
	if err != nil {
		return fmt.Errorf("read %s: %w", t.repo.model.table, err)
	}
	l, err := t.repo.engine.Store().LockListed(ctx, tx, t.key)
	if err != nil {
		return err
	}
	if len(left) == 0 && t.repo.engine.Store().Now().Sub(l.GoneAt) > deletedRetention {
		if err := t.repo.dropCursor(ctx, tx, t.key.Instance); err != nil {
			return err
		}
		return t.repo.engine.Store().DropListed(ctx, tx, t.key)
	}
	return t.repo.engine.Store().SetRetired(ctx, tx, t.key)
}

// dropCursor forgets where the feed of a scope goes on.
func (r *repo) dropCursor(ctx context.Context, tx *gorm.DB, instance string) error {
	return r.engine.Store().DropFeedCursor(ctx, tx, jobstore.FeedScope{Service: r.service, Type: r.typ, Instance: instance})
}

// retiredColumns are the columns that hide a row. sync_job_id keeps the jobs of the row from changing it.
var retiredColumns = append(slices.Clone(deletedColumns), "sync_job_id")

// hide hides the next rows after an id.
func (t *retirement) hide(ctx context.Context, tx *gorm.DB, after int64) (hidden, last int64, more bool, err error) {
	where, args := t.inScope()
	found := reflect.New(reflect.SliceOf(t.repo.model.schema.ModelType))
	query := t.repo.forUpdate(tx.Unscoped().Table(t.repo.model.table)).Select(t.repo.columns()).
		Where(where+"deleted_at IS NULL AND id > ?", append(args, after)...).Order("id").Limit(retireRows)
	if err := t.repo.model.readRows(query, found, nil); err != nil {
		return 0, after, false, fmt.Errorf("read %s: %w", t.repo.model.table, err)
	}
	now := nawasync.Timestamp{Time: t.repo.engine.Store().Now()}
	var params [][]any
	var changes []tracker.Change
	last = after
	for i := range found.Elem().Len() {
		row := found.Elem().Index(i)
		last = t.repo.model.idOf(row)
		identity := jobrow.RowIdentity(last)
		params = append(params, []any{last, identity[:], string(tracker.StateDeleted), rememberState(t.repo.status(row)), now, t.job, t.job})
		t.record(&changes, row, tracker.ChangeDeleted, nil)
	}
	if len(params) == 0 {
		return 0, last, false, nil
	}
	if err := t.repo.table.Update(tx, retiredColumns, params); err != nil {
		return 0, last, false, fmt.Errorf("hide rows of %s: %w", t.repo.model.table, err)
	}
	t.recordedCount.Add(int64(len(changes)))
	return int64(len(params)), last, len(params) == retireRows, t.repo.engine.Store().AddChanges(ctx, tx, changes)
}
