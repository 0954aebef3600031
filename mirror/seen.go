package mirror

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
)

// ErrSeen is returned by ParseSeen for a token that was changed, or made for another repository, row, scope or
// user. No form that the application showed to this user sends such a token.
var ErrSeen = errors.New("the form's token was changed, or was not made for this row, scope and user; open the form again")

// ErrStale is returned by ParseSeen for a token that another release made, whose struct has other fields, and
// for one whose row stands for another object now. The user has to see the row again.
var ErrStale = errors.New("the form is out of date; open it again")

// findInScope reads the row with an id if it belongs to the scope.
func (r *repo) findInScope(ctx context.Context, into, scope reflect.Value, id int64) error {
	scope = r.model.respelled(scope)
	if err := r.model.checkScope(scope); err != nil {
		return err
	}
	where, args := "id = ?", []any{id}
	if len(r.model.scope) > 0 {
		in, values := r.equal(r.model.scope, scope)
		where, args = where+" AND "+in, append(args, values...)
	}
	return r.findRow(ctx, into, where, args...)
}

// seenToken returns the token of a row.
func (r *repo) seenToken(ctx context.Context, row reflect.Value, user string) (string, error) {
	id := r.model.idOf(row)
	if id <= 0 {
		return "", fmt.Errorf("%w: the row has no id; pass a row that List or Find returned", nawasync.ErrInvalid)
	}
	if token := r.engine.SeenOf(r.status(row)); token != nil && len(token.Digests)+len(token.Unseen) > 0 {
		return "", fmt.Errorf("%w: the row is from ParseSeen; send its token again, or pass a row that List or Find returned", nawasync.ErrInvalid)
	}
	row = r.model.respelled(row)
	key, err := r.engine.SeenKey(ctx, "field")
	if err != nil {
		return "", err
	}
	t := newSeenToken(r.model, id)
	for _, f := range r.model.seenFields() {
		t.add(r.showsValue(row, f), f.seenDigest(key, t.salt[:], row))
	}
	sign, err := r.engine.SeenKey(ctx, "token")
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(t.seal(sign, r.seenBinding(row, user))), nil
}

// seenFields returns the fields that a token has a digest of: those that tell the object, then the content.
func (m *model) seenFields() []*field { return slices.Concat(m.key, m.incarnation, m.content) }

// showsValue reports whether a row shows what the object has in a field.
func (r *repo) showsValue(row reflect.Value, f *field) bool {
	if f.role == roleKey || f.role == roleObserved {
		return !f.value(row).IsZero() // else it was never fetched, or there is no object yet
	}
	return r.checkSeen(row, f) == nil
}

// seenBinding returns what a token belongs to.
func (r *repo) seenBinding(row reflect.Value, user string) []string {
	return append([]string{r.service, r.typ, r.model.table, user}, parts(row, r.model.scope)...)
}

// parseSeen reads the row of a token, and what the user saw of it.
func (r *repo) parseSeen(ctx context.Context, into, of reflect.Value, user, text string) error {
	of = r.model.respelled(of)
	if err := r.model.checkScope(of); err != nil {
		return err
	}
	sign, err := r.engine.SeenKey(ctx, "token")
	if err != nil {
		return err
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return fmt.Errorf("%w (it is no token)", ErrSeen)
	}
	t, err := openSeenToken(r.model, sealed, sign, r.seenBinding(of, user))
	if err != nil {
		return err
	}
	if id := r.model.idOf(of); id > 0 && id != t.id {
		return fmt.Errorf("%w (it is the token of row %d, not of row %d)", ErrSeen, t.id, id)
	}
	if err := r.findInScope(ctx, into, of, t.id); err != nil {
		return err
	}
	row := r.model.respelled(into.Elem())
	if r.model.hasKey(of) && !r.model.sameKey(of, row) {
		return fmt.Errorf("%w (it is the token of %q, not of %q)", ErrSeen, r.model.target(row), targetText(of, r.model.key))
	}
	seen, err := r.compareSeen(ctx, t, row)
	if err != nil {
		return err
	}
	r.engine.SetSeen(r.status(into.Elem()), seen)
	return nil
}

// compareSeen compares a row with its token.
func (r *repo) compareSeen(ctx context.Context, t *seenToken, row reflect.Value) (*host.Seen, error) {
	key, err := r.engine.SeenKey(ctx, "field")
	if err != nil {
		return nil, err
	}
	seen := &host.Seen{Digests: map[string]string{}, Unseen: map[string]bool{}}
	var other []string
	for i, f := range r.model.seenFields() {
		same := hmac.Equal(t.digests[i], f.seenDigest(key, t.salt[:], row))
		object := f.role == roleKey || f.role == roleObserved
		switch {
		case object && t.shown[i] && !same && !f.value(row).IsZero():
			other = append(other, f.column)
		case object:
		case !t.shown[i]:
			seen.Unseen[f.column] = true
		case !same:
			seen.Digests[f.column] = t.salted(i)
		}
	}
	if len(other) > 0 {
		return nil, fmt.Errorf("%w: row %d of %s stands for another object now, whose %s differs", ErrStale, t.id, r.model.table, strings.Join(other, " and "))
	}
	return seen, nil
}

// isAsSeen reports whether a wanted value is the one that the user of a token saw: a form sends fields back that the
// user has not changed.
func (r *repo) isAsSeen(ctx context.Context, seen, want reflect.Value, f *field) (bool, error) {
	token := r.engine.SeenOf(r.status(seen))
	if token == nil || token.Digests[f.column] == "" {
		return false, nil
	}
	return r.matchesSeen(ctx, want, f, token.Digests[f.column])
}

// matchesSeen reports whether a salted digest is that of a row's field.
func (r *repo) matchesSeen(ctx context.Context, row reflect.Value, f *field, salted string) (bool, error) {
	key, err := r.engine.SeenKey(ctx, "field")
	if err != nil {
		return false, err
	}
	salt, digest, ok := splitSalted(salted)
	return ok && hmac.Equal(digest, f.seenDigest(key, salt, row)), nil
}
