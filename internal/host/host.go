// Package host is how package mirror reaches the engine beyond its public methods: with a
// [Key], which only this module can make.
package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/tracker"
)

// Key opens Engine.Internals. The zero value, which others can come by, opens nothing.
type Key struct{ valid bool }

// NewKey is a key that opens.
func NewKey() Key { return Key{valid: true} }

// Valid reports whether the key opens.
func (k Key) Valid() bool { return k.valid }

// ErrNoConflict is package mirror's, which the audit log may show.
var ErrNoConflict = errors.New("the job did not end with a conflict that can be answered so")

// Attempt is an attempt of a job as a repository's own jobs see it. It is safe for
// concurrent use.
type Attempt interface {
	// Job is a copy of the job's row as it was claimed.
	Job() tracker.Job
	// EarlierWrite reports whether an earlier attempt got as far as BeginWrite.
	EarlierWrite() bool
	// BeginWrite checks the lease before each write to the remote.
	BeginWrite(ctx context.Context) error
	// RetractWrite takes BeginWrite back: the remote refused, and nothing happened.
	RetractWrite(ctx context.Context)
	// OnSuccess runs fn in the transaction that marks the job a success.
	OnSuccess(fn func(tx *gorm.DB) error)
	// SetResult stores v with the job's success.
	SetResult(v any)
	// Logf adds a line to the attempt's log.
	Logf(format string, args ...any)
	// Progress tells how far the job is.
	Progress(ctx context.Context, done, total int64, note string)
}

// Handler runs the jobs of one kind of a repository.
type Handler struct {
	Service, Type, Action string
	Queue                 string        // "" is the default queue
	Timeout               time.Duration // of one attempt; 0 is the default
	// ContainsSecret says that the arguments need a Sealer.
	ContainsSecret bool
	// Decode decodes the arguments. It returns the values of their Secrets, which are
	// redacted from what the attempt says, and what runs the attempt.
	Decode func(plain []byte) (secrets []string, run func(ctx context.Context, a Attempt) error, err error)
}

// SnapshotRow is the row of a host's table that a job changes.
type SnapshotRow struct {
	Table string
	ID    int64
	// State is the pending state that the job puts the row into; "" leaves it.
	State tracker.SyncState
}

// PanicError is a panic of the host's code, as an error.
type PanicError struct{ Value any }

// Error is "panic: " and the value.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }
