package nawasync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// ErrNoConflict says that a job is not one that ended with a conflict of a
// repository's row.
var ErrNoConflict = errors.New("nawasync: the job did not end with a conflict that can be answered so")

// Resync answers a conflict by taking over what the remote has.
func (e *Engine) Resync(ctx context.Context, id int64, by string) (*tracker.Job, error) {
	old, err := e.conflicted(ctx, id, by)
	if err != nil {
		return nil, err
	}
	args := refreshArgs{kind: Kind{old.Service, old.Type, tracker.RefreshAction}, target: Target{old.Instance, old.TargetID}, queue: old.Queue, Row: old.SnapshotRow}
	return e.answer(ctx, old, args, by, "")
}

// Rebase answers a conflict by changing what the remote had then: if it has that
// still, it is overwritten; if it is another again, that is another conflict.
func (e *Engine) Rebase(ctx context.Context, id int64, by string) (*tracker.Job, error) {
	old, m, err := e.disputed(ctx, id, by)
	if err != nil {
		return nil, err
	}
	var detail struct {
		Remote map[string]json.RawMessage `json:"remote"`
	}
	if err := json.Unmarshal(old.Diff, &detail); err != nil {
		return nil, fmt.Errorf("job %d: %w: what the remote had is not kept", id, ErrNoConflict)
	}
	for _, changes := range []map[string]*fieldChange{m.Changes, m.Seen} {
		for column, c := range changes {
			remote, ok := detail.Remote[column]
			if ok && string(remote) != `"`+secret.Masked+`"` {
				c.From, c.Also = remote, nil
			}
		}
	}
	return e.answer(ctx, old, m, by, old.SnapshotState)
}

// Overwrite answers a conflict by writing what was wanted, whatever the remote has.
func (e *Engine) Overwrite(ctx context.Context, id int64, by string) (*tracker.Job, error) {
	old, m, err := e.disputed(ctx, id, by)
	if err != nil {
		return nil, err
	}
	m.Force = true
	return e.answer(ctx, old, m, by, old.SnapshotState)
}

func (e *Engine) conflicted(ctx context.Context, id int64, by string) (*tracker.Job, error) {
	if err := validateText("by", by, 0, 255); err != nil {
		return nil, err
	}
	old, err := e.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if old.Status != tracker.Conflict || old.SnapshotState == "" {
		return nil, fmt.Errorf("job %d is %s: %w", id, old.Status, ErrNoConflict)
	}
	return old, nil
}

// disputed is a conflict over values, with the arguments of its job.
func (e *Engine) disputed(ctx context.Context, id int64, by string) (*tracker.Job, *mutation, error) {
	old, err := e.conflicted(ctx, id, by)
	if err != nil {
		return nil, nil, err
	}
	if old.SnapshotState == StatePendingCreate {
		return nil, nil, fmt.Errorf("job %d: %w: an object of somebody else's is not taken over; resync shows it", id, ErrNoConflict)
	}
	if old.ArgumentsDropped() || len(old.Payload) == 0 {
		return nil, nil, fmt.Errorf("job %d: %w", id, ErrNoArguments)
	}
	plain, err := e.arguments(old)
	if err != nil {
		return nil, nil, err
	}
	m := &mutation{kind: Kind{old.Service, old.Type, old.Action}, target: Target{old.Instance, old.TargetID}, queue: old.Queue}
	if err := json.Unmarshal(plain, m); err != nil {
		return nil, nil, fmt.Errorf("job %d: %w: its arguments are not a repository's", id, ErrNoConflict)
	}
	return old, m, nil
}

func (e *Engine) answer(ctx context.Context, old *tracker.Job, args Args, by string, state SyncState) (*tracker.Job, error) {
	if newer, err := e.store.NewerSuccess(ctx, old); err != nil {
		return nil, err
	} else if newer != 0 && state != "" {
		return nil, fmt.Errorf("answer job %d: %w (job %d)", old.ID, ErrSuperseded, newer)
	}
	ctx, span := e.telemetry.dispatch(ctx)
	defer span.End()
	job, err := e.newJob(args, Options{By: by, Source: SourceRetry})
	if err != nil {
		return nil, err
	}
	job.Trace, job.RetryOf, job.Lane = traceparent(ctx), old.ID, old.Lane
	job.SnapshotTable, job.SnapshotRow, job.SnapshotState = old.SnapshotTable, old.SnapshotRow, state
	if err := e.again(ctx, job); err != nil {
		return nil, err
	}
	e.telemetry.dispatched(ctx, span, []*tracker.Job{job})
	return job, nil
}
