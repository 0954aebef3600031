package kcapi

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/remote"
)

// Event is an entry of the admin events of a realm.
type Event struct {
	Time     int64  `json:"time"`         // milliseconds since 1970, by the server's clock
	Resource string `json:"resourcePath"` // for example users/ID or users/ID/reset-password
}

// Object returns the identifier of the object that the event is about, or "".
func (e Event) Object() string {
	_, rest, _ := strings.Cut(e.Resource, "/")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// The kinds of objects in events.
const (
	KindUser = "USER"
	KindApp  = "CLIENT"
)

// Events yields the admin events of a kind of object from a time on, the oldest first. There are none if the realm does
// not save admin events.
func (c *Client) Events(ctx context.Context, realm, kind string, from int64) iter.Seq2[remote.Page[Event], error] {
	query := url.Values{"resourceTypes": {kind}, "direction": {"asc"}}
	if from > 0 {
		query.Set("dateFrom", strconv.FormatInt(from, 10))
	}
	return list[Event](ctx, c, realm, "admin-events", "", query)
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
