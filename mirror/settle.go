package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/tracker"
)

const (
	defaultSettle = 5 * time.Second
	maxSettle     = 24 * time.Hour
	// The first wait before the remote is read again, and the longest. Each is half of the time since the write.
	minSettleWait = 250 * time.Millisecond
	maxSettleWait = 10 * time.Minute
	// How long an accepted write may take if the remote can be asked for its outcome, and if not.
	maxPolling  = 24 * time.Hour
	maxAccepted = time.Hour
)

// writeState is what a change remembers of its write from one attempt to the next. It has digests and
// no values, so that it stays small.
type writeState struct {
	// BegunAt is when the write began or, if its attempt was lost, when the next one started.
	BegunAt time.Time `json:"begun_at"`
	// Answered says that the remote has confirmed or accepted the write: it is not repeated.
	Answered bool `json:"answered,omitempty"`
	// Accepted says that the remote carries the write out later.
	Accepted bool `json:"accepted,omitempty"`
	// Handle is what the remote can be asked for the outcome with; nil if it is done.
	Handle *string `json:"handle,omitempty"`
	// Touched lists the columns that were written.
	Touched []string `json:"touched,omitempty"`
	// Kept lists the columns whose value on the remote was accepted instead of the wanted one.
	Kept []string `json:"kept,omitempty"`
	// Before has the digests of the content before the write, by column.
	Before map[string]string `json:"before,omitempty"`
	// Answer has the digests of those written values for which the remote's answer had another value.
	Answer map[string]string `json:"answer,omitempty"`
}

// remoteWrite is one attempt of a job that changes an object of the remote.
type remoteWrite struct {
	host.Attempt

	repo  *repo
	args  *mutation
	key   reflect.Value
	row   reflect.Value
	state writeState
}

// resume returns a write with what earlier attempts of its job remember.
func (r *repo) resume(ctx context.Context, a host.Attempt, m *mutation) (*remoteWrite, error) {
	w := &remoteWrite{Attempt: a, repo: r, args: m}
	if _, err := a.State(ctx, &w.state); err != nil {
		return nil, err
	}
	if a.EarlierWrite() && w.state.BegunAt.IsZero() { // the attempt's process was killed
		w.state.BegunAt = r.now()
		return w, a.SetState(w.state)
	}
	return w, nil
}

func (r *repo) now() time.Time { return r.engine.Store().Now() }

// begin begins a write. A later attempt knows when.
func (w *remoteWrite) begin(ctx context.Context) error {
	w.state = writeState{BegunAt: w.repo.now()}
	if err := w.SetState(w.state); err != nil {
		return err
	}
	return w.BeginWrite(ctx)
}

// accept ends the attempt after the remote has accepted the write.
func (w *remoteWrite) accept(ctx context.Context, handle string) error {
	w.state.Answered, w.state.Accepted, w.state.Handle = true, true, &handle
	if err := w.StoreState(ctx, w.state); err != nil {
		return err
	}
	return w.again(w.state.BegunAt, w.repo.now().Add(maxPolling), "the remote has accepted the change and carries it out later")
}

// poll asks for the outcome of an accepted write. It returns nil if the write is done, or if the remote
// cannot be asked.
func (w *remoteWrite) poll(ctx context.Context) error {
	if w.state.Handle == nil {
		return nil
	}
	known, err := w.repo.remote.poll(ctx, w.key, *w.state.Handle)
	if !known {
		return nil
	}
	if handle, accepted := acceptedHandle(err); accepted {
		limit := w.state.BegunAt.Add(maxPolling)
		if !w.repo.now().Before(limit) {
			return nawasync.Permanent(fmt.Errorf("the remote accepted the change and has not carried it out within %s; look for its task on the remote", maxPolling))
		}
		w.state.Handle = &handle
		return w.again(w.state.BegunAt, limit, "the remote has accepted the change and still carries it out")
	}
	if fault.ClassOf(err) == fault.ClassConflict { // it was not carried out; the next attempt merges it again
		w.state = writeState{}
		return errors.Join(fault.WithClass(fault.ClassTransient, fmt.Errorf("the remote did not carry out the accepted change: %w", err)), w.SetState(nil))
	}
	if err != nil {
		return fmt.Errorf("ask for the outcome of the accepted change: %w", err)
	}
	w.state.Handle, w.state.Accepted, w.state.BegunAt = nil, false, w.repo.now()
	return w.SetState(w.state)
}

// until returns when what the remote shows of the write is final.
func (w *remoteWrite) until() time.Time {
	if w.state.Accepted {
		return w.state.BegunAt.Add(max(w.repo.settle, maxAccepted))
	}
	return w.state.BegunAt.Add(w.repo.settle)
}

// again ends the attempt. The next one reads the remote again, at the latest at until. since is when the
// waiting began.
func (w *remoteWrite) again(since, until time.Time, reason string) error {
	if err := w.SetState(w.state); err != nil {
		return err
	}
	return readAgain(w.repo.now(), since, until, reason)
}

func readAgain(now, since, until time.Time, reason string) error {
	wait := min(max(now.Sub(since)/2, minSettleWait), maxSettleWait)
	wait = max(0, min(wait, until.Sub(now)))
	return nawasync.RetryAfter(wait, fault.WithClass(fault.ClassTransient, errors.New(reason+"; the object is read again")))
}

// unlessSettling returns err, unless the repository has written the object just before: the remote may
// show an earlier state. own includes the write of an earlier attempt of this job.
func (w *remoteWrite) unlessSettling(ctx context.Context, own bool, err error) error {
	since, readErr := w.settling(ctx, own)
	if readErr != nil {
		return readErr
	}
	if since.IsZero() {
		return err
	}
	reason := fmt.Sprintf("the object was written at %s, and the remote may not show that yet", since.UTC().Format(time.TimeOnly))
	if err != nil {
		reason += " (" + err.Error() + ")"
	}
	return w.again(since, since.Add(w.repo.settle), reason)
}

// settling returns when the repository last wrote the object, if the remote may still show an earlier state.
// Else it returns the zero time. own includes the write of an earlier attempt of this job.
func (w *remoteWrite) settling(ctx context.Context, own bool) (since time.Time, err error) {
	if since, err = w.repo.lastWrite(ctx, w.Job(), w.key); err != nil {
		return time.Time{}, err
	}
	if own && w.state.BegunAt.After(since) {
		since = w.state.BegunAt
	}
	if since.IsZero() || !w.repo.now().Before(since.Add(w.repo.settle)) {
		return time.Time{}, nil
	}
	return since, nil
}

// lastWrite returns when a job other than the given one wrote the object, if that is less than
// Config.Settle ago. Else it returns the zero time.
func (r *repo) lastWrite(ctx context.Context, job tracker.Job, key reflect.Value) (time.Time, error) {
	if r.settle == 0 {
		return time.Time{}, nil
	}
	targets := []int64{jobrow.TargetKey(r.service, r.typ, job.Instance, job.TargetID), jobrow.TargetKey(r.service, r.typ, job.Instance, r.model.target(key))}
	if len(r.model.natural) > 0 {
		targets = append(targets, jobrow.TargetKey(r.service, r.typ, job.Instance, targetText(key, r.model.natural)))
	}
	return r.engine.Store().LastWrite(ctx, targets, job.ID, r.now().Add(-r.settle))
}

// digest returns a short digest of a field's value.
func (f *field) digest(row reflect.Value) string {
	sum := sha256.Sum256(f.canonical(nil, row))
	return hex.EncodeToString(sum[:12])
}
