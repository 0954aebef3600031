package host

import "fmt"

// EditReason says why the arguments of a job cannot be changed.
type EditReason string

// The reasons of an EditError.
const (
	EditRepository   EditReason = "the job changes an object of a repository, and its arguments hold what the user saw; change the object in the application"
	EditTracked      EditReason = "the job is a task of asynq, whose payload only the application can make"
	EditUnregistered EditReason = "this process has no handler for its kind, so it cannot check the arguments; use a process that registers one"
	EditNoObject     EditReason = "its arguments are no JSON object that this version can read"
	EditSecret       EditReason = "the argument is a secret or unknown"
	EditType         EditReason = "the handler cannot read the value"
	EditTarget       EditReason = "the arguments would be those of a job of another object; repeat the action in the application"
	EditOpen         EditReason = "a retry of it has not ended; wait for its end, or cancel it"
)

// EditError means that a job cannot be retried with other arguments.
type EditError struct {
	Job    int64
	Field  string // the argument, or "" if the reason concerns all or cannot be told apart
	Reason EditReason
	Open   int64 // of EditOpen: the retry that has not ended
	Err    error // why the value cannot be read; may be nil
}

func (e *EditError) Error() string {
	text := fmt.Sprintf("retry job %d with other arguments: ", e.Job)
	if e.Field != "" {
		text += e.Field + ": "
	}
	text += string(e.Reason)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *EditError) Unwrap() error { return e.Err }
