package nawasync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// The causes with which a job's context ends.
var (
	// ErrTimeout says that the handler's Timeout has passed: the attempt has failed.
	ErrTimeout = errors.New("the job's time ran out")
	// ErrStopping says that Engine.Stop wants it to end: it runs again, nothing is consumed.
	ErrStopping = errors.New("the process is stopping")
	// ErrCancelled says that a person cancelled it: return soon.
	ErrCancelled = errors.New("the job was cancelled")
	// ErrLeaseLost says that this process could not reach the database for so long
	// that others may take it for dead. The job may run elsewhere: write no more.
	ErrLeaseLost = errors.New("this process lost its lease; the job may run elsewhere by now")
)

// Run is one attempt of a job. Its methods are safe for concurrent use.
type Run[A Args] struct {
	Args A
	*attempt
}

// attempt is what of a Run does not depend on the type of its arguments.
type attempt struct {
	job      *jobstore.Job
	store    attemptStore
	lease    func() error
	key      string
	redactor func() *secret.Redactor // made on first use: most attempts have nothing to hide anything in

	mu         sync.Mutex
	beganWrite bool
	log        strings.Builder
	result     any
	onSuccess  []func(tx *gorm.DB) error
	progress   time.Time
}

// attemptStore is what an attempt writes of itself while it runs. Its bools are false when
// the job is another's by now.
type attemptStore interface {
	Now() time.Time
	MarkWrite(ctx context.Context, j *jobstore.Job) (bool, error)
	ClearWrite(ctx context.Context, j *jobstore.Job) (bool, error)
	SetProgress(ctx context.Context, j *jobstore.Job, progress string) (bool, error)
}

// Job returns a copy of the job's row as it was claimed.
func (a *attempt) Job() tracker.Job { return a.job.Job }

// Attempt is the number of this attempt, from 1.
func (a *attempt) Attempt() int { return a.job.Attempt }

// LastAttempt reports whether a failure now would be final.
func (a *attempt) LastAttempt() bool { return a.job.Attempt >= a.job.MaxAttempts }

// EarlierWrite reports whether an earlier attempt got as far as BeginWrite: the
// remote may have been changed already. Read before writing again.
func (a *attempt) EarlierWrite() bool { return a.job.Wrote }

// IdempotencyKey is the same in every attempt of this job and differs between
// jobs: for remotes that take one.
func (a *attempt) IdempotencyKey() string { return a.key }

// BeginWrite must be called before each write to the remote. It checks that this
// process still holds its lease, and commits before the first write that one may
// have happened. It returns ErrLeaseLost when the job may run elsewhere: then
// return it, and write nothing.
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
	held, err := a.store.MarkWrite(ctx, a.job)
	if err != nil {
		return fmt.Errorf("note the write of job %d: %w", a.job.ID, err)
	}
	if !held {
		return ErrLeaseLost
	}
	a.beganWrite = true
	return nil
}

// retractWrite takes BeginWrite back: the remote refused, and nothing happened. What
// an earlier attempt may have done stays possible.
func (a *attempt) retractWrite(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.job.Wrote || !a.beganWrite {
		return
	}
	if held, err := a.store.ClearWrite(ctx, a.job); err == nil && held {
		a.beganWrite = false
	}
}

// OnSuccess runs fn in the transaction that marks the job a success. It may run
// twice, after a serialization failure, and must not call the remote. Its error
// undoes the success: the attempt has failed then.
func (a *attempt) OnSuccess(fn func(tx *gorm.DB) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onSuccess = append(a.onSuccess, fn)
}

// SetResult stores v with the job's success, masked, as JSON of up to 64 KiB.
func (a *attempt) SetResult(v any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.result = v
}

// Logf adds a line to the attempt's log, with secrets removed. Past 64 KiB lines
// are dropped.
func (a *attempt) Logf(format string, args ...any) {
	line := a.redactor().Text(fmt.Sprintf(format, args...))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.log.Len()+len(line) < tracker.MaxLog-100 {
		a.log.WriteString(a.store.Now().Format("15:04:05.000 ") + line + "\n")
	}
}

// Progress tells how far the job is: done of total (0 when that is not known),
// and a note. It is written at most once a second, and failures are ignored.
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
	text, err := json.Marshal(map[string]any{"done": done, "total": total, "note": a.redactor().Text(note)})
	if err == nil {
		_, _ = a.store.SetProgress(ctx, a.job, string(text))
	}
}

// resultJSON is the masked result, or nil.
func (a *attempt) resultJSON() json.RawMessage {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.result == nil {
		return nil
	}
	text, err := json.Marshal(a.result)
	if err != nil {
		text, _ = json.Marshal(map[string]string{"error": "the result does not marshal: " + a.redactor().Text(err.Error())})
		return text
	}
	text = a.redactor().JSON(text)
	if len(text) > tracker.MaxResult {
		text, _ = json.Marshal(map[string]any{"truncated": true, "bytes": len(text), "limit": tracker.MaxResult})
	}
	return text
}
