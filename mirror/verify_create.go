package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/fault"
)

// verify reads a created object, whose row has what the remote answered, and compares it with what was
// wanted. Until the remote must show the object, a different value only makes it read the object again.
func (c *creation) verify(ctx context.Context, result createResult) error {
	if c.state.BegunAt.IsZero() {
		c.state.BegunAt = c.repo.now()
	}
	if err := errors.Join(c.SetState(c.state), ctx.Err()); err != nil {
		return err
	}
	object, err := c.repo.getRemote(ctx, c.row)
	other := (*otherObjectError)(nil)
	waiting := c.repo.now().Before(c.until())
	switch {
	case fault.ClassOf(err) == fault.ClassGone && waiting:
		return c.again(c.state.BegunAt, c.until(), "the remote does not show the created object yet")
	case fault.ClassOf(err) == fault.ClassGone:
		return c.notShown()
	case errors.As(err, &other):
		return gone("%q no longer exists: %w", c.repo.model.target(c.row), err)
	case err != nil:
		return fmt.Errorf("read the object after its creation: %w", err)
	}
	unexpected := c.unexpected(object)
	if len(unexpected) > 0 && waiting {
		return c.again(c.state.BegunAt, c.until(), "the remote does not show the wanted "+strings.Join(columnsOf(unexpected), " and ")+" yet")
	}
	return c.finish(ctx, object, result)
}

// unexpected returns the fields in which an object has neither the wanted value nor the one that the remote
// answered.
func (c *creation) unexpected(object erasedObject) []*field {
	return slices.DeleteFunc(c.differences(object.value), func(f *field) bool {
		return !f.exact && (f.equal(object.value, c.row) || c.repo.wroteLast(object))
	})
}

// finish ends the creation with the object that the remote shows.
func (c *creation) finish(ctx context.Context, object erasedObject, result createResult) error {
	unexpected := c.unexpected(object)
	if len(unexpected) == 0 {
		return c.succeed(ctx, object, result)
	}
	c.SetResult(result) // an answer to the conflict is bound to the created object
	return c.repo.conflict(ctx, conflicting{
		reason:  "the remote has a different " + strings.Join(columnsOf(unexpected), " and ") + " than was wanted: another client changed the value, or the remote stores it in another form",
		current: object, changes: c.changes(), columns: columnsOf(unexpected), accept: true, created: true,
	})
}

// succeed ends the creation: the row gets the remote's values, and the result says which of them the
// remote stores in another form than they were wanted.
func (c *creation) succeed(ctx context.Context, object erasedObject, result createResult) error {
	all := map[string]any{}
	text, err := json.Marshal(result)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return err
	}
	adjusted := map[string]any{}
	for _, f := range c.differences(object.value) {
		adjusted[f.column] = abbreviate(f.value(object.value).Interface())
	}
	c.noteAdjusted(all, adjusted)
	if err := c.noteDigests(ctx, all, object.value, sortedKeys(adjusted)); err != nil {
		return err
	}
	return c.repo.writeOnSuccess(c.Attempt, object, createReport(all))
}
