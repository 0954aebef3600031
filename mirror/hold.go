package mirror

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// ErrDecided says that a held sync was already released, rejected or withdrawn.
var ErrDecided = jobstore.ErrDecided

// ReleaseHold dispatches a sync that may delete the rows of a held sync that are still missing
// when it runs. It returns the new job, nawasync.ErrNotFound or ErrDecided.
func ReleaseHold(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	var job *tracker.Job
	d := holdDecision{engine: engineOf(e), action: "release", hold: id, options: o}
	err := d.apply(ctx, func(tx *gorm.DB, hold *tracker.Hold, entry *tracker.AuditEntry) error {
		var stored heldArgs
		err := json.Unmarshal(hold.Arguments, &stored)
		if err != nil {
			return fmt.Errorf("decode the arguments of held sync %d: %w", id, err)
		}
		args := syncArgs{
			kind:   nawasync.Kind{Service: hold.Service, Type: hold.Type, Action: stored.Action},
			target: nawasync.Target{Instance: hold.Instance, ID: stored.Target}, queue: stored.Queue, max: stored.Max,
			Scope: stored.Scope, Detail: stored.Detail, Release: id,
		}
		if err := d.engine.Store().CloseHold(ctx, tx, id, tracker.HoldReleased, o.By); err != nil {
			return err
		}
		if job, err = d.engine.DispatchTx(ctx, tx, args, nawasync.Options{By: o.By}); err != nil {
			return err
		}
		entry.Detail = fmt.Sprintf("job %d", job.ID)
		return d.engine.Store().SetReleaseJob(ctx, tx, id, job.ID)
	})
	if err != nil {
		return nil, err
	}
	return job, nil
}

// RejectHold keeps the missing rows of a held sync. Syncs do not delete them; the rejection of
// a row ends when the row is listed again. It returns nawasync.ErrNotFound or ErrDecided.
func RejectHold(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) error {
	d := holdDecision{engine: engineOf(e), action: "reject", hold: id, options: o}
	return d.apply(ctx, func(tx *gorm.DB, _ *tracker.Hold, _ *tracker.AuditEntry) error {
		return d.engine.Store().CloseHold(ctx, tx, id, tracker.HoldRejected, o.By)
	})
}

// holdDecision is an operator's decision about a held sync.
type holdDecision struct {
	engine  engine
	action  string // in the audit log
	hold    int64
	options nawasync.OperatorOptions
}

// apply runs decide in a transaction, and adds the decision to the audit log.
func (d holdDecision) apply(ctx context.Context, decide func(tx *gorm.DB, hold *tracker.Hold, entry *tracker.AuditEntry) error) error {
	return d.engine.Operate(ctx, d.action, d.options, func(entry *tracker.AuditEntry) error {
		hold, err := d.engine.Store().Hold(ctx, d.hold)
		if err != nil {
			return err
		}
		entry.Service, entry.Type, entry.Instance, entry.JobID = hold.Service, hold.Type, hold.Instance, hold.JobID
		return d.engine.InTx(ctx, func(tx *gorm.DB) error { return decide(tx, &hold, entry) })
	})
}

// heldArgs holds the arguments of a held sync, so that its release can dispatch the sync again.
type heldArgs struct {
	Action string                     `json:"action"`
	Target string                     `json:"target"`
	Queue  string                     `json:"queue"`
	Max    int                        `json:"max_attempts,omitempty"`
	Scope  map[string]json.RawMessage `json:"scope,omitempty"`
	Detail string                     `json:"detail,omitempty"`
}
