package mirror

import (
	"context"
	"errors"
	"iter"
)

// ResumableRemote is an optional interface of a Remote whose listing can go on in the middle. Implement
// it if a listing takes many calls and the API limits them: a sync that meets the limit goes on where it
// stopped, and one that cannot go on begins again. List is then ListFrom with the cursor "".
type ResumableRemote[T any] interface {
	// ListFrom yields the pages after the one with the given Page.Cursor, as List does. If the remote
	// no longer accepts the cursor, yield an error that wraps ErrCursorExpired. The cursor may be
	// from another process and may be days old.
	ListFrom(ctx context.Context, scope T, detail, cursor string) iter.Seq2[Page[T], error]
}

// ErrCursorExpired is the error of a listing whose cursor the remote no longer accepts, at its start or
// in the middle. Wrap it with the remote's own error. The sync lists from the beginning and keeps what
// it has seen, at most three times; then it fails.
var ErrCursorExpired = errors.New("the remote no longer accepts the cursor of the listing")
