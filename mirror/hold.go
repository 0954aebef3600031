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
func ReleaseHold(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (job *tracker.Job, err error) {
	eng := engineOf(e)
	hold, err := eng.Store().Hold(ctx, id)
	if err != nil {
		return nil, err
	}
	var stored heldArgs
	if err := json.Unmarshal(hold.Arguments, &stored); err != nil {
		return nil, fmt.Errorf("the arguments of held sync %d: %w", id, err)
	}
	args := syncArgs{
		kind:   nawasync.Kind{Service: hold.Service, Type: hold.Type, Action: stored.Action},
		target: nawasync.Target{Instance: hold.Instance, ID: stored.Target}, queue: stored.Queue,
		Scope: stored.Scope, Detail: stored.Detail, Release: id,
	}
	err = eng.Operate(ctx, o, holdEntry("release", &hold), func() error {
		return eng.InTx(ctx, func(tx *gorm.DB) error {
			if err := eng.Store().CloseHold(ctx, tx, id, tracker.HoldReleased, o.By); err != nil {
				return err
			}
			if job, err = eng.DispatchTx(ctx, tx, args, nawasync.Options{By: o.By}); err != nil {
				return err
			}
			return eng.Store().SetReleaseJob(ctx, tx, id, job.ID)
		})
	})
	return job, err
}

// RejectHold keeps the rows that a held sync found missing, until they come back. It
// returns nawasync.ErrNotFound and ErrDecided.
func RejectHold(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) error {
	eng := engineOf(e)
	hold, err := eng.Store().Hold(ctx, id)
	if err != nil {
		return err
	}
	return eng.Operate(ctx, o, holdEntry("reject", &hold), func() error {
		return eng.Store().RetryTx(ctx, func(tx *gorm.DB) error {
			return eng.Store().CloseHold(ctx, tx, id, tracker.HoldRejected, o.By)
		})
	})
}

func holdEntry(action string, h *tracker.Hold) tracker.AuditEntry {
	return tracker.AuditEntry{Action: action, Service: h.Service, Type: h.Type, Instance: h.Instance, JobID: h.JobID}
}

// heldArgs is what a hold keeps of its sync.
type heldArgs struct {
	Action string                     `json:"action"`
	Target string                     `json:"target"`
	Queue  string                     `json:"queue"`
	Scope  map[string]json.RawMessage `json:"scope,omitempty"`
	Detail string                     `json:"detail,omitempty"`
}
