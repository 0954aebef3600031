package jobstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// AddProcess inserts the heartbeat row of a process, which is its first heartbeat.
func (s *Store) AddProcess(ctx context.Context, p tracker.Process) error {
	kinds, _ := json.Marshal(p.Kinds)
	queues, _ := json.Marshal(p.Queues)
	slots, _ := json.Marshal(p.Slots)
	now := s.Now().UnixMicro()
	return s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("INSERT INTO nawasync_processes (id, host, pid, beat, beat_at, started_at, kinds, queues, version, slots) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?)",
			p.ID, sqlkit.CleanText(p.Host, 255), p.PID, now, now, string(kinds), string(queues), sqlkit.CleanText(p.Version, 100), string(slots)).Error
	})
}

// ProcessIDs returns the ids of the processes with a heartbeat row, none if there are more than 10,000.
func (s *Store) ProcessIDs(ctx context.Context) ([]string, error) {
	const limit = 10_000
	ids, err := sqlkit.Column[string](s.DB(ctx), "SELECT id FROM nawasync_processes LIMIT ?", limit+1)
	if len(ids) > limit {
		return nil, err
	}
	return ids, err
}

// RemoveProcess deletes the heartbeat row of a process. It does not change the jobs that run there.
func (s *Store) RemoveProcess(ctx context.Context, id string) error {
	return s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("DELETE FROM nawasync_processes WHERE id = ?", id).Error
	})
}

// RemoveDeadProcess deletes the heartbeat row of a process whose counter is still at beat. alive reports
// that the row has another counter. A missing row is no error and not alive.
func (s *Store) RemoveDeadProcess(ctx context.Context, id string, beat int64) (alive bool, err error) {
	err = s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("DELETE FROM nawasync_processes WHERE id = ? AND beat = ?", id, beat)
		if done.Error != nil || done.RowsAffected > 0 {
			return done.Error
		}
		rows, err := sqlkit.Column[int64](conn, "SELECT beat FROM nawasync_processes WHERE id = ?", id)
		alive = len(rows) > 0
		return err
	})
	return alive, err
}

// AwaitWriter waits on SQLite until this process could write. While a transaction of the host is
// SQLite's only writer, no process can write its heartbeat. On other databases AwaitWriter does
// nothing.
func (s *Store) AwaitWriter(ctx context.Context) error {
	if s.dialect.Name != "sqlite" {
		return nil
	}
	return s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("UPDATE nawasync_processes SET beat = beat WHERE id = ''").Error // takes the write lock and changes nothing
	})
}

// RunningOn lists up to limit jobs with an id above after that run on a process, with their arguments.
func (s *Store) RunningOn(ctx context.Context, worker string, after int64, limit int) ([]*Job, error) {
	return s.query(s.DB(ctx), true, "WHERE j.running_lane IS NOT NULL AND j.worker = ? AND j.id > ? AND j.status = 'running' ORDER BY j.id LIMIT ?", worker, after, limit)
}

// StillRunning returns the jobs that still run at the given epochs, with their arguments.
func (s *Store) StillRunning(ctx context.Context, claims []Claim) (running []*Job, err error) {
	wanted := map[Claim]bool{}
	ids := make([]int64, len(claims))
	for i, c := range claims {
		wanted[c], ids[i] = true, c.ID
	}
	for len(ids) > 0 {
		n := min(len(ids), stillRunningBatch)
		chunk := slices.Clone(ids[:n])
		for len(chunk) < stillRunningBatch { // the statement is the same for any number of jobs
			chunk = append(chunk, chunk[0])
		}
		jobs, err := s.query(s.DB(ctx), true, "WHERE j.id IN ? AND j.status = 'running'", chunk)
		if err != nil {
			return nil, fmt.Errorf("read whether jobs still run: %w", err)
		}
		running = append(running, jobs...)
		ids = ids[n:]
	}
	return slices.DeleteFunc(running, func(j *Job) bool { return !wanted[Claim{j.ID, j.Epoch}] }), nil
}

// stillRunningBatch is how many jobs one statement of StillRunning reads.
const stillRunningBatch = 100

// RunningWorkers lists the process ids that are recorded in the rows of running jobs.
func (s *Store) RunningWorkers(ctx context.Context) ([]string, error) {
	var list []string
	err := sqlkit.Each(s.background(ctx), func(rows *sql.Rows) error {
		var worker sql.NullString
		err := rows.Scan(&worker)
		list = append(list, worker.String)
		return err
	}, "SELECT DISTINCT worker FROM nawasync_jobs WHERE running_lane IS NOT NULL")
	return list, err
}
