package tracker

import "strings"

// AsynqQueue begins the Queue of a job that shows a task of the host's own asynq queue. The name of
// the asynq queue follows.
const AsynqQueue = "asynq:"

// Tracked reports whether the job shows a task that asynq delivers to the host's own handler; see
// Engine.Track. The engine's workers do not run it.
func (j *Job) Tracked() bool { return strings.HasPrefix(j.Queue, AsynqQueue) }
