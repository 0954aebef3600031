package mirror

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// ErrNoConflict says that a job is not one that ended with a conflict of a
// repository's row.
var ErrNoConflict = host.ErrNoConflict

// KeepTheirs answers a conflict by taking over what the remote has. It returns the job
// that does so, and nawasync.ErrNotFound or ErrNoConflict.
func KeepTheirs(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	eng := engineOf(e)
	return answerConflict(ctx, eng, "resync", id, o, func(old *jobstore.Job) (*tracker.Job, error) {
		args := refreshArgs{
			kind:   nawasync.Kind{Service: old.Service, Type: old.Type, Action: tracker.RefreshAction},
			target: nawasync.Target{Instance: old.Instance, ID: old.TargetID}, queue: old.Queue, Row: old.SnapshotRow,
		}
		return eng.FollowUp(ctx, old, args, answerOptions(o), "")
	})
}

// ApplyMine answers a conflict by changing what the remote had then: if it has that still,
// it is overwritten; if it is another again, that is another conflict. It returns the job
// that does so, and nawasync.ErrNotFound, ErrNoArguments or ErrSuperseded, or
// ErrNoConflict.
func ApplyMine(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	eng := engineOf(e)
	return answerConflict(ctx, eng, "rebase", id, o, func(old *jobstore.Job) (*tracker.Job, error) {
		m, err := conflictArgs(eng, old)
		if err != nil {
			return nil, err
		}
		values, err := old.ConflictValues()
		if err != nil {
			return nil, fmt.Errorf("job %d: %w: what the remote had is not kept", id, ErrNoConflict)
		}
		for _, changes := range []map[string]*fieldChange{m.Changes, m.Seen} {
			for column, c := range changes {
				remote, ok := values.Remote[column]
				if ok && string(remote) != `"`+secret.Masked+`"` {
					c.From, c.Also = remote, nil
				}
			}
		}
		return eng.FollowUp(ctx, old, m, answerOptions(o), old.SnapshotState)
	})
}

// Overwrite answers a conflict by writing what was wanted, whatever the remote has. It
// returns the job that does so, and errors as ApplyMine.
func Overwrite(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	eng := engineOf(e)
	return answerConflict(ctx, eng, "overwrite", id, o, func(old *jobstore.Job) (*tracker.Job, error) {
		m, err := conflictArgs(eng, old)
		if err != nil {
			return nil, err
		}
		m.Force = true
		return eng.FollowUp(ctx, old, m, answerOptions(o), old.SnapshotState)
	})
}

// answerConflict has a conflict of a row answered by a job.
func answerConflict(ctx context.Context, e engine, action string, id int64, o nawasync.OperatorOptions,
	dispatch func(old *jobstore.Job) (*tracker.Job, error),
) (*tracker.Job, error) {
	var job *tracker.Job
	err := e.OperateOn(ctx, action, id, o, func(old *jobstore.Job, entry *tracker.AuditEntry) (err error) {
		if old.Status != tracker.StatusConflict || old.SnapshotState == "" {
			return fmt.Errorf("job %d is %s: %w", id, old.Status, ErrNoConflict)
		}
		if job, err = dispatch(old); err == nil {
			entry.Detail = fmt.Sprintf("job %d", job.ID)
		}
		return err
	})
	return job, err
}

// conflictArgs are the arguments of a job that ended with a conflict over values.
func conflictArgs(e engine, old *jobstore.Job) (*mutation, error) {
	if old.SnapshotState == nawasync.StatePendingCreate {
		return nil, fmt.Errorf("job %d: %w: an object of somebody else's is not taken over; keep theirs, to see it", old.ID, ErrNoConflict)
	}
	if old.ArgumentsDropped() || len(old.Payload) == 0 {
		return nil, fmt.Errorf("job %d: %w", old.ID, nawasync.ErrNoArguments)
	}
	plain, err := e.Arguments(old)
	if err != nil {
		return nil, err
	}
	m := &mutation{
		kind:   nawasync.Kind{Service: old.Service, Type: old.Type, Action: old.Action},
		target: nawasync.Target{Instance: old.Instance, ID: old.TargetID}, queue: old.Queue,
	}
	if err := json.Unmarshal(plain, m); err != nil {
		return nil, fmt.Errorf("job %d: %w: its arguments are not a repository's", old.ID, ErrNoConflict)
	}
	return m, nil
}

func answerOptions(o nawasync.OperatorOptions) nawasync.Options {
	return nawasync.Options{By: o.By, Source: nawasync.SourceRetry}
}
