package mirror

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

const (
	// maxFeedKeys is how many objects an attempt refreshes one by one. If a feed names more, a sync is cheaper.
	maxFeedKeys = 1000
	// storeAgain is how old the stored cursor of a feed may be that has nothing new. The pruner deletes the cursors of
	// feeds that nobody has read for 30 days.
	storeAgain = 24 * time.Hour
	// backlogWait is how long a feed waits while the service has too many open jobs.
	backlogWait = time.Minute
)

// changesArgs are the arguments of a job that reads a feed.
type changesArgs struct {
	kind   nawasync.Kind
	target nawasync.Target
	queue  string
	Scope  map[string]json.RawMessage `json:"scope,omitempty"`
}

func (a changesArgs) Kind() nawasync.Kind { return a.kind }

func (a changesArgs) Target() nawasync.Target { return a.target }

// Options gives the feed of a scope a lane of its own. While one job reads the feed, at most one more waits.
func (a changesArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{
		Queue: a.queue, Lane: "changes\x00" + a.kind.Type + "\x00" + a.target.Instance, UniqueKey: a.target.ID, UniqueUntilRunning: true,
	}
}

func (r *repo) changesArgs(scope reflect.Value) (changesArgs, error) {
	if err := r.supports(r.actions.Changes); err != nil {
		return changesArgs{}, err
	}
	r.model.respell(scope)
	fields, err := encodeFields(scope, r.model.scope)
	return changesArgs{
		kind: r.kind(r.actions.Changes), target: nawasync.Target{Instance: r.model.instance(scope), ID: "changes"}, queue: r.syncQueue, Scope: fields,
	}, err
}

// feedResult is the result of a job that reads a feed. It counts over all attempts of the job.
type feedResult struct {
	Read      int64    `json:"read"`                // changes that the feed had
	Refreshed int64    `json:"refreshed"`           // objects for which a refresh was dispatched
	Syncs     int64    `json:"syncs,omitempty"`     // syncs that were dispatched instead
	Reason    string   `json:"reason,omitempty"`    // why
	Refused   int64    `json:"refused,omitempty"`   // changes that name no object of the scope
	Refusals  []string `json:"refusals,omitempty"`  // some of them
	Resumed   bool     `json:"continued,omitempty"` // the feed went on in another attempt
}

// feed is one attempt of a job that reads a feed.
type feed struct {
	repo    *repo
	attempt host.Attempt
	scope   reflect.Value
	place   jobstore.FeedScope
	result  feedResult

	cursor string                             // where the feed begins; "" if there is no place
	stored time.Time                          // when that cursor was stored
	next   string                             // the last cursor of the feed
	keys   map[tracker.Identity]reflect.Value // objects to refresh
	full   string                             // why the scope is synced instead, or ""
	failed error                              // the error that ended the feed
}

// runChanges reads the feed of a scope, then dispatches the refreshes and stores the cursor in one transaction. A
// feed that ends early has the objects refreshed that it had named until then.
func (r *repo) runChanges(ctx context.Context, a host.Attempt, args *changesArgs) error {
	scope := r.model.newRow()
	if err := r.model.decode(scope, args.Scope); err != nil {
		return nawasync.Permanent(err)
	}
	r.model.respell(scope)
	f := &feed{repo: r, attempt: a, scope: scope, place: jobstore.FeedScope{Service: r.service, Type: r.typ, Instance: r.model.instance(scope)}}
	if earlier := a.Job().Result; len(earlier) > 0 && json.Unmarshal(earlier, &f.result) != nil {
		f.result = feedResult{}
	}
	err := f.run(ctx)
	a.SetResult(f.result)
	return err
}

func (f *feed) run(ctx context.Context) error {
	stored, at, err := f.repo.engine.Store().FeedCursor(ctx, f.place)
	if err != nil {
		return err
	}
	f.stored = at
	kind := f.repo.kind(f.repo.actions.Changes)
	if f.cursor = f.repo.engine.OpenCursor(kind, f.place.Instance, stored); f.cursor == "" {
		f.full = "the feed has no place yet"
		if len(stored) > 0 {
			f.full = "the stored place of the feed cannot be opened with the keys of this process"
		}
	}
	more := f.read(ctx)
	if errors.Is(f.failed, ErrCursorExpired) && f.cursor != "" {
		f.cursor, f.next, f.full, f.failed = "", "", "the remote no longer has the changes since the last time", nil
		more = f.read(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f.failed == nil && f.cursor == "" && f.next == "" {
		f.failed = fault.WithClass(fault.ClassConfig, errors.New("the feed has no cursor; yield a Change with a Cursor where the feed goes on"))
	}
	if f.cursor == "" && f.next == "" { // the changes from now on would be lost
		return f.failed
	}
	if err := f.store(ctx); err != nil {
		return errors.Join(err, f.failed)
	}
	if f.failed == nil && more {
		f.result.Resumed = true
		return nawasync.RetryAfter(0, errors.New("the feed has more; it goes on in another attempt, so that none reaches its timeout"))
	}
	return f.failed
}

// read reads the feed from the cursor. It stops after half of the time of an attempt, if the feed can go on
// there, and then reports more.
func (f *feed) read(ctx context.Context) (more bool) {
	began := time.Now()
	f.keys = map[tracker.Identity]reflect.Value{}
	for c, err := range f.repo.remote.changes(ctx, f.scope, f.cursor) {
		if err != nil {
			f.failed = err
			return false
		}
		f.add(c)
		if c.cursor != "" {
			f.next = c.cursor
			if time.Since(began) > f.repo.syncTimeout/2 {
				return true
			}
		}
	}
	return false
}

// add takes an object that the feed names.
func (f *feed) add(c erasedChange) {
	m := f.repo.model
	key := m.newRow()
	for _, field := range m.keyFields() {
		field.value(key).Set(field.value(c.key))
	}
	if !m.hasKey(key) {
		return // it only has a cursor
	}
	f.result.Read++
	for _, field := range m.scope {
		if field.value(key).IsZero() {
			field.value(key).Set(field.value(f.scope))
		}
	}
	args, err := f.repo.refreshKeyArgs(key)
	if err == nil {
		err = f.repo.engine.CheckTarget(args.target)
	}
	for _, field := range m.scope {
		if err == nil && (keyPart(field.value(key)) == "" || keyPart(field.value(f.scope)) != "" && !field.equal(key, f.scope)) {
			err = fmt.Errorf("its %s is %.80q, and the feed is that of %.80q", field.column, keyPart(field.value(key)), keyPart(field.value(f.scope)))
		}
	}
	switch {
	case err != nil:
		f.result.Refused++
		if len(f.result.Refusals) < maxRefusals {
			f.result.Refusals = append(f.result.Refusals, shorten(fmt.Sprintf("%.80q: %s", targetText(key, m.key), err)))
		}
	case len(f.keys) < maxFeedKeys:
		f.keys[m.keyIdentity(key)] = key
	case f.full == "":
		if _, known := f.keys[m.keyIdentity(key)]; !known {
			f.full = fmt.Sprintf("the feed named more than %d objects", maxFeedKeys)
		}
	}
}

// store dispatches what the feed asks for and stores its cursor, in one transaction that only the current attempt
// can commit.
func (f *feed) store(ctx context.Context) error {
	var syncs []nawasync.Args // read before the transaction, which has a connection of its own
	if f.full != "" {
		var err error
		if syncs, err = f.syncs(ctx); err != nil {
			return err
		}
	}
	result := f.result
	err := f.repo.engine.InTx(ctx, func(tx *gorm.DB) error {
		result = f.result // discard the counts of a transaction that is retried
		s := &reconcile{repo: f.repo, attempt: f.attempt}
		return s.fence(ctx, tx, func(db *gorm.DB) error {
			if err := f.dispatch(ctx, tx, syncs, &result); err != nil {
				return err
			}
			return f.storeCursor(ctx, db)
		})
	})
	if errors.Is(err, nawasync.ErrBacklogFull) {
		return nawasync.RetryAfter(backlogWait, err)
	}
	if err == nil {
		f.result = result
	}
	return err
}

// storeCursor stores where the feed goes on.
func (f *feed) storeCursor(ctx context.Context, tx *gorm.DB) error {
	store, next := f.repo.engine.Store(), cmp.Or(f.next, f.cursor)
	if next == f.cursor && store.Now().Sub(f.stored) < storeAgain {
		return nil
	}
	sealed, err := f.repo.engine.SealCursor(f.repo.kind(f.repo.actions.Changes), f.place.Instance, next)
	if err != nil {
		return err
	}
	return store.SetFeedCursor(ctx, tx, f.place, sealed)
}

// dispatch dispatches the refreshes of the keys or, if that is not enough, the given syncs.
func (f *feed) dispatch(ctx context.Context, tx *gorm.DB, syncs []nawasync.Args, result *feedResult) error {
	o := nawasync.Options{By: f.attempt.Job().TriggeredBy, Source: nawasync.SourceEvent}
	if f.full == "" {
		inside := *f.repo
		inside.tx = tx
		keys := make([]reflect.Value, 0, len(f.keys))
		for _, key := range f.keys {
			keys = append(keys, key)
		}
		if len(keys) == 0 {
			return nil
		}
		jobs, err := inside.refreshKeys(ctx, keys, o)
		result.Refreshed += int64(len(jobs))
		return err
	}
	for chunk := range slices.Chunk(syncs, maxAllChunk) {
		if _, err := f.repo.engine.DispatchManyTx(ctx, tx, chunk, o); err != nil {
			return fmt.Errorf("sync instead, because %s: %w", f.full, err)
		}
	}
	result.Syncs, result.Reason = result.Syncs+int64(len(syncs)), f.full
	return nil
}
