package jobstore

// This file contains the SET clause of every UPDATE of nawasync_jobs. With the fences of
// batch.go, they move a job between these states; docs/architecture.md has the same diagram.
//
//	dispatch ──► queued ──claim──► running ──► success, failed, conflict, skipped, cancelled
//	               ▲  │               │
//	               │  └─► cancelled   └──► queued again, epoch + 1: after a failure with
//	               │  └─► failed           attempts left, RetryAfter, parked, stopped, reaped
//	               │      (expired)
//	               └───────────────────────┘
//
// Every write of an attempt is fenced by id, epoch and the status that the writer expects, so
// that only one of two writers wins. The status of a terminal row never changes again. Such a
// row can only lose its arguments and texts, be deleted, and be restored.

// setRunning moves a job from queued to running. Its parameters are (now, now, worker). Callers
// also set deadline_at.
const setRunning = "status = 'running', attempt = attempt + 1, running_lane = lane, wake_at = NULL, started_at = ?, updated_at = ?, worker = ?, progress = NULL, " +
	"active_key = CASE WHEN active_key LIKE '" + keyUntilRunning + "%' THEN NULL ELSE active_key END"

// queuedFence is the condition under which a claim wins.
const queuedFence = "j.epoch = v_epoch AND j.status = 'queued'"

// outcomeUpdate moves a job from running or queued to a terminal status, or from running back to
// queued. Its parameter is (now).
var outcomeUpdate = updateStatement{
	columns: []string{
		"id", "epoch", "from:t", "status:t", "bump", "refund", "not_before", "finished", "duration", "result:t", "error:t", "class:t", "diff:t",
		"cancel_by:t",
	},
	set: "status = v_status, ring = CASE WHEN v_bump = 1 THEN 0 ELSE ring END, epoch = epoch + v_bump, attempt = attempt - v_refund, " +
		"not_before = COALESCE(v_not_before, not_before), wake_at = v_not_before, rung_at = NULL, " +
		"open_lane = CASE WHEN v_status = 'queued' THEN lane ELSE NULL END, running_lane = NULL, " +
		"active_key = CASE WHEN v_status = 'queued' THEN active_key ELSE NULL END, " +
		"sealed = CASE WHEN v_status = 'success' AND sealed IS NOT NULL THEN '' ELSE sealed END, " +
		"finished_at = v_finished, duration_ms = COALESCE(v_duration, duration_ms), result = COALESCE(v_result, result), " +
		"error = v_error, error_class = v_class, diff = v_diff, cancel_by = COALESCE(v_cancel_by, cancel_by), cancel_at = CASE WHEN v_status = 'queued' THEN cancel_at ELSE NULL END, updated_at = ?",
	fence: "j.epoch = v_epoch AND j.status = v_from",
}

// Updates by a running attempt. The parameters of runningFence are (id, epoch, worker).
const (
	setWrote     = "wrote = ?"
	setProgress  = "progress = ?"
	runningFence = ", updated_at = updated_at + 1 WHERE id = ? AND epoch = ? AND status = 'running' AND worker = ?"
)

// requestCancel requests the cancellation of a running job. The job's status does not change
// before its handler returns. The parameters are (now, by, id).
const requestCancel = "UPDATE nawasync_jobs SET cancel_at = ?, cancel_by = ? WHERE id = ? AND status = 'running'"

// Updates of wake_at, when the relay next looks at a queued job, and of rung_at, when a task for
// the job was put into Redis.
const (
	setRung      = "ring = ring + 1, rung_at = ?, wake_at = ?"
	ringFence    = "j.epoch = v_epoch AND j.ring = v_ring AND j.status = 'queued'"
	promoteHeads = "UPDATE nawasync_jobs SET ring = ring + 1, rung_at = ?, wake_at = ? WHERE id IN ? AND status = 'queued' AND not_before <= ?"
	releaseJob   = "UPDATE nawasync_jobs SET rung_at = NULL, wake_at = ? WHERE id = ? AND epoch = ? AND status = 'queued' AND wake_at IS NOT NULL"
	clearRung    = "UPDATE nawasync_jobs SET rung_at = NULL, wake_at = ? WHERE open_lane IS NOT NULL AND status = 'queued' AND wake_at IS NOT NULL AND rung_at IS NOT NULL"
	wakeJobs     = "UPDATE nawasync_jobs SET wake_at = ? WHERE open_lane IS NOT NULL AND status = 'queued' AND wake_at > ? AND rung_at IS NULL AND not_before <= ? AND "
	wakeHeads    = "UPDATE nawasync_jobs SET rung_at = NULL, wake_at = CASE WHEN not_before > ? THEN not_before ELSE ? END WHERE id IN ? AND status = 'queued' AND wake_at IS NULL"
	// Incrementing ring makes the fence of a concurrent postponement fail: the process that
	// postpones the job may have read the pause before its end.
	wakeScope = "UPDATE nawasync_jobs SET ring = ring + 1, rung_at = NULL, wake_at = not_before WHERE status = 'queued' AND open_lane IS NOT NULL AND wake_at IS NOT NULL AND service = ?"
)

// Updates of terminal rows.
const (
	deleteJob     = "UPDATE nawasync_jobs SET deleted_at = ? WHERE id = ? AND finished_at IS NOT NULL AND deleted_at IS NULL"
	restoreJob    = "UPDATE nawasync_jobs SET deleted_at = NULL WHERE id = ? AND deleted_at IS NOT NULL"
	dropArguments = "UPDATE nawasync_jobs SET sealed = '' WHERE status IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND finished_at < ? AND sealed IS NOT NULL AND sealed <> ''"
	forgetJobs    = "UPDATE nawasync_jobs SET payload = NULL, sealed = NULL, result = NULL, error = NULL, diff = NULL, progress = NULL, updated_at = updated_at + 1"
)
