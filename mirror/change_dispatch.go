package mirror

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// changeFields locks the row and dispatches a job that changes it. The lock makes
// concurrent changes of the row wait for each other. Values that earlier unfinished jobs of the
// row will write count as seen by the user.
func (r *repo) changeFields(ctx context.Context, id int64, args *mutation, dispatch func(tx *gorm.DB) error) error {
	if id <= 0 {
		return fmt.Errorf("%w: the row has no id; pass a row that List or Find returned", nawasync.ErrInvalid)
	}
	store := r.engine.Store()
	return r.inTx(ctx, func(tx *gorm.DB) error {
		state, err := store.LockRow(ctx, tx, r.model.table, id)
		switch {
		case err != nil:
			return err
		case state == "" || state == tracker.StateDeleted:
			return fmt.Errorf("row %d of %s: %w", id, r.model.table, nawasync.ErrNotFound)
		case state == nawasync.StatePendingDelete:
			return fmt.Errorf("row %d of %s: %w", id, r.model.table, nawasync.ErrDeleting)
		}
		if state.Pending() {
			open, err := store.OpenOn(ctx, tx, jobrow.RowLane(r.model.table, id))
			if err != nil {
				return err
			}
			args.Creation, args.Behind = 0, nil
			for _, c := range args.fields() {
				c.Also = nil // a retried transaction must not add them twice
			}
			for _, job := range open {
				if job.Action == r.actions.Create {
					args.Creation = job.ID
				}
				if job.OwnJob {
					continue // the repository does not know what it changes
				}
				if job.SnapshotState != "" {
					args.Behind = append(args.Behind, job.ID)
				}
				r.acceptPendingValues(job, args)
			}
		}
		return dispatch(tx)
	})
}

// acceptPendingValues adds the values that an unfinished job of the row writes to Also.
func (r *repo) acceptPendingValues(job *jobstore.Job, args *mutation) {
	plain, err := r.engine.Arguments(job)
	if err != nil {
		return // the job cannot decode its arguments either, and writes nothing
	}
	var before mutation
	if json.Unmarshal(plain, &before) != nil {
		return
	}
	for column, c := range args.fields() {
		if earlier := before.Changes[column]; earlier != nil && earlier.To != nil {
			c.Also = append(c.Also, earlier.To)
		}
		if wanted := before.Want[column]; wanted != nil {
			c.Also = append(c.Also, wanted)
		}
	}
}
