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
// row can only lose its arguments and texts, be deleted and restored, and name the job that follows it.

// setRunning moves a job from queued to running. Its parameters are (now, now, worker). Callers
// also set deadline_at.
const setRunning = "status = 'running', attempt = attempt + 1, open_lane = lane, running_lane = lane, in_lane = TRUE, wake_at = NULL, " +
	"started_at = ?, updated_at = ?, worker = ?, progress = NULL"

// outcomeUpdate moves a job from running or queued to a terminal status, or from running back to
// queued. Its parameter is (now).
var outcomeUpdate = updateStatement{
	columns: []string{
		"id", "epoch", "from:t", "status:t", "bump", "refund", "lost", "not_before", "finished", "duration", "result:t", "error:t", "class:t", "diff:t",
		"cancel_by:t", "signature",
	},
	set: "status = v_status, epoch = epoch + v_bump, attempt = attempt - v_refund, leases_lost = leases_lost + v_lost, " +
		"not_before = COALESCE(v_not_before, not_before), wake_at = v_not_before, " +
		"open_lane = CASE WHEN v_status = 'queued' THEN lane ELSE NULL END, running_lane = NULL, " +
		"sealed = CASE WHEN v_status = 'success' AND sealed IS NOT NULL THEN '' ELSE sealed END, state = CASE WHEN v_status = 'queued' THEN state ELSE NULL END, " +
		"finished_at = v_finished, duration_ms = COALESCE(v_duration, duration_ms), result = COALESCE(v_result, result), " +
		"error = v_error, error_class = v_class, error_signature = v_signature, diff = v_diff, cancel_by = COALESCE(v_cancel_by, cancel_by), cancel_at = CASE WHEN v_status = 'queued' THEN cancel_at ELSE NULL END, updated_at = ?",
	fence: "j.epoch = v_epoch AND j.status = v_from",
}

// Updates by a running attempt. The parameters of runningFence are (id, epoch, worker).
const (
	setWrote     = "wrote = ?"
	setProgress  = "progress = ?"
	setState     = "state = ?"
	runningFence = ", updated_at = updated_at + 1 WHERE id = ? AND epoch = ? AND status = 'running' AND worker = ?"
)

// requestCancel requests the cancellation of a running job. The job's status does not change
// before its handler returns. The parameters are (now, by, id).
const requestCancel = "UPDATE nawasync_jobs SET cancel_at = ?, cancel_by = ? WHERE id = ? AND status = 'running'"

// keepState sets the state of a job that outcomeUpdate has just returned to the queue, in the same
// transaction. Few jobs have one. Its parameters are (state, id, epoch).
const keepState = "UPDATE nawasync_jobs SET state = ? WHERE id = ? AND epoch = ? AND status = 'queued'"

// Updates of wake_at, from when a queued job may be claimed. It is NULL while another job of the
// lane is in the job's way; lane.go explains why no such job is forgotten.
const (
	// setBehind takes a job out of the claim index, or with a time has it looked at again then.
	setBehind   = "in_lane = TRUE, wake_at = v_wake"
	behindFence = "j.epoch = v_epoch AND j.status = 'queued' AND j.wake_at IS NOT NULL"
	// putBehind is setBehind on SQLite, whose only writer needs no locks. Its parameter is (ids).
	putBehind = "UPDATE nawasync_jobs AS j SET in_lane = TRUE, wake_at = NULL WHERE j.id IN ? AND j.status = 'queued'"
	// setFirst returns the first job of a lane to the claim index. A job in backoff has a wake_at and
	// keeps it.
	setFirst   = "in_lane = TRUE, wake_at = CASE WHEN not_before > v_wake THEN not_before ELSE v_wake END"
	firstFence = "j.status = 'queued' AND (j.wake_at IS NULL OR (j.wake_at > v_wake AND j.not_before <= v_wake))"
	// bringForward makes a queued job due earlier. Its parameters are the new time five times, the id,
	// and the time again. A job that waits behind its lane keeps a wake_at of NULL.
	bringForward = "UPDATE nawasync_jobs SET not_before = ?, due_at = CASE WHEN due_at > ? THEN ? ELSE due_at END, " +
		"wake_at = CASE WHEN wake_at > ? THEN ? ELSE wake_at END WHERE id = ? AND status = 'queued' AND not_before > ?"
)

// Updates of terminal rows.
const (
	deleteJob     = "UPDATE nawasync_jobs SET deleted_at = ? WHERE id = ? AND finished_at IS NOT NULL AND deleted_at IS NULL"
	restoreJob    = "UPDATE nawasync_jobs SET deleted_at = NULL WHERE id = ? AND deleted_at IS NOT NULL"
	dropArguments = "UPDATE nawasync_jobs SET sealed = '' WHERE id = ? AND finished_at IS NOT NULL"
	// setRetriedAs names the job that follows an ended one, and resetRetriedAs names the one before it, or none, when
	// that job is cancelled. Their parameters are (that job, id) and (the one before, id, that job).
	setRetriedAs   = "UPDATE nawasync_jobs SET retried_as = ? WHERE id = ? AND finished_at IS NOT NULL"
	resetRetriedAs = "UPDATE nawasync_jobs SET retried_as = ? WHERE id = ? AND retried_as = ?"
	forgetJobs     = "UPDATE nawasync_jobs SET payload = NULL, sealed = NULL, result = NULL, error = NULL, diff = NULL, progress = NULL, updated_at = updated_at + 1"
)

// Updates of tracked rows; see tracked.go. The parameters of startTracked are (attempt, attempts,
// now, deadline, now, worker, id), those of the others are (id).
const (
	startTracked = "UPDATE nawasync_jobs SET status = 'running', attempt = ?, max_attempts = ?, started_at = ?, deadline_at = ?, updated_at = ?, worker = ?, " +
		"wake_at = NULL WHERE id = ? AND status = 'queued'"
	hideTracked = "UPDATE nawasync_jobs SET wake_at = NULL WHERE id = ? AND status = 'queued'"
	markDropped = "UPDATE nawasync_jobs SET sealed = '' WHERE id = ?"
)
