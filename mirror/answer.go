package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// ErrNoConflict says that a job is not one that ended with a conflict of a
// repository's row.
var ErrNoConflict = errors.New("nawasync: the job did not end with a conflict that can be answered so")

// KeepTheirs answers a conflict by taking over what the remote has.
func KeepTheirs(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	eng := engineOf(e)
	old, err := loadConflict(ctx, eng, id, o)
	if err != nil {
		return nil, err
	}
	args := refreshArgs{kind: nawasync.Kind{Service: old.Service, Type: old.Type, Action: tracker.RefreshAction}, target: nawasync.Target{Instance: old.Instance, ID: old.TargetID}, queue: old.Queue, Row: old.SnapshotRow}
	return eng.FollowUp(ctx, old, args, answerOptions(o), "")
}

// Rebase answers a conflict by changing what the remote had then: if it has that
// still, it is overwritten; if it is another again, that is another conflict.
func Rebase(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	eng := engineOf(e)
	old, m, err := loadConflictArgs(ctx, eng, id, o)
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
	return eng.FollowUp(ctx, old, m, answerOptions(o), old.SnapshotState)
}

// Overwrite answers a conflict by writing what was wanted, whatever the remote has.
func Overwrite(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	eng := engineOf(e)
	old, m, err := loadConflictArgs(ctx, eng, id, o)
	if err != nil {
		return nil, err
	}
	m.Force = true
	return eng.FollowUp(ctx, old, m, answerOptions(o), old.SnapshotState)
}

func loadConflict(ctx context.Context, e engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	if err := e.CheckOperator(o); err != nil {
		return nil, err
	}
	old, err := e.Store().Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if old.Status != tracker.Conflict || old.SnapshotState == "" {
		return nil, fmt.Errorf("job %d is %s: %w", id, old.Status, ErrNoConflict)
	}
	return old, nil
}

// loadConflictArgs returns a conflict over values, with the arguments of its job.
func loadConflictArgs(ctx context.Context, e engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, *mutation, error) {
	old, err := loadConflict(ctx, e, id, o)
	if err != nil {
		return nil, nil, err
	}
	if old.SnapshotState == nawasync.StatePendingCreate {
		return nil, nil, fmt.Errorf("job %d: %w: an object of somebody else's is not taken over; keep theirs, to see it", id, ErrNoConflict)
	}
	if old.ArgumentsDropped() || len(old.Payload) == 0 {
		return nil, nil, fmt.Errorf("job %d: %w", id, nawasync.ErrNoArguments)
	}
	plain, err := e.Arguments(old)
	if err != nil {
		return nil, nil, err
	}
	m := &mutation{kind: nawasync.Kind{Service: old.Service, Type: old.Type, Action: old.Action}, target: nawasync.Target{Instance: old.Instance, ID: old.TargetID}, queue: old.Queue}
	if err := json.Unmarshal(plain, m); err != nil {
		return nil, nil, fmt.Errorf("job %d: %w: its arguments are not a repository's", id, ErrNoConflict)
	}
	return old, m, nil
}

func answerOptions(o nawasync.OperatorOptions) nawasync.Options {
	return nawasync.Options{By: o.By, Source: nawasync.SourceRetry}
}
