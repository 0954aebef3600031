package mirror

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// ReleaseHold has a new listing made that may delete what a held sync found absent
// and is absent still. It returns tracker.ErrDecided for a hold that is open no more.
func ReleaseHold(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) (job *tracker.Job, err error) {
	eng := engineOf(e)
	if err := eng.CheckOperator(o); err != nil {
		return nil, err
	}
	hold, err := eng.Store().Hold(ctx, id)
	if err != nil {
		return nil, err
	}
	var stored heldArgs
	if err := json.Unmarshal(hold.Arguments, &stored); err != nil {
		return nil, fmt.Errorf("nawasync: the arguments of held sync %d: %w", id, err)
	}
	args := syncArgs{
		kind: nawasync.Kind{Service: hold.Service, Type: hold.Type, Action: stored.Action}, target: nawasync.Target{Instance: hold.Instance, ID: stored.Target}, queue: stored.Queue,
		Scope: stored.Scope, Detail: stored.Detail, Release: id,
	}
	err = eng.InTx(ctx, func(tx *gorm.DB) error {
		if err := eng.Store().CloseHold(ctx, tx, id, tracker.HoldReleased, o.By); err != nil {
			return err
		}
		if job, err = eng.DispatchTx(ctx, tx, args, nawasync.Options{By: o.By}); err != nil {
			return err
		}
		return eng.Store().SetReleaseJob(ctx, tx, id, job.ID)
	})
	return job, err
}

// RejectHold keeps the rows that a held sync found absent, until they come back. It
// returns tracker.ErrDecided for a hold that is open no more.
func RejectHold(ctx context.Context, e *nawasync.Engine, id int64, o nawasync.OperatorOptions) error {
	eng := engineOf(e)
	if err := eng.CheckOperator(o); err != nil {
		return err
	}
	return eng.Store().Repeated(ctx, func(tx *gorm.DB) error {
		return eng.Store().CloseHold(ctx, tx, id, tracker.HoldRejected, o.By)
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
