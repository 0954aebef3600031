package mirror

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// These limits keep the values of a conflict short enough to be stored.
const (
	maxConflictValue  = 4 << 10 // length of one value as JSON
	manyConflictBytes = 200     // length of one value if the conflict would be too long otherwise
)

// conflicting is a conflict of a change with the remote.
type conflicting struct {
	reason  string
	current erasedObject
	changes map[string]*requestedChange // the fields that the conflict shows
	columns []string                    // those whose value on the remote is neither the seen nor the wanted one
	accept  bool                        // whether the remote's values could be what the remote made of the wanted ones
	created bool                        // whether the job has created the object and stored it in the row
}

// conflict returns the error that ends a job with a conflict. It holds the values of the fields as the
// user saw them, as the user wants them, and as the remote has them now.
func (r *repo) conflict(ctx context.Context, c conflicting) error {
	base, desired, remote := map[string]json.RawMessage{}, map[string]json.RawMessage{}, map[string]json.RawMessage{}
	answers := tracker.ConflictAnswers{Accept: c.accept}
	if c.created && r.can.update {
		answers.Update = r.actions.Update[0]
	}
	for _, column := range slices.Sorted(maps.Keys(c.changes)) {
		f := r.model.byColumn[column]
		if f == nil {
			continue // the job was dispatched by another release, which has this field
		}
		if f.exact && slices.Contains(c.columns, column) {
			answers.Accept = false
		}
		change := c.changes[column]
		if change.From != nil { // else only a token knows what the user saw; see addSeen
			base[column] = change.From
		}
		if change.To != nil {
			desired[column] = change.To
		}
		text, err := json.Marshal(f.value(c.current.value).Interface())
		if err != nil {
			return nawasync.Permanent(fmt.Errorf("%s; marshal the remote's value of %s: %w", c.reason, column, err))
		}
		remote[column] = text
	}
	if err := r.addSeen(ctx, base, c); err != nil {
		return err
	}
	limit := maxConflictValue
	if sizeOf(base)+sizeOf(desired)+sizeOf(remote) > tracker.MaxResult/2 {
		limit = manyConflictBytes
	}
	short := shortenValues(remote, limit)
	shortenValues(base, limit)
	shortenValues(desired, limit)
	key, err := r.engine.DigestKey(ctx)
	if err != nil {
		return err
	}
	for _, column := range c.columns {
		if remote[column] == nil {
			continue
		}
		answers.Digests = append(answers.Digests, tracker.ValueDigest{
			Column: column, Digest: r.model.byColumn[column].keyedDigest(key, c.current.value), Short: slices.Contains(short, column),
		})
	}
	d := nawasync.ConflictDetail{Base: base, Remote: remote, Author: sqlkit.CleanText(c.current.author, maxFieldBytes), Answers: answers}
	if len(desired) > 0 {
		d.Desired = desired
	}
	return &valueConflictError{nawasync.Conflict(c.reason, d)}
}

// valueConflictError is a conflict over values, as opposed to the other errors that end a job with a conflict.
type valueConflictError struct{ err error }

func (e *valueConflictError) Error() string { return e.err.Error() }
func (e *valueConflictError) Unwrap() error { return e.err }

func isConflict(err error) bool {
	var c *valueConflictError
	return errors.As(err, &c)
}

func sizeOf(values map[string]json.RawMessage) (n int) {
	for column, text := range values {
		n += len(column) + len(text)
	}
	return n
}

// shortenValues replaces values that are too long by a text with their beginning. It returns their
// columns.
func shortenValues(values map[string]json.RawMessage, limit int) (columns []string) {
	for column, text := range values {
		if len(text) <= limit {
			continue
		}
		columns = append(columns, column)
		short, _ := json.Marshal(fmt.Sprintf("%s… (truncated, %d bytes)", sqlkit.CleanText(string(text), manyConflictBytes), len(text)))
		values[column] = short
	}
	return columns
}

// keyedDigest returns a digest of a field's value that nobody without the key can guess values from.
func (f *field) keyedDigest(key []byte, row reflect.Value) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(f.canonical(append([]byte(f.column), 0), row))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// hasDigest reports whether one of the digests is that of the field's value.
func (r *repo) hasDigest(ctx context.Context, row reflect.Value, f *field, digests []tracker.ValueDigest) (bool, error) {
	for _, d := range digests {
		if d.Column != f.column {
			continue
		}
		key, err := r.engine.DigestKey(ctx)
		if err != nil || hmac.Equal([]byte(f.keyedDigest(key, row)), []byte(d.Digest)) {
			return err == nil, err
		}
	}
	return false, nil
}

// userKnew reports whether the current remote value of f is the one that the user saw, or one that an
// earlier job of the row wrote.
func (r *repo) userKnew(ctx context.Context, current reflect.Value, f *field, c *requestedChange) (bool, error) {
	if c.Digest != "" {
		key, err := r.engine.DigestKey(ctx)
		if err != nil {
			return false, err
		}
		if hmac.Equal([]byte(f.keyedDigest(key, current)), []byte(c.Digest)) {
			return true, nil
		}
	}
	if c.Seen != "" {
		if matches, err := r.matchesSeen(ctx, current, f, c.Seen); matches || err != nil {
			return matches, err
		}
	}
	known := deepCopy(current) // Normalise may depend on other fields
	for _, text := range append([]json.RawMessage{c.From}, c.Also...) {
		if len(text) == 0 {
			continue // the change has only a digest
		}
		if err := decodeField(known, f, text); err != nil {
			return false, nawasync.Permanent(err)
		}
		r.model.respell(known)
		if f.equal(current, known) {
			return true, nil
		}
	}
	return false, nil
}
