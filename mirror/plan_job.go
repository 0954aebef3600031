package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// planArgs are the arguments of a plan's job. Its target differs from that of a sync, so that a plan's success is not taken for one
// of a sync.
type planArgs struct{ syncArgs }

// Options puts the plan into the lane of the scope's syncs: a plan made while a sync writes would show neither state.
func (a planArgs) Options() nawasync.JobOptions {
	o := a.syncArgs.Options()
	o.UniqueUntilRunning = false
	return o
}

func (r *repo) planArgs(scope reflect.Value, detail string) (planArgs, error) {
	args, err := r.plannedArgs(scope, detail)
	args.kind = r.kind(tracker.PlanAction)
	if args.target.ID = "plan"; detail != "" {
		args.target.ID += ":" + detail
	}
	return planArgs{args}, err
}

func (r *repo) planNow(ctx context.Context, scope reflect.Value, detail string, o nawasync.Options) (*tracker.Job, error) {
	args, err := r.planArgs(scope, detail)
	if err != nil {
		return nil, err
	}
	if r.tx != nil {
		return r.engine.DispatchTx(ctx, r.tx, args, o)
	}
	return r.engine.Dispatch(ctx, args, o)
}

// runPlan runs the job of a plan.
func (r *repo) runPlan(ctx context.Context, a host.Attempt, args *planArgs) error {
	scope := r.model.newRow()
	if err := r.model.decode(scope, args.Scope); err != nil {
		return nawasync.Permanent(err)
	}
	r.model.respell(scope)
	args.kind, args.queue = r.kind(r.actions.Sync), a.Job().Queue
	args.target = nawasync.Target{Instance: a.Job().Instance, ID: a.Job().TargetID}
	result, err := r.plan(ctx, scope, &args.syncArgs, a)
	if err != nil {
		return limitRestarts(a, err)
	}
	result.Samples = nil // Planned has the values
	a.SetResult(storedResult{result})
	return nil
}

// limitRestarts ends the job of a plan that a rate limit has stopped maxRestarts times: each of its attempts lists from the beginning.
func limitRestarts(a host.Attempt, err error) error {
	if fault.ClassOf(err) != fault.ClassRateLimited || a.Job().Epoch < maxRestarts {
		return err
	}
	return nawasync.Permanent(fmt.Errorf("%w; the plan began %d times: it needs more calls than the remote's rate limit allows", err, maxRestarts+1))
}

// storedResult is the result of the job of a sync or a plan.
type storedResult struct{ nawasync.SyncResult }

// TargetKeys implements host.ResultWithTargets: a column that is masked has a count all the same, and the values of planned changes
// are masked already.
func (storedResult) TargetKeys() []string { return []string{"drifted", "planned"} }

// plan finds out what a sync would do. a is the attempt of the plan's job, or nil.
func (r *repo) plan(ctx context.Context, scope reflect.Value, args *syncArgs, a host.Attempt) (nawasync.SyncResult, error) {
	s := &reconcile{repo: r, scope: scope, args: args}
	s.plan.job = a
	err := s.run(ctx)
	s.plan.into(&s.result)
	return s.result, err
}

func (r *repo) planHere(ctx context.Context, scope reflect.Value, detail string) (nawasync.SyncResult, error) {
	if r.remote == nil {
		return nawasync.SyncResult{}, errors.New("plan the sync: this process has no Remote; set Config.Remote, or call PlanNow")
	}
	args, err := r.plannedArgs(scope, detail)
	if err != nil {
		return nawasync.SyncResult{}, err
	}
	return r.plan(ctx, scope, &args, nil)
}

// plannedArgs returns the arguments of the sync that is planned.
func (r *repo) plannedArgs(scope reflect.Value, detail string) (syncArgs, error) {
	args, err := r.syncArgs(scope, detail)
	if err == nil && r.coversAll(scope) {
		err = fmt.Errorf("%w: plan the sync: the scope is empty; plan one scope", nawasync.ErrInvalid)
	}
	return args, err
}

func (r *repo) planOf(ctx context.Context, scope reflect.Value, id int64) (result nawasync.SyncResult, err error) {
	job, err := r.engine.Store().Get(ctx, id)
	if err != nil {
		return result, err
	}
	if job.Service != r.service || job.Type != r.typ || job.Action != tracker.PlanAction || job.Instance != r.model.instance(scope) {
		return result, fmt.Errorf("plan %d of %s/%s: %w", id, r.service, r.typ, nawasync.ErrNotFound)
	}
	switch {
	case !job.Status.Terminal():
		return result, fmt.Errorf("plan %d: %w: it is %s", id, nawasync.ErrNotEnded, job.Status)
	case job.Status != tracker.StatusSuccess:
		return result, fmt.Errorf("plan %d is %s: %s", id, job.Status, job.Error)
	}
	if err := json.Unmarshal(job.Result, &result); err != nil {
		return result, fmt.Errorf("read the result of plan %d: %w", id, err)
	}
	return result, nil
}

func (r *repository[T]) Plan(ctx context.Context, scope T, detail string) (nawasync.SyncResult, error) {
	return r.planHere(ctx, reflect.ValueOf(&scope).Elem(), detail)
}

func (r *repository[T]) PlanNow(ctx context.Context, scope T, detail string, o nawasync.Options) (*tracker.Job, error) {
	return r.planNow(ctx, reflect.ValueOf(&scope).Elem(), detail, o)
}

func (r *repository[T]) PlanOf(ctx context.Context, scope T, job int64) (nawasync.SyncResult, error) {
	return r.planOf(ctx, r.model.respelled(reflect.ValueOf(&scope).Elem()), job)
}
