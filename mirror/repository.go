package mirror

import (
	"context"
	"iter"
	"reflect"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// repo is a repository without its type parameter.
type repo struct {
	engine       engine
	model        *model
	remote       erasedRemote // nil if this process only dispatches
	can          support
	service, typ string
	actions      Actions

	queue, syncQueue     string
	timeout, syncTimeout time.Duration
	calls                int // of a change
	change, sync         attempts
	onSuccess            func(ctx context.Context, e endedJob) error // nil if Config has none
	search, details      []string
	missingRuns          int
	settle               time.Duration // 0 if the remote shows each write at once
	author               string
	maskKeys             []string // extra keys for secret.Mask
	limit                func(int64) int64

	getSupport *atomic.Int32 // whether the remote has a Get; shared by the copies of WithTx

	table        *bulk.Table
	tableColumns map[string]tableColumn // read once by New

	quoted   string // the table's quoted name
	status   func(reflect.Value) *nawasync.SyncStatus
	revealer *secret.Revealer
	tx       *gorm.DB // set by WithTx only

	scopes    *scopeSource // Config.Scopes; nil if the host decides what is synced
	spread    time.Duration
	followers *followers // whose scopes the rows are; shared by the copies of WithTx

	columnsChecked *atomic.Bool // a sync of this process has read rows back (readBack)
	tableRespelled *atomic.Bool // a sync of this process has rewritten the old rows of the table (respellRows)
}

func (r *repo) kind(action string) nawasync.Kind {
	return nawasync.Kind{Service: r.service, Type: r.typ, Action: action}
}

// db returns the session for reads. It has none of the host application's conditions, hooks and
// loggers.
func (r *repo) db(ctx context.Context) *gorm.DB {
	if r.tx != nil {
		return sqlkit.Primary(ctx, r.tx)
	}
	return sqlkit.Primary(ctx, r.engine.DB())
}

// inTx runs fn in the transaction of WithTx or, without one, in a new transaction.
func (r *repo) inTx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	if r.tx != nil {
		return fn(r.tx)
	}
	return r.engine.InTx(ctx, fn)
}

// repository is a repo with its type parameter.
type repository[T any] struct{ *repo }

func (r *repository[T]) WithTx(tx *gorm.DB) nawasync.SyncedRepository[T] {
	inside := *r.repo
	inside.tx = tx
	return &repository[T]{&inside}
}

func (r *repository[T]) Create(ctx context.Context, want T, o nawasync.Options) (*tracker.Job, error) {
	return r.createRow(ctx, reflect.ValueOf(&want).Elem(), o)
}

func (r *repository[T]) Update(ctx context.Context, seen T, change func(*T), o nawasync.Options) (*tracker.Job, error) {
	from := reflect.ValueOf(&seen).Elem()
	want := deepCopy(from)
	change(want.Addr().Interface().(*T))
	return r.updateRow(ctx, from, want, o)
}

func (r *repository[T]) Delete(ctx context.Context, seen T, o nawasync.Options) (*tracker.Job, error) {
	return r.deleteRow(ctx, reflect.ValueOf(&seen).Elem(), o)
}

func (r *repository[T]) Dispatch(ctx context.Context, seen T, args nawasync.Args, o nawasync.Options) (*tracker.Job, error) {
	return r.dispatchOwn(ctx, reflect.ValueOf(&seen).Elem(), args, o)
}

func (r *repository[T]) SyncNow(ctx context.Context, scope T, detail string, o nawasync.Options) (*tracker.Job, error) {
	return r.syncNow(ctx, reflect.ValueOf(&scope).Elem(), detail, o)
}

func (r *repository[T]) SyncArgs(scope T, detail string) (nawasync.Args, error) {
	return r.syncArgs(reflect.ValueOf(&scope).Elem(), detail)
}

func (r *repository[T]) ChangesArgs(scope T) (nawasync.Args, error) {
	return r.changesArgs(reflect.ValueOf(&scope).Elem())
}

func (r *repository[T]) Refresh(ctx context.Context, id int64, o nawasync.Options) (*tracker.Job, error) {
	return r.refreshRow(ctx, id, o)
}

func (r *repository[T]) RefreshKey(ctx context.Context, key T, o nawasync.Options) (*tracker.Job, error) {
	jobs, err := r.refreshKeys(ctx, []reflect.Value{reflect.ValueOf(&key).Elem()}, o)
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

func (r *repository[T]) List(ctx context.Context, q nawasync.Query) (nawasync.ListResult[T], error) {
	page, err := r.listRows(ctx, q)
	if err != nil {
		return nawasync.ListResult[T]{}, err
	}
	result := nawasync.ListResult[T]{Items: page.items.Elem().Interface().([]T), Next: page.next, Prev: page.prev, Total: page.total, More: page.more}
	if q.Wishes {
		if result.Wishes, err = r.LayWishes(ctx, result.Items); err != nil {
			return nawasync.ListResult[T]{}, err
		}
	}
	return result, nil
}

func (r *repository[T]) Find(ctx context.Context, id int64) (T, error) {
	var found T
	err := r.findRow(ctx, reflect.ValueOf(&found), "id = ?", id)
	return found, err
}

func (r *repository[T]) FindIn(ctx context.Context, scope T, id int64) (T, error) {
	var found T
	err := r.findInScope(ctx, reflect.ValueOf(&found), reflect.ValueOf(&scope).Elem(), id)
	return found, err
}

func (r *repository[T]) Seen(ctx context.Context, row T, user string) (string, error) {
	return r.seenToken(ctx, reflect.ValueOf(&row).Elem(), user)
}

func (r *repository[T]) ParseSeen(ctx context.Context, of T, user, token string) (T, error) {
	var found T
	err := r.parseSeen(ctx, reflect.ValueOf(&found), reflect.ValueOf(&of).Elem(), user, token)
	return found, err
}

func (r *repository[T]) FindKey(ctx context.Context, key T) (T, error) {
	var found T
	err := r.findKey(ctx, reflect.ValueOf(&found), r.model.respelled(reflect.ValueOf(&key).Elem()))
	return found, err
}

func (r *repository[T]) All(ctx context.Context, q nawasync.Query) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for batch, err := range r.streamRows(ctx, q) {
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range batch.Elem().Interface().([]T) {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

func (r *repository[T]) LastSyncedAt(ctx context.Context, scope T) (time.Time, error) {
	at, _, err := r.engine.Store().LastSuccess(ctx, r.service, r.typ, r.actions.Sync, r.instanceOf(reflect.ValueOf(&scope).Elem()))
	return at, err
}
