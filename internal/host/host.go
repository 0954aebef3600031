// Package host gives other packages of this module access to the engine beyond its public
// methods. Access requires a [Key], which only this module can create.
package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/tracker"
)

// Key gives access to Engine.Internals. The zero value, which any package can get, gives none.
type Key struct{ valid bool }

// NewKey returns a valid key.
func NewKey() Key { return Key{valid: true} }

// Valid reports whether the key gives access.
func (k Key) Valid() bool { return k.valid }

// ErrNoConflict is returned by package mirror. It is declared here because the engine may show
// its text in the audit log.
var ErrNoConflict = errors.New("the job did not end with a conflict that can be resolved this way")

// MaxState is the largest size of a job's state as JSON, in bytes.
const MaxState = 64 << 10

// ErrStateTooLarge is returned for a state of more than MaxState bytes.
var ErrStateTooLarge = errors.New("the state of the job is too large")

// Attempt is the running attempt of a job, as the job handlers of a repository use it. It is
// safe for concurrent use.
type Attempt interface {
	AttemptState
	AttemptRedactor

	// Job returns a copy of the job's row at the time of the claim.
	Job() tracker.Job
	// EarlierWrite reports whether an earlier attempt called BeginWrite, so that the remote
	// may have been changed already.
	EarlierWrite() bool
	// BeginWrite must be called before each write to the remote. It checks the lease and
	// records that a write may have happened.
	BeginWrite(ctx context.Context) error
	// RetractWrite undoes BeginWrite. Call it if the remote refused the write and nothing
	// changed.
	RetractWrite(ctx context.Context)
	// OnSuccess runs fn in the transaction that marks the job successful.
	OnSuccess(fn func(tx *gorm.DB) error)
	// SetResult sets the result that is stored if the job succeeds.
	SetResult(v any)
	// Logf adds a line to the attempt's log.
	Logf(format string, args ...any)
	// Progress reports how far the job is.
	Progress(ctx context.Context, done, total int64, note string)
}

// AttemptRedactor removes the secrets of a job and of the engine.
type AttemptRedactor interface {
	// Redact masks a JSON document and removes the secrets from it.
	Redact(document []byte) []byte
	// RedactText does the same with a text.
	RedactText(text string) string
}

// AttemptState is what a job remembers from one attempt to the next.
type AttemptState interface {
	// State decodes into v what the job has stored last, in this attempt or an earlier one. It returns
	// false, and leaves v alone, if there is nothing.
	State(ctx context.Context, v any) (bool, error)
	// SetState stores v as JSON for the next attempt, sealed as arguments are, in the transaction in
	// which this attempt returns the job to the queue. It is lost with the attempt's process; see
	// StoreState. A later call replaces it, and nil deletes what is stored. v may have MaxState
	// bytes. The state of a job that has ended is deleted, and a retry by an operator begins without.
	SetState(v any) error
	// StoreState is SetState that writes at once, so that v is there even if this process dies. It
	// returns nawasync.ErrLeaseLost if another process may run the job.
	StoreState(ctx context.Context, v any) error
}

// Handler runs the jobs of one kind of a repository.
type Handler struct {
	Service, Type, Action string
	Queue                 string        // "" is the default queue
	Timeout               time.Duration // timeout of one attempt; 0 is the default
	// Calls is how many calls of the remote are reserved for an attempt, and Syncs says that they are those
	// of a sync.
	Calls int
	Syncs bool
	// Backoff is the wait after an attempt that failed; nil is the default.
	Backoff func(attempt int) time.Duration
	// MaskKeys are masked in addition to the keys that Mask always masks.
	MaskKeys []string
	// ContainsSecret says that the arguments contain a Secret, so that a Sealer is required.
	ContainsSecret bool
	// Decode decodes the arguments. It returns a function that runs the attempt, and the values
	// of the Secrets, which are redacted from the texts of the attempt.
	Decode func(plain []byte) (secrets []string, run func(ctx context.Context, a Attempt) error, err error)
}

// ResultWithTargets is a result that marshals as an object of which some members are targets. They are stored as
// they are: later jobs read them, and a job's target is stored in the clear anyway.
type ResultWithTargets interface{ TargetKeys() []string }

// SnapshotRow is the row of a host's table that a job changes.
type SnapshotRow struct {
	Table string
	ID    int64
	// State is the pending state that the dispatch gives the row. "" leaves the state as it is.
	State tracker.SyncState
	// Own is set for a host's own job.
	Own *OwnRow
}

// OwnRow binds a host's own job to the object that a row stands for.
type OwnRow struct {
	Service, Type      string // of the repository
	Instance, TargetID string // of the row's jobs
	Object             json.RawMessage
}

// RowBinder is an attached repository on whose rows a host's own jobs run.
type RowBinder interface {
	// BindRow checks that a row still stands for an object, which OwnRow.Object describes, and returns the context in
	// which the job runs. Its error ends the attempt.
	BindRow(ctx context.Context, row int64, object json.RawMessage) (context.Context, error)
}

// PanicError is a recovered panic of the host's code.
type PanicError struct{ Value any }

// Error returns "panic: " followed by the value.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }
