package nawasync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/tracker"
)

// SyncResult is what a sync did, or a plan would do.
type SyncResult struct {
	Listed    int64 `json:"listed"`    // objects that came, doubles included
	Created   int64 `json:"created"`   // rows added
	Updated   int64 `json:"updated"`   // rows written
	Unchanged int64 `json:"unchanged"` // rows not written
	InFlight  int64 `json:"in_flight"` // rows left alone, for a job changes them or has just done so
	Missing   int64 `json:"missing"`   // rows that the listing did not have
	Deleted   int64 `json:"deleted"`   // of them, deleted
	Kept      int64 `json:"kept"`      // of them, kept because a person said so
	// Drifted counts, by column, content that somebody else had changed at the remote;
	// Samples are some of them.
	Drifted map[string]int64 `json:"drifted,omitempty"`
	Samples []map[string]any `json:"samples,omitempty"`
	Proof   string           `json:"proof,omitempty"` // complete, exhausted or unproven
	// Held is the hold that keeps rows from being deleted; -1 in a plan of a run that
	// would be held.
	Held int64 `json:"held,omitempty"`
}

// What a result shows of drift, so that it is never too long to be kept.
const (
	maxSamples = 20
	maxSample  = 2048 // bytes of one
)

// add adds what a batch came to.
func (r *SyncResult) add(b *SyncResult) {
	r.Created += b.Created
	r.Updated += b.Updated
	r.Unchanged += b.Unchanged
	r.InFlight += b.InFlight
	for column, n := range b.Drifted {
		r.Drifted[column] += n
	}
	r.Samples = append(r.Samples, b.Samples[:min(len(b.Samples), maxSamples-len(r.Samples))]...)
}

func (r *SyncResult) drift(target, column string, local, remote any) {
	if r.Drifted == nil {
		r.Drifted = map[string]int64{}
	}
	r.Drifted[column]++
	if len(r.Samples) < maxSamples && len(fmt.Sprint(local))+len(fmt.Sprint(remote)) < maxSample {
		// Under the column's name, so that what Mask hides is hidden here too.
		r.Samples = append(r.Samples, map[string]any{"target_id": target, column: map[string]any{"local": local, "remote": remote}})
	}
}

func (r *SyncResult) clone() SyncResult {
	out := *r
	out.Drifted, out.Samples = maps.Clone(r.Drifted), slices.Clone(r.Samples)
	return out
}

// syncArgs are the arguments of a sync.
type syncArgs struct {
	kind    Kind
	target  Target
	queue   string
	Scope   map[string]json.RawMessage `json:"scope,omitempty"`
	Detail  string                     `json:"detail,omitempty"`
	Release int64                      `json:"release,omitempty"` // the hold whose rows may be deleted
}

func (a syncArgs) Kind() Kind     { return a.kind }
func (a syncArgs) Target() Target { return a.target }
func (a syncArgs) Queue() string  { return a.queue }

// Lane is the scope's: a light and a heavy listing do not run at once.
func (a syncArgs) Lane() string { return "sync\x00" + a.kind.Type + "\x00" + a.target.Instance }

// Unique lets one sync wait while one runs: more would find nothing else.
func (a syncArgs) Unique() Unique {
	return Unique{Key: fmt.Sprintf("%s/%d", a.target.ID, a.Release), UntilRunning: true}
}

// SyncArgs are the arguments of a repository's sync, for Engine.Schedule. It returns
// an error for a detail that the repository does not know.
func SyncArgs[T any](repository SyncedRepository[T], scope T, detail string) (Args, error) {
	r, ok := repository.(interface {
		syncArgs(scope reflect.Value, detail string) (syncArgs, error)
	})
	if !ok {
		return nil, fmt.Errorf("%w: %T is not made by NewRepository", ErrInvalid, repository)
	}
	return r.syncArgs(reflect.ValueOf(&scope).Elem(), detail)
}

func (r *repo) syncArgs(scope reflect.Value, detail string) (syncArgs, error) {
	if detail != "" && !slices.Contains(r.details, detail) {
		return syncArgs{}, fmt.Errorf("%w: %q is none of RepositoryConfig.Details: %s", ErrInvalid, detail, strings.Join(r.details, ", "))
	}
	fields, err := encodeFields(scope, r.model.scope)
	target := "all"
	if detail != "" {
		target += ":" + detail
	}
	return syncArgs{kind: r.kind(r.actions.Sync), target: Target{r.model.instance(scope), target}, queue: r.syncQueue, Scope: fields, Detail: detail}, err
}

func (r *repo) syncNow(ctx context.Context, scope reflect.Value, detail string, o Options) (*tracker.Job, error) {
	args, err := r.syncArgs(scope, detail)
	if err != nil {
		return nil, err
	}
	if r.tx != nil {
		return r.engine.DispatchTx(ctx, r.tx, args, o)
	}
	return r.engine.Dispatch(ctx, args, o)
}

func (r *repo) runSync(ctx context.Context, a *attempt, args *syncArgs) error {
	scope := r.model.newRow()
	if err := r.model.decode(scope, args.Scope); err != nil {
		return Permanent(err)
	}
	args.kind, args.queue = r.kind(r.actions.Sync), a.job.Queue
	args.target = Target{a.job.Instance, a.job.TargetID}
	s := &reconcile{r: r, a: a, scope: scope, args: args}
	err := s.run(ctx)
	a.SetResult(s.result)
	return err
}

func (r *repo) plan(ctx context.Context, scope reflect.Value, detail string) (SyncResult, error) {
	if r.remote == nil {
		return SyncResult{}, errors.New("nawasync: a plan needs the Remote, which this process has not")
	}
	args, err := r.syncArgs(scope, detail)
	if err != nil {
		return SyncResult{}, err
	}
	s := &reconcile{r: r, scope: scope, args: &args}
	err = s.run(ctx)
	return s.result, err
}

// ReleaseHold has a new listing made that may delete what a held sync found absent
// and is absent still. It returns tracker.ErrDecided for a hold that is open no more.
func (e *Engine) ReleaseHold(ctx context.Context, id int64, by string) (job *tracker.Job, err error) {
	if err := validateText("by", by, 0, 255); err != nil {
		return nil, err
	}
	hold, err := e.store.Hold(ctx, id)
	if err != nil {
		return nil, err
	}
	var stored heldArgs
	if err := json.Unmarshal(hold.Arguments, &stored); err != nil {
		return nil, fmt.Errorf("nawasync: the arguments of held sync %d: %w", id, err)
	}
	args := syncArgs{
		kind: Kind{hold.Service, hold.Type, stored.Action}, target: Target{hold.Instance, stored.Target}, queue: stored.Queue,
		Scope: stored.Scope, Detail: stored.Detail, Release: id,
	}
	err = e.repeated(ctx, func(tx *gorm.DB) error {
		if err := e.store.CloseHold(ctx, tx, id, tracker.HoldReleased, by); err != nil {
			return err
		}
		if job, err = e.DispatchTx(ctx, tx, args, Options{By: by}); err != nil {
			return err
		}
		return e.store.SetReleaseJob(ctx, tx, id, job.ID)
	})
	return job, err
}

// RejectHold keeps the rows that a held sync found absent, until they come back. It
// returns tracker.ErrDecided for a hold that is open no more.
func (e *Engine) RejectHold(ctx context.Context, id int64, by string) error {
	if err := validateText("by", by, 0, 255); err != nil {
		return err
	}
	return e.store.Repeated(ctx, func(tx *gorm.DB) error {
		return e.store.CloseHold(ctx, tx, id, tracker.HoldRejected, by)
	})
}

// heldArgs is what a hold keeps of its sync.
type heldArgs struct {
	Action string                     `json:"action"`
	Target string                     `json:"target"`
	Queue  string                     `json:"queue"`
	Scope  map[string]json.RawMessage `json:"scope,omitempty"`
	Detail string                     `json:"detail,omitempty"`
}
