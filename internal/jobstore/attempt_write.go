package jobstore

import (
	"context"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// fencedExec updates the row of a running attempt. It reports whether that attempt still runs;
// if not, it changes nothing.
func (s *Store) fencedExec(ctx context.Context, j *Job, set string, args ...any) (bool, error) {
	var n int64
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("UPDATE nawasync_jobs SET "+set+runningFence,
			append(args, j.ID, j.Epoch, j.Worker)...)
		n = done.RowsAffected
		return done.Error
	})
	return n > 0, err
}

// MarkWrite records that an attempt may change the remote. Call it before the attempt's first
// write to the remote. It reports whether the attempt still runs.
func (s *Store) MarkWrite(ctx context.Context, j *Job) (bool, error) {
	return s.fencedExec(ctx, j, setWrote, true)
}

// ClearWrite undoes MarkWrite. It reports whether the attempt still runs.
func (s *Store) ClearWrite(ctx context.Context, j *Job) (bool, error) {
	return s.fencedExec(ctx, j, setWrote, false)
}

// SetProgress stores the progress text of a job. It reports whether the attempt still runs.
func (s *Store) SetProgress(ctx context.Context, j *Job, progress string) (bool, error) {
	return s.fencedExec(ctx, j, setProgress, sqlkit.CleanText(progress, tracker.MaxError))
}
