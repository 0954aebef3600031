package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/nawasara/nawasync"
)

// maxThings is how many objects the repository has at most.
const maxThings = 120

// mirrorUser changes the objects of the repository.
type mirrorUser struct {
	*host
	random *rand.Rand
	names  int // objects that this process has created; a name is never used again
}

// change creates, updates, resets, deletes or refreshes a random object, or changes one at the remote as
// another client does.
func (m *mirrorUser) change(ctx context.Context) error {
	o := nawasync.Options{By: "user:3"}
	page, err := m.things.List(ctx, nawasync.Query{Limit: 200})
	if err != nil {
		return err
	}
	p := m.random.Float64()
	if len(page.Items) < 20 || (p < 0.25 && len(page.Items) < maxThings) {
		m.names++
		_, err := m.things.Create(ctx, thing{Name: fmt.Sprintf("%s-%d", m.spec.Name, m.names), Value: m.value()}, o)
		return err
	}
	seen := page.Items[m.random.IntN(len(page.Items))]
	switch {
	case p < 0.45: // a job of the host's own, in the object's lane
		o.MarkRow = m.random.IntN(2) == 0
		_, err = m.things.Dispatch(ctx, seen, resetThing{FailFirst: max(0, m.random.IntN(5)-3), Millis: m.random.IntN(120)}, o)
	case p < 0.75:
		_, err = m.things.Update(ctx, seen, func(t *thing) { t.Value = m.value() }, o)
	case p < 0.90:
		_, err = m.things.Delete(ctx, seen, o)
	case p < 0.97: // resolves a conflict, if there is one
		_, err = m.things.Refresh(ctx, int64(seen.ID), o)
	default:
		_, err = m.remote.thing(ctx, http.MethodPut, seen.Name, &thingBody{Value: m.value()})
		if err != nil {
			return nil //nolint:nilerr // the object may have been deleted
		}
	}
	if errors.Is(err, nawasync.ErrUnchanged) || errors.Is(err, nawasync.ErrDeleting) || errors.Is(err, nawasync.ErrNotFound) {
		return nil
	}
	return err
}

func (m *mirrorUser) value() string { return fmt.Sprintf("v%d", m.random.Int32()) }
