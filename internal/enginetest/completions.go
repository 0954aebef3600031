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

// CompletionsWithoutHandler returns the ways in which a job ends without its handler, by name.
// Each function prepares a queued job so that it ends that way.
func CompletionsWithoutHandler() map[string]func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
	return map[string]func(e *nawasync.Engine, db *testdb.Database, job *tracker.Job) error{
		"undecodable": func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			return db.Exec("UPDATE nawasync_jobs SET sealed = ? WHERE id = ?", []byte("rubbish"), job.ID).Error
		},
		"expired": func(_ *nawasync.Engine, db *testdb.Database, job *tracker.Job) error {
			// An earlier engine's pruner lock may still be valid. Delete it, so that the next
			// engine prunes.
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

// ParseTimes reconnects to MySQL with parseTime=true, like a host whose tables have time columns.
// It does nothing on other databases.
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

// CloseDB closes the connection pool of a database.
func CloseDB(db *gorm.DB) {
	if pool, err := db.DB(); err == nil {
		_ = pool.Close()
	}
}
