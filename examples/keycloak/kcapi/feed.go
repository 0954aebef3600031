package kcapi

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
)

// late is how much later than its time an event may appear, in milliseconds: the events of a request appear when it ends,
// and the clocks of the servers of a cluster differ.
const late = 60_000

// ErrEventsGone says that the server no longer has the events that followed a cursor: they have expired, or somebody has
// cleared them.
var ErrEventsGone = errors.New("keycloak: the server no longer has the admin events since the last time")

// Changed returns the identifiers of the objects of a kind that admin events have named since a cursor, each once, and the
// next cursor. With the cursor "" there are none, and the next one begins now. An error that wraps ErrEventsGone says that
// only a listing of all objects can tell what has changed.
//
// The minute before a cursor is read again, because an event may appear late and with an earlier time than others. If one
// has, the objects of all its events are returned again.
func (c *Client) Changed(ctx context.Context, realm, kind, cursor string) (ids []string, next string, err error) {
	if cursor == "" {
		newest, err := c.LastEvent(ctx, realm, kind)
		return nil, place{newest: newest}.String(), err
	}
	var from place
	if _, err := fmt.Sscanf(cursor, "%d/%x", &from.newest, &from.sum); err != nil {
		return nil, "", fmt.Errorf("%w: the cursor %.40q is none of this client", ErrEventsGone, cursor)
	}
	var before, after []Event
	for e, err := range c.Events(ctx, realm, kind, from.newest-late) {
		switch {
		case err != nil:
			return nil, "", err
		case e.Time <= from.newest:
			before = append(before, e)
		default:
			after = append(after, e)
		}
	}
	known := placeAfter(before)
	if known.newest != from.newest { // the event of the cursor, at least, is no longer there
		return nil, "", ErrEventsGone
	}
	all := slices.Concat(before, after)
	if known == from {
		return objectsOf(after), placeAfter(all).String(), nil
	}
	return objectsOf(all), placeAfter(all).String(), nil
}

// place is a cursor: the time of the newest event, and a sum over the events of the minute before it, which changes when
// another one appears among them.
type place struct {
	newest int64
	sum    uint64
}

func (p place) String() string { return fmt.Sprintf("%d/%x", p.newest, p.sum) }

func placeAfter(events []Event) (p place) {
	for _, e := range events {
		p.newest = max(p.newest, e.Time)
	}
	for _, e := range events {
		if e.Time >= p.newest-late {
			h := fnv.New64a()
			_, _ = h.Write([]byte(e.name()))
			p.sum += h.Sum64()
		}
	}
	return p
}

// objectsOf returns the objects that events name, each once.
func objectsOf(events []Event) (ids []string) {
	seen := map[string]bool{"": true}
	for _, e := range events {
		if id := e.Object(); !seen[id] {
			seen[id], ids = true, append(ids, id)
		}
	}
	return ids
}
