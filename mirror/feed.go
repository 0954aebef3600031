package mirror

import (
	"context"
	"iter"
)

// ChangesRemote is an optional interface of a remote with a feed of changes, such as an audit log. It
// needs a Reader: the repository reads each object that the feed names.
type ChangesRemote[T any] interface {
	// Changes yields what may have changed in a scope since the cursor, in any order and as often as the
	// feed has it. It ends where the feed has nothing more for now. The cursor "" means that
	// there is none yet: begin now or a little earlier, and yield at least a Change with a Cursor. Read
	// a little before the cursor too, if the feed can be late: a change that comes twice does no harm, one
	// that is left out is not noticed before the next full sync. If the remote no longer has what
	// followed the cursor, yield an error that wraps ErrCursorExpired. Changes must be safe for
	// concurrent use.
	Changes(ctx context.Context, scope T, cursor string) iter.Seq2[Change[T], error]
}

// Change says that an object of the remote may have been created, changed or deleted.
type Change[T any] struct {
	// Key has the key fields of the object. Scope fields that are empty are those of the asked scope. A
	// Change without a key only has a Cursor.
	Key T
	// Cursor is where the feed goes on, if everything before that place has been yielded with or before
	// this Change; else it is "". A feed that yields the newest change first sets it on the last one only. It is stored sealed if the
	// engine has a Sealer.
	Cursor string
}
