package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// syncArgs are the arguments of a sync.
type syncArgs struct {
	kind    nawasync.Kind
	target  nawasync.Target
	queue   string
	max     int                        // attempts; 0 is the default
	Scope   map[string]json.RawMessage `json:"scope,omitempty"`
	Detail  string                     `json:"detail,omitempty"`
	Release int64                      `json:"release,omitempty"` // id of the released hold, whose rows the sync may delete
	result  *nawasync.SyncResult       // of the attempt; nil before its end
}

func (a syncArgs) Kind() nawasync.Kind { return a.kind }

func (a syncArgs) Target() nawasync.Target { return a.target }

// Options puts all syncs of a scope into one lane, so that only one runs at a time. While one
// runs, at most one more of the same listing waits: a third would find nothing new.
func (a syncArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{
		Queue: a.queue, MaxAttempts: a.max, Lane: syncLane(a.kind.Type, a.target.Instance),
		UniqueKey: fmt.Sprintf("%s/%d", a.target.ID, a.Release), UniqueUntilRunning: true,
	}
}

// syncLane returns the lane of the syncs of a scope.
func syncLane(typ, instance string) string { return "sync\x00" + typ + "\x00" + instance }

func (r *repo) syncArgs(scope reflect.Value, detail string) (syncArgs, error) {
	if detail != "" && !slices.Contains(r.details, detail) {
		return syncArgs{}, fmt.Errorf("%w: the detail is %q; use one of Config.Details: %s", nawasync.ErrInvalid, detail, strings.Join(r.details, ", "))
	}
	target := "all"
	if detail != "" {
		target += ":" + detail
	}
	if r.coversAll(scope) {
		return syncArgs{kind: r.kind(r.actions.Sync), target: nawasync.Target{ID: target}, queue: r.syncQueue, Detail: detail}, nil
	}
	r.model.respell(scope)
	if err := r.model.checkScope(scope); err != nil {
		return syncArgs{}, err
	}
	fields, err := encodeFields(scope, r.model.scope)
	return syncArgs{
		kind: r.kind(r.actions.Sync), target: nawasync.Target{Instance: r.model.instance(scope), ID: target}, queue: r.syncQueue, max: r.sync.max, Scope: fields,
		Detail: detail,
	}, err
}

func (r *repo) syncNow(ctx context.Context, scope reflect.Value, detail string, o nawasync.Options) (*tracker.Job, error) {
	args, err := r.syncArgs(scope, detail)
	if err == nil {
		err = r.refuseGone(ctx, scope)
	}
	if err != nil {
		return nil, err
	}
	if r.tx != nil {
		return r.engine.DispatchTx(ctx, r.tx, args, o)
	}
	return r.engine.Dispatch(ctx, args, o)
}

func (r *repo) runSync(ctx context.Context, a host.Attempt, args *syncArgs) error {
	scope := r.model.newRow()
	if r.scopes != nil && a.Job().Instance == "" {
		return r.runSyncAll(ctx, a, args)
	}
	if err := r.model.decode(scope, args.Scope); err != nil {
		return nawasync.Permanent(err)
	}
	r.model.respell(scope) // an older release may have dispatched the job
	args.kind, args.queue = r.kind(r.actions.Sync), a.Job().Queue
	args.target = nawasync.Target{Instance: a.Job().Instance, ID: a.Job().TargetID}
	s := &reconcile{repo: r, attempt: a, scope: scope, args: args}
	if err := s.enterScope(ctx); err != nil {
		return err
	}
	err := s.run(ctx)
	a.SetResult(storedResult{s.result})
	args.result = &s.result
	if s.result.Created+s.result.Updated > 0 || a.Job().Epoch > 0 { // an earlier attempt may have changed rows
		r.notifyWith(ctx, a, err)
	}
	return err
}
