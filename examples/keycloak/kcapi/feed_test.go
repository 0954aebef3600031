package kcapi_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
)

// feed reads the admin events of the users of the realm main.
type feed struct {
	*setup

	t      *testing.T
	cursor string
	names  map[string]string // of the users, by identifier
}

func newFeed(t *testing.T, change func(*kcapi.Config)) *feed {
	t.Helper()
	f := &feed{setup: newSetup(t, change), t: t, names: map[string]string{}}
	for _, u := range f.server.Users("main") {
		f.names[u.Text("id")], _, _ = strings.Cut(u.Text("username"), ".")
	}
	f.want("")
	return f
}

// edit changes users, each in an event of its own.
func (f *feed) edit(names ...string) {
	f.t.Helper()
	for _, name := range names {
		noError(f.t, f.server.PutUser("main", name+".adi", sim.Object{"lastName": "Other"}))
	}
}

// want reads the events since the last time, which must name these users.
func (f *feed) want(names string) {
	f.t.Helper()
	ids, next, err := f.client.Changed(f.t.Context(), "main", kcapi.KindUser, f.cursor)
	noError(f.t, err)
	var got []string
	for _, id := range ids {
		got = append(got, f.names[id])
	}
	if strings.Join(got, " ") != names {
		f.t.Errorf("the events name %v, want %s", got, names)
	}
	f.cursor = next
}

func TestEventThatAppearsLateWithAnEarlierTimeIsRead(t *testing.T) {
	t.Parallel()
	f := newFeed(t, nil)
	f.edit("ayu")
	f.want("ayu")
	for _, late := range []time.Duration{time.Millisecond, 30 * time.Second, time.Minute} {
		f.theirs.advance(time.Hour)
		noError(t, f.server.HoldEvents("main", 1))
		f.edit("budi") // its request ends later
		f.theirs.advance(late)
		f.edit("citra")
		f.want("citra")
		f.want("")
		noError(t, f.server.ShowEvents("main"))
		f.want("budi citra") // one that is read twice does no harm
		f.want("")
	}
	f.theirs.advance(time.Hour)
	noError(t, f.server.HoldEvents("main", 1))
	f.edit("budi")
	f.theirs.advance(time.Minute + time.Millisecond)
	f.edit("citra")
	f.want("citra")
	noError(t, f.server.ShowEvents("main"))
	f.want("") // only a sync finds it
}

// While one event expires, another appears late: there are as many as before.
func TestLateEventInPlaceOfAnExpiredOneIsRead(t *testing.T) {
	t.Parallel()
	f := newFeed(t, nil)
	f.edit("ayu")
	noError(t, f.server.HoldEvents("main", 1))
	f.edit("budi")
	f.edit("citra")
	f.want("ayu citra")
	noError(t, f.server.DropEvents("main", 1))
	noError(t, f.server.ShowEvents("main"))
	f.want("citra budi")
}

func TestPagesOfEventsOverlapSoThatNoneIsLost(t *testing.T) {
	t.Parallel()
	var dropping *sim.Server
	f := newFeed(t, func(c *kcapi.Config) {
		c.PageSize = 2
		c.Remote.Base = roundTrip(func(r *http.Request) (*http.Response, error) {
			answer, err := http.DefaultTransport.RoundTrip(r)
			if dropping != nil && strings.HasSuffix(r.URL.Path, "/admin-events") {
				err = errors.Join(err, dropping.DropEvents("main", 1)) // one expires while the others are read
			}
			return answer, err
		})
	})
	f.edit(slices.Repeat([]string{"ayu", "budi", "citra", "dewi"}, 2)...) // in one millisecond
	f.theirs.advance(time.Millisecond)
	f.edit("ayu")
	f.want("ayu budi citra dewi")
	f.want("")
	noError(t, f.server.DropEvents("main", 8))
	f.want("ayu")
	dropping = f.server
	for _, name := range []string{"budi", "citra", "dewi"} {
		f.theirs.advance(time.Second)
		f.edit(name)
	}
	f.want("budi citra dewi")
}

func TestEventsThatHaveExpiredOrWereClearedAreReported(t *testing.T) {
	t.Parallel()
	f := newFeed(t, nil)
	gone := func(cursor string) {
		t.Helper()
		if _, next, err := f.client.Changed(t.Context(), "main", kcapi.KindUser, cursor); !errors.Is(err, kcapi.ErrEventsGone) {
			t.Errorf("after the cursor %q: %q, %v; want ErrEventsGone", cursor, next, err)
		}
	}
	f.want("") // there was no event, so none can be lost
	f.edit("ayu")
	f.want("ayu")
	noError(t, f.server.DropEvents("main", 1))
	gone(f.cursor)
	f.theirs.advance(time.Second)
	f.edit("budi") // perhaps there were others
	gone(f.cursor)
	gone("something else")
	f.cursor = ""
	f.want("")
	f.edit("citra")
	f.want("budi citra")
}
