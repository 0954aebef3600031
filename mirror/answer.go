package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// ErrNoConflict says that a job did not end with a conflict over a repository's row, or that
// the chosen answer is not possible for its conflict.
var ErrNoConflict = host.ErrNoConflict

// KeepTheirs answers a conflict by copying the remote object into the row. It returns the
// refresh job that copies the object. Its errors include nawasync.ErrNotFound and
// ErrNoConflict.
func KeepTheirs(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	a := answer{engine: engineOf(e), action: "keep_theirs", job: id, options: o}
	return a.dispatch(ctx, func(old *jobstore.Job) (nawasync.Args, nawasync.SyncState, error) {
		return refreshOf(old), "", nil
	})
}

// ApplyMine answers a conflict by applying the change on top of the remote's values at the time
// of the conflict. If the remote has changed again since then, the new job ends with another
// conflict. After a creation, the change is an update of the created object. ApplyMine returns the new
// job. Its errors include nawasync.ErrNotFound, ErrNoArguments and ErrSuperseded; and ErrNoConflict, also
// for a creation that found an object of another client.
func ApplyMine(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	a := answer{engine: engineOf(e), action: "apply_mine", job: id, options: o}
	return a.dispatch(ctx, func(old *jobstore.Job) (nawasync.Args, nawasync.SyncState, error) {
		m, err := conflictArgs(a.engine, old)
		if err != nil {
			return nil, "", err
		}
		values, err := old.ConflictValues()
		if err != nil {
			return nil, "", fmt.Errorf("job %d: %w: the remote's values are not stored", id, ErrNoConflict)
		}
		for column, c := range m.fields() {
			if remote, ok := values.Remote[column]; ok {
				basedOn(c, column, remote, values.Answers.Digests)
			}
		}
		m.Insisted = true
		return m, pendingState(m, old), nil
	})
}

// basedOn makes a change one of the value that the remote had at the time of the conflict. The stored value may
// be masked or shortened; its digest never is.
func basedOn(c *requestedChange, column string, remote json.RawMessage, digests []tracker.ValueDigest) {
	masked := strings.Contains(string(remote), secret.Masked)
	at := slices.IndexFunc(digests, func(d tracker.ValueDigest) bool { return d.Column == column })
	switch {
	case at >= 0:
		c.Digest = digests[at].Digest
		masked = masked || digests[at].Short
	case len(digests) > 0:
		return // the remote had the value that the user saw
	}
	if c.Also = nil; !masked {
		c.From, c.Seen = remote, ""
	}
}

// Accept answers a conflict by taking the remote's values for the wanted ones, for example because the
// remote stores them in another form. Other fields of the change are still written if the remote does not
// have their values. If the remote has changed again since the conflict, the new job ends with another
// conflict. Accept returns the new job, and the same errors as ApplyMine; and ErrNoConflict
// if the conflict is over a deletion or over a field with the tag exact.
func Accept(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	a := answer{engine: engineOf(e), action: "accept", job: id, options: o}
	return a.dispatch(ctx, func(old *jobstore.Job) (nawasync.Args, nawasync.SyncState, error) {
		values, err := old.ConflictValues()
		if err != nil || !values.Answers.Accept {
			return nil, "", fmt.Errorf("job %d: %w: the remote's values cannot be accepted for this change; keep theirs, or apply yours", id, ErrNoConflict)
		}
		if old.SnapshotState == nawasync.StatePendingCreate { // nothing is left to be written
			return refreshOf(old), "", nil
		}
		m, err := conflictArgs(a.engine, old)
		if err != nil {
			return nil, "", err
		}
		for column, c := range m.fields() {
			for _, d := range values.Answers.Digests {
				if d.Column == column {
					c.Digest = d.Digest
				}
			}
		}
		m.Accept = true
		return m, old.SnapshotState, nil
	})
}

// refreshOf returns the arguments of the job that copies the remote object into the row of a job.
func refreshOf(old *jobstore.Job) refreshArgs {
	return refreshArgs{
		kind:   nawasync.Kind{Service: old.Service, Type: old.Type, Action: tracker.RefreshAction},
		target: nawasync.Target{Instance: old.Instance, ID: old.TargetID}, queue: old.Queue, max: old.MaxAttempts, Row: old.SnapshotRow,
	}
}

// Overwrite answers a conflict by writing the change without regard to the remote's current
// values. It returns the new job, and the same errors as ApplyMine.
func Overwrite(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	a := answer{engine: engineOf(e), action: "overwrite", job: id, options: o}
	return a.dispatch(ctx, func(old *jobstore.Job) (nawasync.Args, nawasync.SyncState, error) {
		m, err := conflictArgs(a.engine, old)
		if err != nil {
			return nil, "", err
		}
		m.Force, m.Insisted = true, true
		return m, pendingState(m, old), nil
	})
}

// answer is an operator's answer to the conflict of a job.
type answer struct {
	engine  engine
	action  string // in the audit log
	job     int64
	options nawasync.OperatorOptions
}

// dispatch adds the job that carries out the answer, and an audit entry. build returns the
// job's arguments and the pending state of the row; "" leaves the row's state unchanged.
func (a answer) dispatch(ctx context.Context, build func(old *jobstore.Job) (nawasync.Args, nawasync.SyncState, error)) (*tracker.Job, error) {
	var job *tracker.Job
	err := a.engine.OperateOn(ctx, a.action, a.job, a.options, func(old *jobstore.Job, entry *tracker.AuditEntry) error {
		if !old.InConflict() {
			return fmt.Errorf("job %d is %s: %w", a.job, old.Status, ErrNoConflict)
		}
		args, state, err := build(old)
		if err != nil {
			return err
		}
		o := nawasync.Options{By: a.options.By, Source: nawasync.SourceRetry}
		if job, err = a.engine.FollowUp(ctx, old, args, o, state); err == nil {
			entry.Detail = fmt.Sprintf("job %d", job.ID)
		}
		return err
	})
	return job, err
}

// conflictArgs returns the arguments of a job that ended with a conflict over values. Those of a creation
// become an update of the object that it has created.
func conflictArgs(e engine, old *jobstore.Job) (*mutation, error) {
	if !old.Overwritable() {
		return nil, fmt.Errorf(
			"job %d: %w: the object existed before the creation wrote; keep theirs to copy its values into the row, then change the row",
			old.ID,
			ErrNoConflict,
		)
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
		target: nawasync.Target{Instance: old.Instance, ID: old.TargetID}, queue: old.Queue, max: old.MaxAttempts,
	}
	if err := json.Unmarshal(plain, m); err != nil {
		return nil, fmt.Errorf("job %d: %w: its arguments are not those of a repository's change", old.ID, ErrNoConflict)
	}
	if old.SnapshotState == nawasync.StatePendingCreate {
		return m.ofCreated(old)
	}
	return m, nil
}

// ofCreated returns the update that writes what a creation wanted to the object that it has created.
func (m *mutation) ofCreated(old *jobstore.Job) (*mutation, error) {
	values, err := old.ConflictValues()
	var result createResult
	if err == nil {
		err = json.Unmarshal(old.Result, &result)
	}
	if err != nil || result.Created == "" {
		return nil, fmt.Errorf("job %d: %w: its result does not name the created object", old.ID, ErrNoConflict)
	}
	update := &mutation{
		kind:     m.kind,
		target:   m.target,
		queue:    m.queue,
		max:      m.max,
		MaskKeys: m.MaskKeys,
		Key:      m.Key,
		Creation: old.ID,
		Changes:  map[string]*requestedChange{},
	}
	update.kind.Action, update.target.ID = values.Answers.Update, result.Created
	for column, want := range m.Want {
		differs := slices.ContainsFunc(values.Answers.Digests, func(d tracker.ValueDigest) bool { return d.Column == column })
		switch {
		case differs: // the stored remote value may be masked or shortened; see basedOn
			update.Changes[column] = &requestedChange{From: json.RawMessage("null"), To: want}
		case bytes.Equal(want, values.Remote[column]): // belongs to the change too: its group is written together
			update.Changes[column] = &requestedChange{From: want, To: want}
		}
	}
	return update, nil
}

// pendingState returns the state of a row whose conflict a change answers.
func pendingState(m *mutation, old *jobstore.Job) nawasync.SyncState {
	if m.Changes != nil {
		return nawasync.StatePendingUpdate
	}
	return old.SnapshotState
}
