package kcapi

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/remote"
)

// Event is an entry of the admin events of a realm.
type Event struct {
	ID        string `json:"id"`
	Time      int64  `json:"time"` // milliseconds since 1970, by the server's clock
	Operation string `json:"operationType"`
	Resource  string `json:"resourcePath"` // for example users/ID or users/ID/reset-password
}

// Object returns the identifier of the object that the event is about, or "".
func (e Event) Object() string {
	_, rest, _ := strings.Cut(e.Resource, "/")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// name tells an event from others.
func (e Event) name() string { return fmt.Sprint(e.ID, e.Time, e.Operation, e.Resource) }

// The kinds of objects in events.
const (
	KindUser = "USER"
	KindApp  = "CLIENT"
)

// Events yields the admin events of a kind of object from a time on, each once, the oldest first. There are none if the
// realm does not save admin events.
//
// A page begins with the time of the last event of the page before, and not at an offset: events that the server drops
// meanwhile would shift the others, and those of one millisecond have no order.
func (c *Client) Events(ctx context.Context, realm, kind string, from int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		seen := map[string]bool{}
		for offset := 0; ; {
			page, err := c.events(ctx, realm, kind, from, offset)
			if err != nil {
				yield(Event{}, err)
				return
			}
			news := false
			for _, e := range page {
				if seen[e.name()] {
					continue
				}
				if seen[e.name()], news = true, true; !yield(e, nil) {
					return
				}
			}
			switch {
			case len(page) == 0, !news && len(page) < c.pageSize:
				return
			case page[len(page)-1].Time > from:
				from, offset = page[len(page)-1].Time, 0
			default: // a whole page of one millisecond
				offset += len(page)
			}
		}
	}
}

func (c *Client) events(ctx context.Context, realm, kind string, from int64, offset int) (page []Event, err error) {
	query := url.Values{"resourceTypes": {kind}, "direction": {"asc"}}
	if from > 0 {
		query.Set("dateFrom", strconv.FormatInt(from, 10))
	}
	_, err = c.call(ctx, realm, remote.Call{Query: c.page(offset, query)}, []string{"admin-events"}, &page)
	return page, err
}

// LastEvent returns the time of the newest admin event of a kind, 0 if there is none.
func (c *Client) LastEvent(ctx context.Context, realm, kind string) (int64, error) {
	var found []Event
	query := url.Values{"resourceTypes": {kind}, "max": {"1"}}
	_, err := c.call(ctx, realm, remote.Call{Query: query}, []string{"admin-events"}, &found)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0].Time, nil
}
