package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Act is what an operator did, or tried to do.
type Act struct {
	ID        int64     `json:"id"`
	At        time.Time `json:"at"`
	Subject   string    `json:"subject"`
	Act       string    `json:"act"`     // retry, cancel, delete, pause, …
	Outcome   string    `json:"outcome"` // done, refused or failed
	Service   string    `json:"service"` // "" where it concerns none
	Type      string    `json:"type"`
	Instance  string    `json:"instance"`
	TargetID  string    `json:"target_id"`
	TargetKey int64     `json:"-"`
	JobID     int64     `json:"job_id,omitempty"`
	Address   string    `json:"address"` // where the request came from
	Reason    string    `json:"reason"`  // the operator's
	Detail    string    `json:"detail"`  // what came of it
}

// The outcomes of an Act.
const (
	ActDone    = "done"
	ActRefused = "refused" // not permitted
	ActFailed  = "failed"
)

// AddAct writes an act. Nothing changes or deletes it.
func (s *Store) AddAct(ctx context.Context, a Act) error {
	err := s.one(ctx, func(tx *gorm.DB) error {
		return tx.Exec("INSERT INTO nawasync_acts (at, subject, act, outcome, service, type, instance, target_id, target_key, job_id, address, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			s.Now().UnixMicro(), CleanText(a.Subject, 255), CleanText(a.Act, 50), CleanText(a.Outcome, 20), CleanText(a.Service, 50), CleanText(a.Type, 50), CleanText(a.Instance, 64), CleanText(a.TargetID, 255),
			notZero(a.TargetKey), notZero(a.JobID), CleanText(a.Address, 64), CleanText(a.Reason, MaxError), CleanText(a.Detail, MaxError)).Error
	})
	if err != nil {
		return fmt.Errorf("nawasync: note an operator's act: %w", err)
	}
	return nil
}

// ActFilter selects acts; zero fields do not select.
type ActFilter struct {
	Services  []string // those that the reader may see; nil is every service
	TargetKey int64
	JobID     int64
	Subject   string
	Act       string
	Address   string
	Since     time.Time // inclusive
	Until     time.Time // exclusive
}

// Acts lists up to limit acts with ids below before (0: the newest), newest first.
func (s *Store) Acts(ctx context.Context, f ActFilter, before int64, limit int) ([]Act, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(clause string, arg any) { where, args = append(where, clause), append(args, arg) }
	if f.Services != nil {
		add("service IN ?", append([]string{"\x01"}, f.Services...))
	}
	if f.TargetKey != 0 {
		add("target_key = ?", f.TargetKey)
	}
	if f.JobID != 0 {
		add("job_id = ?", f.JobID)
	}
	if f.Subject != "" {
		add("subject = ?", f.Subject)
	}
	if f.Act != "" {
		add("act = ?", f.Act)
	}
	if f.Address != "" {
		add("address = ?", f.Address)
	}
	if !f.Since.IsZero() {
		add("at >= ?", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		add("at < ?", f.Until.UnixMicro())
	}
	if before > 0 {
		add("id < ?", before)
	}
	var list []Act
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var a Act
		var at int64
		var job sql.NullInt64
		err := rows.Scan(&a.ID, &at, &a.Subject, &a.Act, &a.Outcome, &a.Service, &a.Type, &a.Instance, &a.TargetID, &job, &a.Address, &a.Reason, &a.Detail)
		a.At, a.JobID = fromMicros(at), job.Int64
		list = append(list, a)
		return err
	}, "SELECT id, at, subject, act, outcome, service, type, instance, target_id, job_id, address, reason, detail FROM nawasync_acts WHERE "+strings.Join(where, " AND ")+" ORDER BY id DESC LIMIT ?", append(args, min(max(limit, 1), 500))...)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read the operators' acts: %w", err)
	}
	return list, nil
}

// Tombstone takes an ended job off the lists, and reports whether it was on them. The
// row stays until it is pruned. An open job is not deleted.
func (s *Store) Tombstone(ctx context.Context, id int64) (bool, error) {
	var n int64
	err := s.one(ctx, func(tx *gorm.DB) error {
		done := tx.Exec("UPDATE nawasync_jobs SET deleted_at = ? WHERE id = ? AND finished_at IS NOT NULL AND deleted_at IS NULL", s.Now().UnixMicro(), id)
		n = done.RowsAffected
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("nawasync: delete job %d: %w", id, err)
	}
	return n > 0, nil
}

// Undelete puts a deleted job back on the lists, and reports whether it was off them.
func (s *Store) Undelete(ctx context.Context, id int64) (bool, error) {
	var n int64
	err := s.one(ctx, func(tx *gorm.DB) error {
		done := tx.Exec("UPDATE nawasync_jobs SET deleted_at = NULL WHERE id = ? AND deleted_at IS NOT NULL", id)
		n = done.RowsAffected
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("nawasync: restore job %d: %w", id, err)
	}
	return n > 0, nil
}

func notZero(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func parseIDs(values []string) ([]int64, error) {
	ids := make([]int64, len(values))
	for i, value := range values {
		var err error
		if ids[i], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, fmt.Errorf("nawasync: %q is no job id", value)
		}
	}
	return ids, nil
}
