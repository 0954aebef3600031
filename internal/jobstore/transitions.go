package jobstore

// Every SET of an UPDATE of nawasync_jobs stands in this file. With the fences of batch.go, they
// move a job between these states; docs/architecture.md has the same picture.
//
//	dispatch ──► queued ──claim──► running ──► success, failed, conflict, skipped, cancelled
//	               ▲  │               │
//	               │  └─► cancelled   └──► queued again, epoch + 1: after a failure with
//	               │  └─► failed           attempts left, RetryAfter, parked, stopped, reaped
//	               │      (expired)
//	               └───────────────────────┘
//
// Every write of an attempt is fenced by id, epoch and the status that its writer knows,
// so that of two writers one wins. A terminal row never changes again, except to lose its
// arguments and texts, or to be deleted and restored.

// queued → running. Its parameters are (now, now, worker); the deadline is set besides.
const setRunning = "status = 'running', attempt = attempt + 1, running_lane = lane, wake_at = NULL, started_at = ?, updated_at = ?, worker = ?, progress = NULL, " +
	"active_key = CASE WHEN active_key LIKE '" + keyUntilRunning + "%' THEN NULL ELSE active_key END"

// queuedFence is what a claim must find.
const queuedFence = "j.epoch = v_epoch AND j.status = 'queued'"

// running or queued → terminal, or running → queued. Its parameter is (now).
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

// What an attempt notes of itself while it runs. The fence's parameters are (id, epoch,
// worker).
const (
	setWrote     = "wrote = ?"
	setProgress  = "progress = ?"
	runningFence = ", updated_at = updated_at + 1 WHERE id = ? AND epoch = ? AND status = 'running' AND worker = ?"
)

// requestCancel has the context of a running job end: its handler decides what becomes of
// it. Its parameters are (now, by, id).
const requestCancel = "UPDATE nawasync_jobs SET cancel_at = ?, cancel_by = ? WHERE id = ? AND status = 'running'"

// When the relay looks at a queued job next, and whether a task for it is in Redis.
const (
	setRung      = "ring = ring + 1, rung_at = ?, wake_at = ?"
	ringFence    = "j.epoch = v_epoch AND j.ring = v_ring AND j.status = 'queued'"
	promoteHeads = "UPDATE nawasync_jobs SET ring = ring + 1, rung_at = ?, wake_at = ? WHERE id IN ? AND status = 'queued' AND not_before <= ?"
	releaseJob   = "UPDATE nawasync_jobs SET rung_at = NULL, wake_at = ? WHERE id = ? AND epoch = ? AND status = 'queued' AND wake_at IS NOT NULL"
	clearRung    = "UPDATE nawasync_jobs SET rung_at = NULL, wake_at = ? WHERE open_lane IS NOT NULL AND status = 'queued' AND wake_at IS NOT NULL AND rung_at IS NOT NULL"
	wakeJobs     = "UPDATE nawasync_jobs SET wake_at = ? WHERE open_lane IS NOT NULL AND status = 'queued' AND wake_at > ? AND rung_at IS NULL AND not_before <= ? AND "
	wakeHeads    = "UPDATE nawasync_jobs SET rung_at = NULL, wake_at = CASE WHEN not_before > ? THEN not_before ELSE ? END WHERE id IN ? AND status = 'queued' AND wake_at IS NULL"
	// The ring, too: who read the pause before it ended can no longer put a job off.
	wakeScope = "UPDATE nawasync_jobs SET ring = ring + 1, rung_at = NULL, wake_at = not_before WHERE status = 'queued' AND open_lane IS NOT NULL AND wake_at IS NOT NULL AND service = ?"
)

// What may still happen to a terminal row.
const (
	deleteJob     = "UPDATE nawasync_jobs SET deleted_at = ? WHERE id = ? AND finished_at IS NOT NULL AND deleted_at IS NULL"
	restoreJob    = "UPDATE nawasync_jobs SET deleted_at = NULL WHERE id = ? AND deleted_at IS NOT NULL"
	dropArguments = "UPDATE nawasync_jobs SET sealed = '' WHERE status IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND finished_at < ? AND sealed IS NOT NULL AND sealed <> ''"
	forgetJobs    = "UPDATE nawasync_jobs SET payload = NULL, sealed = NULL, result = NULL, error = NULL, diff = NULL, progress = NULL, updated_at = updated_at + 1"
)
