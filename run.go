package nawasync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// The causes with which a job's context ends.
var (
	// ErrTimeout is the cause when the handler's Timeout has passed. The attempt fails.
	ErrTimeout = errors.New("the attempt exceeded its timeout")
	// ErrStopping is the cause when Engine.Stop ends the attempt. The job returns to the queue
	// without consuming an attempt.
	ErrStopping = errors.New("the process is stopping")
	// ErrCancelled is the cause when an operator cancels the job. The handler should return
	// soon.
	ErrCancelled = errors.New("the job was cancelled")
	// ErrLeaseLost is the cause when this process could not reach the database for so long
	// that another process may run the job. The handler must not write to the remote any more.
	ErrLeaseLost = errors.New("this process lost its lease; another process may run the job")
)

// Run is one attempt of a job. Its methods are safe for concurrent use.
type Run[A Args] struct {
	Args A
	*attempt
}

// attempt is the part of a Run that does not depend on the type of the arguments.
type attempt struct {
	job      *jobstore.Job
	store    attemptStore
	lease    func() error            // returns ErrLeaseLost without a valid lease
	key      string                  // the idempotency key
	redactor func() *secret.Redactor // made on first use, because most attempts have no text to redact

	mu         sync.Mutex
	beganWrite bool
	log        strings.Builder
	calls      callLog // has a lock of its own
	result     any
	onSuccess  []func(tx *gorm.DB) error
	progress   time.Time // when the progress was last written
	state      []byte    // what SetState or StoreState stored, sealed; empty to delete it, nil for neither
}

// attemptStore writes to the job's row while an attempt runs. Its methods return false if
// this attempt no longer runs the job, for example because another process has claimed it.
type attemptStore interface {
	Now() time.Time
	MarkWrite(ctx context.Context, j *jobstore.Job) (bool, error)
	ClearWrite(ctx context.Context, j *jobstore.Job) (bool, error)
	SetProgress(ctx context.Context, j *jobstore.Job, progress string) (bool, error)
	State(ctx context.Context, id int64) ([]byte, error)
	SetState(ctx context.Context, j *jobstore.Job, state []byte) (bool, error)
}

// Job returns a copy of the job's row as it was claimed.
func (a *attempt) Job() tracker.Job { return a.job.Job }

// Attempt returns the number of this attempt. The first is 1.
func (a *attempt) Attempt() int { return a.job.Attempt }

// LastAttempt reports whether the job has no attempts left after this one.
func (a *attempt) LastAttempt() bool { return a.job.Attempt >= a.job.MaxAttempts }

// EarlierWrite reports whether an earlier attempt called BeginWrite and may have changed the
// remote. The handler should then read the remote before it writes. EarlierWrite is false if the
// remote is known to have refused that write.
func (a *attempt) EarlierWrite() bool { return a.job.Wrote }

// IdempotencyKey returns a key for remotes that accept one. It is the same in every attempt of
// this job, and differs between jobs.
func (a *attempt) IdempotencyKey() string { return a.key }

const (
	// beginWriteTimeout is how long BeginWrite waits for the database.
	beginWriteTimeout = 3 * time.Second
	// slowDatabase is how long it must have waited for an expired timeout to be the database's fault.
	slowDatabase = time.Second
)

// BeginWrite must be called before each write to the remote. It checks that this process still
// holds its lease. Before the first write it records in the job's row that the remote may have
// changed. If it returns an error, the handler must not write and should return the error:
// context.Cause(ctx) if ctx has ended, ErrLeaseLost if another process may run the job, and
// otherwise the database's error.
func (a *attempt) BeginWrite(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := a.lease(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.beganWrite {
		return nil
	}
	begun := time.Now()
	markCtx, cancel := context.WithTimeout(ctx, beginWriteTimeout)
	defer cancel()
	marked, err := a.store.MarkWrite(markCtx, a.job)
	if err != nil {
		if markCtx.Err() != nil && time.Since(begun) >= slowDatabase {
			err = &host.DatabaseError{Err: err} // it is not the handler that has used up the time
		}
		return fmt.Errorf("record that job %d begins to write: %w", a.job.ID, host.DatabaseFailure(err))
	}
	if !marked {
		return ErrLeaseLost
	}
	a.beganWrite = true
	return nil
}

// retractWrite undoes BeginWrite after the remote has refused the write without any change. It
// does nothing if an earlier attempt may have changed the remote.
func (a *attempt) retractWrite(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.job.Wrote || !a.beganWrite {
		return
	}
	if cleared, err := a.store.ClearWrite(ctx, a.job); err == nil && cleared {
		a.beganWrite = false
	}
}

// OnSuccess registers fn to run in the transaction that marks the job as a success, for example
// to dispatch a job with Engine.DispatchTx. The context of Execute can still be used in fn, and
// so can tx.Statement.Context. After a serialization failure fn runs again. It must not call the
// remote. If fn returns an error, the transaction rolls back and the attempt fails.
func (a *attempt) OnSuccess(fn func(tx *gorm.DB) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onSuccess = append(a.onSuccess, fn)
}

// SetResult stores v as the result of the job, as masked JSON. A result of more than 64 KiB is
// replaced by a note with its size.
func (a *attempt) SetResult(v any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.result = v
}

// maxLine is where a line of an attempt's log is cut, in bytes.
const maxLine = tracker.MaxLog / 4

// Logf adds a line to the attempt's log and redacts secrets from it. A line is cut at 16 KiB. When the
// log has reached 64 KiB, Logf drops further lines.
func (a *attempt) Logf(format string, args ...any) {
	line := a.redactor().Clip(fmt.Sprintf(format, args...), maxLine)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.log.Len()+len(line) < tracker.MaxLog-100 {
		a.log.WriteString(a.store.Now().Format("15:04:05.000 ") + line + "\n")
	}
}

// maxNote is where the note of a progress is cut, in bytes. As JSON, it is still less than the store cuts.
const maxNote = tracker.MaxError / 8

// Progress stores the job's progress: done of total, and a note, which is cut at 1 KiB. Total 0 means that
// the total is unknown. Progress writes at most once a second, and always when done reaches total. It
// ignores errors.
func (a *attempt) Progress(ctx context.Context, done, total int64, note string) {
	a.mu.Lock()
	now := a.store.Now()
	due := now.Sub(a.progress) >= time.Second || (total > 0 && done >= total)
	if due {
		a.progress = now
	}
	a.mu.Unlock()
	if !due {
		return
	}
	text, err := json.Marshal(map[string]any{"done": done, "total": total, "note": a.redactor().Clip(note, maxNote)})
	if err == nil {
		_, _ = a.store.SetProgress(ctx, a.job, string(text))
	}
}

// resultJSON returns the masked result, or nil if there is none.
func (a *attempt) resultJSON() json.RawMessage {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.result == nil {
		return nil
	}
	text, err := json.Marshal(a.result)
	if err != nil {
		text, _ = json.Marshal(map[string]string{"error": "the result does not marshal: " + a.redactor().Clip(err.Error(), tracker.MaxError)})
		return text
	}
	size := len(text)
	if size <= tracker.MaxResult {
		text = keepTargets(a.result, text, a.redactor().JSON(text))
	}
	if len(text) > tracker.MaxResult {
		text, _ = json.Marshal(map[string]any{"truncated": true, "bytes": size, "limit": tracker.MaxResult})
	}
	return text
}

// keepTargets returns the redacted form of a result with its targets as they were.
func keepTargets(result any, plain, redacted []byte) []byte {
	own, ok := result.(host.ResultWithTargets)
	if !ok || bytes.Equal(plain, redacted) {
		return redacted
	}
	var from, to map[string]json.RawMessage
	if json.Unmarshal(plain, &from) != nil || json.Unmarshal(redacted, &to) != nil {
		return redacted
	}
	for _, key := range own.TargetKeys() {
		if value, ok := from[key]; ok {
			to[key] = value
		}
	}
	text, err := json.Marshal(to)
	if err != nil {
		return redacted
	}
	return text
}
