package iam

import (
	"context"
	"fmt"
	"iter"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// late is how much later than its time an event may appear, in milliseconds: events of a request are dated when it begins,
// and the clocks of the servers of a cluster differ.
const late = 60_000

// changes yields the objects that the admin events name since the cursor. A cursor is the time of the newest event, by the
// clock of the server, and how many events there were in the minute before. So a minute is read twice, and names its objects
// again only if there is an event that was not read.
func changes[T any](ctx context.Context, api *kcapi.Client, realm, kind, cursor string, key func(id string) T) iter.Seq2[mirror.Change[T], error] {
	return func(yield func(mirror.Change[T], error) bool) {
		if cursor == "" {
			newest, err := api.LastEvent(ctx, realm, kind)
			yield(mirror.Change[T]{Cursor: cursorOf(newest, 0)}, err)
			return
		}
		var newest int64
		var count int
		if _, err := fmt.Sscanf(cursor, "%d/%d", &newest, &count); err != nil {
			yield(mirror.Change[T]{}, fault.WithClass(fault.ClassPermanent, fmt.Errorf("the cursor %.40q is none of admin events", cursor)))
			return
		}
		times, named, err := read(ctx, api, realm, kind, newest-late)
		if err != nil {
			yield(mirror.Change[T]{}, err)
			return
		}
		next := cursor
		if len(times) > 0 {
			last, recent := times[len(times)-1], 0
			for _, t := range times {
				if t >= last-late {
					recent++
				}
			}
			next = cursorOf(last, recent)
		}
		if next != cursor {
			for _, id := range named {
				if !yield(mirror.Change[T]{Key: key(id)}, nil) {
					return
				}
			}
		}
		yield(mirror.Change[T]{Cursor: next}, nil)
	}
}

func cursorOf(newest int64, count int) string { return fmt.Sprintf("%d/%d", newest, count) }

// read returns the times of the events from a time on, and the objects that they name, each once.
func read(ctx context.Context, api *kcapi.Client, realm, kind string, from int64) (times []int64, named []string, err error) {
	seen := map[string]bool{}
	for page, err := range api.Events(ctx, realm, kind, from) {
		if err != nil {
			return nil, nil, err
		}
		for _, e := range page.Items {
			times = append(times, e.Time)
			if id := e.Object(); id != "" && !seen[id] {
				seen[id], named = true, append(named, id)
			}
		}
	}
	return times, named, nil
}
