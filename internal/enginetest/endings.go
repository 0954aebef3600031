package enginetest

import (
	"context"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// EndedElsewhere are the endings that the job's own code has no part in: what is done
// to a queued job so that it ends that way.
func EndedElsewhere() map[string]func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
	return map[string]func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error{
		"undecodable": func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET sealed = ? WHERE id = ?", []byte("rubbish"), job.ID).Error
		},
		"expired": func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			// The first engine's duty lasts on.
			if err := db.Exec("DELETE FROM nawasync_duties").Error; err != nil {
				return err
			}
			later := time.Now().Add(time.Hour).UnixMicro()
			return db.Exec("UPDATE nawasync_jobs SET due_at = 1, not_before = ?, wake_at = ? WHERE id = ?", later, later, job.ID).Error
		},
		"cancelled while queued": func(e *nawasync.Engine, _ *testdb.Database, job *tracker.Job) error {
			_, err := e.Cancel(context.Background(), job.ID, nawasync.OperatorOptions{By: "user:1"})
			return err
		},
		"its process died for the last time": func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET status = 'running', running_lane = lane, worker = 'dead', attempt = max_attempts, wake_at = NULL, started_at = created_at WHERE id = ?", job.ID).Error
		},
	}
}

// ParseTimes connects to MySQL as a host with times in its tables does.
func ParseTimes(t testing.TB, h *Harness) {
	t.Helper()
	if h.DB.Dialect != "mysql" {
		return
	}
	dsn := h.DB.DSN + "?parseTime=true"
	opened, err := testdb.Open("mysql", dsn)
	NoError(t, err)
	t.Cleanup(func() { CloseDB(opened) })
	h.DB = &testdb.Database{DB: opened, Dialect: "mysql", DSN: dsn}
}

// CloseDB closes the pool of a database.
func CloseDB(db *gorm.DB) {
	if pool, err := db.DB(); err == nil {
		_ = pool.Close()
	}
}
