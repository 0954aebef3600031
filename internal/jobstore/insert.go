package jobstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// insertColumns are the columns that an INSERT sets, with their types on PostgreSQL. All others are
// NULL or have their default.
var insertColumns = []struct{ name, typ string }{
	{"target_key", "bigint"},
	{"lane", "bigint"},
	{"open_lane", "bigint"},
	{"in_lane", "boolean"},
	{"wake_at", "bigint"},
	{"not_before", "bigint"},
	{"due_at", "bigint"},
	{"created_at", "bigint"},
	{"updated_at", "bigint"},
	{"retry_of", "bigint"},
	{"original", "bigint"},
	{"epoch", "integer"},
	{"attempt", "integer"},
	{"max_attempts", "integer"},
	{"status", "text"},
	{"service", "text"},
	{"type", "text"},
	{"action", "text"},
	{"instance", "text"},
	{"target_id", "text"},
	{"queue", "text"},
	{"unique_key", "text"},
	{"triggered_by", "text"},
	{"trigger_source", "text"},
	{"trace", "text"},
	{"payload", "text"},
	{"sealed", "bytea"},
	{"snap_table", "text"},
	{"snap_row", "bigint"},
	{"snap_state", "text"},
	{"snap_bound", "text"},
}

func insertValues(j *Job) []any {
	return []any{
		j.TargetKey, j.Lane, j.Lane, j.InLane, sqlkit.Micros(j.WakeAt), sqlkit.Micros(j.NotBefore),
		sqlkit.Micros(j.DueAt), sqlkit.Micros(j.CreatedAt), sqlkit.Micros(j.UpdatedAt), sqlkit.NullID(j.RetryOf), sqlkit.NullID(j.Original), j.Epoch, j.Attempt,
		j.MaxAttempts, string(j.Status), j.Service, j.Type, j.Action, j.Instance, j.TargetID,
		j.Queue, sqlkit.NullText(j.UniqueKey), j.TriggeredBy, j.TriggerSource, sqlkit.NullText(j.Trace), sqlkit.NullText(string(j.Payload)),
		sqlkit.NullBytes(j.Sealed), sqlkit.NullText(j.SnapshotTable), sqlkit.NullID(j.SnapshotRow), sqlkit.NullText(string(j.SnapshotState)),
		sqlkit.NullText(j.Bound),
	}
}

// insertChunk is how many rows one INSERT adds. It keeps the statement below SQLite's limit of
// 32,766 parameters.
const insertChunk = 500

// Insert adds new rows in tx, the caller's transaction. It fills in ID, Status and times. A row whose
// UniqueKey another open job holds is not added. Insert puts that other job into the slice instead
// and marks it Coalesced.
func (s *Store) Insert(ctx context.Context, tx *gorm.DB, jobs []*Job) error {
	return s.insert(sqlkit.Connect(ctx, tx), jobs)
}

func (s *Store) insert(conn *sqlkit.Conn, jobs []*Job) error {
	s.setNewRows(jobs, s.Now())
	var plain []*Job
	for i, job := range jobs {
		if job.UniqueKey == "" {
			plain = append(plain, job)
			continue
		}
		held, err := s.insertUnique(conn, job)
		if err != nil {
			return fmt.Errorf("insert job: %w", err)
		}
		jobs[i] = held
	}
	for len(plain) > 0 {
		n := min(len(plain), insertChunk)
		if err := s.insertMany(conn, plain[:n]); err != nil {
			return fmt.Errorf("insert jobs: %w", err)
		}
		plain = plain[n:]
	}
	return nil
}

// InsertOwn is Insert outside of any caller's transaction. It commits all rows or none.
func (s *Store) InsertOwn(ctx context.Context, jobs []*Job) error {
	if len(jobs) == 1 && jobs[0].UniqueKey == "" {
		return s.exec(ctx, func(conn *sqlkit.Conn) error { return s.insert(conn, jobs) })
	}
	return retryTx(ctx, func() error {
		return s.frequentTransaction(ctx, func(conn *sqlkit.Conn) error {
			again := slices.Clone(jobs) // each try needs the original jobs: insert replaces coalesced ones
			err := s.insert(conn, again)
			copy(jobs, again)
			return err
		})
	})
}

// setNewRows sets the status and the times of new rows. Of several due rows of one lane, only the
// first can be claimed. Its completion wakes the next one: all rows become visible in the same
// commit, so no completion can miss them.
func (s *Store) setNewRows(jobs []*Job, now time.Time) {
	heads := map[int64]bool{}
	for _, job := range jobs {
		job.Status, job.UpdatedAt = tracker.StatusQueued, now
		if job.CreatedAt.IsZero() { // else sealed arguments are bound to it
			job.CreatedAt = now
		}
		if job.NotBefore.Before(now) {
			job.NotBefore = now
		}
		job.NotBefore = job.NotBefore.UTC().Truncate(time.Microsecond)
		job.DueAt, job.WakeAt = job.NotBefore, job.NotBefore
		job.InLane = !job.NotBefore.After(now)
		// A row with a UniqueKey might turn out to be a duplicate and not be inserted, so no other
		// row can rely on its completion.
		if !job.InLane || job.UniqueKey != "" {
			continue
		}
		if heads[job.Lane] {
			job.WakeAt = time.Time{}
		}
		heads[job.Lane] = true
	}
}

func (s *Store) insertMany(conn *sqlkit.Conn, jobs []*Job) error {
	if s.dialect.Name == "mysql" {
		return insertConsecutive(conn, jobs)
	}
	query, args := valuesInsert(jobs)
	if s.dialect.Name == "postgres" {
		query, args = arrayInsert(jobs)
	}
	ids, err := sqlkit.Column[int64](conn, query+" RETURNING id", args...)
	if err != nil {
		return err
	}
	if len(ids) != len(jobs) {
		return fmt.Errorf("the database returned %d ids for %d rows", len(ids), len(jobs))
	}
	for i, id := range ids {
		jobs[i].ID = id
	}
	return nil
}

func valuesInsert(jobs []*Job) (query string, args []any) {
	names := make([]string, len(insertColumns))
	for i, c := range insertColumns {
		names[i] = c.name
	}
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(names)), ", ") + ")"
	args = make([]any, 0, len(jobs)*len(names))
	for _, job := range jobs {
		args = append(args, insertValues(job)...)
	}
	return "INSERT INTO nawasync_jobs (" + strings.Join(names, ", ") + ") VALUES " + strings.TrimSuffix(strings.Repeat(row+", ", len(jobs)), ", "), args
}

// arrayInsert is an INSERT with one array for each column, so that its text is the same for any
// number of rows. PostgreSQL keeps a prepared statement for each text in each connection.
func arrayInsert(jobs []*Job) (query string, args []any) {
	columns := make([]sqlkit.Array, len(insertColumns))
	for _, job := range jobs {
		for i, value := range insertValues(job) {
			columns[i].Append(value)
		}
	}
	var names, arrays strings.Builder
	for i, c := range insertColumns {
		if i > 0 {
			names.WriteString(", ")
			arrays.WriteString(", ")
		}
		names.WriteString(c.name)
		arrays.WriteString("CAST(CAST(? AS text) AS " + c.typ + "[])")
		args = append(args, columns[i].String())
	}
	return "INSERT INTO nawasync_jobs (" + names.String() + ") SELECT * FROM unnest(" + arrays.String() + ")", args
}

// insertConsecutive inserts on MySQL, which has no RETURNING. It numbers the rows of one INSERT with
// VALUES consecutively because it knows their count in advance.
func insertConsecutive(conn *sqlkit.Conn, jobs []*Job) error {
	query, args := valuesInsert(jobs)
	done, err := conn.ExecResult(query, args...)
	if err != nil {
		return err
	}
	first, err := done.LastInsertId()
	if err != nil {
		return err
	}
	step := int64(1)
	if len(jobs) > 1 {
		if err := conn.Row("SELECT @@auto_increment_increment").Scan(&step); err != nil {
			return err
		}
	}
	for i, job := range jobs {
		job.ID = first + int64(i)*step
	}
	return nil
}
