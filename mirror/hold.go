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

// ErrDecided says that a held sync has been decided on already, or is withdrawn.
var ErrDecided = jobstore.ErrDecided

// ReleaseHold dispatches a sync that may delete what a held sync found missing and is
// still missing then. It returns nawasync.ErrNotFound and ErrDecided.
func ReleaseHold(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (*tracker.Job, error) {
	var job *tracker.Job
	eng := engineOf(e)
	err := operateOnHold(ctx, eng, "release", id, o, func(tx *gorm.DB, hold *tracker.Hold, entry *tracker.AuditEntry) error {
		var stored heldArgs
		err := json.Unmarshal(hold.Arguments, &stored)
		if err != nil {
			return fmt.Errorf("the arguments of held sync %d: %w", id, err)
		}
		args := syncArgs{
			kind:   nawasync.Kind{Service: hold.Service, Type: hold.Type, Action: stored.Action},
			target: nawasync.Target{Instance: hold.Instance, ID: stored.Target}, queue: stored.Queue,
			Scope: stored.Scope, Detail: stored.Detail, Release: id,
		}
		if err := eng.Store().CloseHold(ctx, tx, id, tracker.HoldReleased, o.By); err != nil {
			return err
		}
		if job, err = eng.DispatchTx(ctx, tx, args, nawasync.Options{By: o.By}); err != nil {
			return err
		}
		entry.Detail = fmt.Sprintf("job %d", job.ID)
		return eng.Store().SetReleaseJob(ctx, tx, id, job.ID)
	})
	if err != nil {
		return nil, err
	}
	return job, nil
}

// RejectHold keeps the rows that a held sync found missing, until they come back. It
// returns nawasync.ErrNotFound and ErrDecided.
func RejectHold(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) error {
	eng := engineOf(e)
	return operateOnHold(ctx, eng, "reject", id, o, func(tx *gorm.DB, _ *tracker.Hold, _ *tracker.AuditEntry) error {
		return eng.Store().CloseHold(ctx, tx, id, tracker.HoldRejected, o.By)
	})
}

// operateOnHold decides on a held sync in a transaction, and adds that to the audit log.
func operateOnHold(ctx context.Context, e engine, action string, id int64, o nawasync.OperatorOptions,
	decide func(tx *gorm.DB, hold *tracker.Hold, entry *tracker.AuditEntry) error,
) error {
	return e.Operate(ctx, action, o, func(entry *tracker.AuditEntry) error {
		hold, err := e.Store().Hold(ctx, id)
		if err != nil {
			return err
		}
		entry.Service, entry.Type, entry.Instance, entry.JobID = hold.Service, hold.Type, hold.Instance, hold.JobID
		return e.InTx(ctx, func(tx *gorm.DB) error { return decide(tx, &hold, entry) })
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
