package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// State returns what a job has stored for its next attempt, as it is stored, or nil.
func (s *Store) State(ctx context.Context, id int64) (state []byte, err error) {
	err = s.DB(ctx).Row("SELECT state FROM nawasync_jobs WHERE id = ?", id).Scan(&state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the state of job %d: %w", id, err)
	}
	return state, nil
}

// SetState stores the state of a running attempt; an empty one deletes it. It reports whether the
// attempt still runs.
func (s *Store) SetState(ctx context.Context, j *Job, state []byte) (bool, error) {
	return s.fencedExec(ctx, j, setState, orNull(state))
}

// keepStates stores the states of jobs that the outcomes returned to the queue.
func keepStates(conn *sqlkit.Conn, outcomes []*Outcome) error {
	for _, out := range outcomes {
		if out.State == nil || out.Status != tracker.StatusQueued {
			continue
		}
		if err := conn.Exec(keepState, orNull(out.State), out.Job.ID, out.Job.Epoch+1).Error; err != nil {
			return err
		}
	}
	return nil
}

func orNull(state []byte) any {
	if len(state) == 0 {
		return nil
	}
	return state
}
