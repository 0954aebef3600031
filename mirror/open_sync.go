package mirror

import (
	"context"
	"reflect"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// openSync returns the open sync of a scope. All syncs of a scope are in one lane, which the jobs table has an index on.
func (r *repo) openSync(ctx context.Context, scope reflect.Value) (*tracker.Job, error) {
	args, err := r.syncArgs(scope, "")
	if err != nil {
		return nil, err
	}
	job, err := r.engine.Store().OpenInLane(ctx, r.db(ctx), jobstore.OpenIn{
		Service: r.service, Lane: args.Options().Lane, Type: r.typ, Action: r.actions.Sync, Instance: args.target.Instance,
	})
	if err != nil {
		return nil, err
	}
	return &job.Job, nil
}

func (r *repository[T]) OpenSync(ctx context.Context, scope T) (*tracker.Job, error) {
	return r.openSync(ctx, reflect.ValueOf(&scope).Elem())
}

func (r *repository[T]) LayWishes(ctx context.Context, rows []T) (map[int64]nawasync.Wish, error) {
	return r.layWishes(ctx, reflect.ValueOf(rows))
}
