package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync/fault"
)

// maxHandle is the maximum length of a handle, in bytes.
const maxHandle = 8 << 10

// acceptedError says that the remote has accepted a write and carries it out later.
type acceptedError struct{ handle string }

func (e *acceptedError) Error() string {
	return "the remote has accepted the change and carries it out later"
}

// Accepted returns the error with which Create, Update and Delete report that the remote has accepted
// the write and will carry it out later, as HTTP status 202 means. handle is what [PollingRemote]
// needs to ask for the outcome, for example the id of a task; it is stored sealed and may be empty. With a
// handle of more than 8 KiB, Accepted returns an error of fault.ClassConfig instead.
//
// The repository does not repeat the write. The job stays open, and its row pending, until Get shows the
// change; for up to 24 hours if the Remote is a PollingRemote, else for an hour or Config.Settle, whichever
// is longer.
func Accepted(handle string) error {
	if len(handle) > maxHandle {
		return fault.WithClass(fault.ClassConfig, fmt.Errorf("the handle of an accepted change has %d bytes; it may have %d", len(handle), maxHandle))
	}
	return &acceptedError{handle}
}

// acceptedHandle returns the handle of an accepted write.
func acceptedHandle(err error) (handle string, accepted bool) {
	if e, ok := errors.AsType[*acceptedError](err); ok {
		return e.handle, true
	}
	return "", false
}

// PollingRemote is an optional interface of a Remote whose methods return [Accepted].
type PollingRemote[T any] interface {
	// Poll asks for the outcome of an accepted write. While the remote is busy with it, return Accepted
	// with the handle for the next call. Return nil when it is done: the repository then calls Get to
	// verify it. Return an error with a class of package fault if it has failed. In key, the scope,
	// key and natural fields are set; the key is empty for a creation whose key the remote assigns. It
	// must be safe for concurrent use.
	Poll(ctx context.Context, key T, handle string) error
}
