package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// A job follows an ended one if it retries it or answers its conflict. The ended one names it in
// retried_as, and so do the retries of that job: the last of such a chain is what can be retried. The
// row of the ended job is locked while a job is added, so that it never has two open ones.

// ErrSuperseded means that a retry would undo the change of a later job, or repeat that of a retry.
var ErrSuperseded = errors.New("a later job of the same target succeeded and a retry would undo its change; force the retry if that is intended")

// FollowUp says which ended job a new one follows, and why.
type FollowUp struct {
	Of     int64 // the ended job
	Answer bool  // the new job answers a conflict, and does not retry
	Force  bool  // also if the last retry succeeded
	Run    int64 // the bulk run that adds the job, or 0
}

// RetriedError means that an ended job already has a job that follows it. It is an ErrSuperseded.
type RetriedError struct {
	Of       int64          // the ended job
	As       int64          // the last job of its chain
	Status   tracker.Status // the status of As; "" if its row was pruned
	Answered bool           // Of ended in conflict
}

func (e *RetriedError) Error() string {
	text := fmt.Sprintf("job %d was already retried as job %d", e.Of, e.As)
	if e.Answered {
		text = fmt.Sprintf("the conflict of job %d was already answered by job %d", e.Of, e.As)
	}
	switch {
	case e.Status == "":
		return text + ", which is no longer stored; force the retry if the job must run again"
	case !e.Status.Terminal():
		return fmt.Sprintf("%s, which is %s; wait for its end, or cancel it", text, e.Status)
	case e.Status == tracker.StatusConflict:
		return text + ", which ended in conflict; answer the conflict of that job instead"
	case e.Status == tracker.StatusFailed:
		return fmt.Sprintf("%s, which failed; retry job %d instead", text, e.As)
	case e.Status == tracker.StatusSkipped:
		return text + ", which was skipped; force the retry if the job must run again"
	}
	return text + ", which succeeded; force the retry if the job must run again"
}

// Is reports whether target is ErrSuperseded.
func (e *RetriedError) Is(target error) bool { return target == ErrSuperseded }

// CheckFollowUp locks the ended job until tx ends. It returns the open job that already follows it, with
// Coalesced set, or nil if a new one may be added. Its errors include RetriedError and
// tracker.ErrNotFound.
func (s *Store) CheckFollowUp(ctx context.Context, tx *gorm.DB, f FollowUp) (open *Job, err error) {
	conn := sqlkit.Connect(ctx, tx)
	var status tracker.Status
	var as sql.NullInt64
	lock := sqlkit.Pick(s.dialect.Name == "sqlite", "", " FOR UPDATE")
	err = conn.Row("SELECT status, retried_as FROM nawasync_jobs WHERE id = ?"+lock, f.Of).Scan(&status, &as)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("job %d: %w", f.Of, tracker.ErrNotFound)
	}
	if err != nil || as.Int64 == 0 {
		return nil, err
	}
	last, lastID, err := s.lastOfChain(conn, as.Int64)
	if err != nil {
		return nil, fmt.Errorf("read the retries of job %d: %w", f.Of, err)
	}
	found := &RetriedError{Of: f.Of, As: lastID, Answered: status == tracker.StatusConflict}
	if last != nil {
		found.Status = last.Status
	}
	switch {
	case last != nil && !last.Status.Terminal() && !f.Answer:
		last.Coalesced = true
		return last, nil
	case !f.allows(found.Status):
		err = found
	}
	return nil, err
}

// allows reports whether a job may be added after the last job of a chain, which has the status; "" if its
// row was pruned.
func (f FollowUp) allows(last tracker.Status) bool {
	switch last {
	case tracker.StatusCancelled: // a process of an earlier release has cancelled it
		return true
	case "", tracker.StatusSuccess, tracker.StatusSkipped:
		return f.Force || f.Answer
	}
	return f.Answer && last.Terminal() // another answer may be the right one
}

// maxChain is how many retries of retries lastOfChain follows.
const maxChain = 100

// lastOfChain returns the last job of a chain and its id. The job is nil if its row was pruned.
func (s *Store) lastOfChain(conn *sqlkit.Conn, id int64) (last *Job, lastID int64, err error) {
	for range maxChain {
		list, err := s.query(conn, true, "WHERE j.id = ?", id)
		if err != nil || len(list) == 0 {
			return nil, id, err
		}
		if last = list[0]; last.RetriedAs == 0 {
			break
		}
		id = last.RetriedAs
	}
	return last, last.ID, nil
}

// LinkFollowUp names job in the ended one, and records that a bulk run has added it. A job that is not a
// follow-up, but holds the unique key of one, is not named.
func (s *Store) LinkFollowUp(ctx context.Context, tx *gorm.DB, f FollowUp, job *Job) error {
	if job.RetryOf != f.Of {
		return nil
	}
	conn := sqlkit.Connect(ctx, tx)
	if err := conn.Exec(setRetriedAs, job.ID, f.Of).Error; err != nil {
		return fmt.Errorf("name job %d in job %d: %w", job.ID, f.Of, err)
	}
	if f.Run == 0 || job.Coalesced {
		return nil
	}
	if err := conn.Exec("INSERT INTO nawasync_bulk_jobs (run_id, job_id) VALUES (?, ?)", f.Run, job.ID).Error; err != nil {
		return fmt.Errorf("record job %d of bulk run %d: %w", job.ID, f.Run, err)
	}
	return nil
}

// unlinkCancelled lets the follow-up before it stand for an ended job whose last one was cancelled. Without such
// a follow-up, the job is one without a retry again.
func unlinkCancelled(conn *sqlkit.Conn, written []*Outcome) error {
	for _, out := range written {
		if out.Status != tracker.StatusCancelled || out.Job.RetryOf == 0 {
			continue
		}
		var before sql.NullInt64
		err := conn.Row("SELECT MAX(id) FROM nawasync_jobs WHERE target_key = ? AND finished_at IS NOT NULL AND retry_of = ? AND id <> ? AND status <> 'cancelled'",
			out.Job.TargetKey, out.Job.RetryOf, out.Job.ID).Scan(&before)
		if err != nil {
			return err
		}
		if err := conn.Exec(resetRetriedAs, before, out.Job.RetryOf, out.Job.ID).Error; err != nil {
			return err
		}
	}
	return nil
}
