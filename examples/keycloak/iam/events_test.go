package iam_test

import (
	"context"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// ended returns a context for what happens after the test.
func (w *world) ended() context.Context { return context.WithoutCancel(w.t.Context()) }

// readEvents reads the admin events of the realm's users.
func (w *world) readEvents() *tracker.Job {
	w.t.Helper()
	args, err := w.Users.ChangesArgs(iam.User{Realm: w.realm})
	w.noError(err)
	return w.run(w.engine.Dispatch(w.t.Context(), args, byAnn))
}

func TestAdminEventsRefreshWhatOthersHaveChanged(t *testing.T) {
	inWorld(t, func(w *world) {
		kurt, lena := w.newUser("kurt", nil), w.newUser("lena", nil)
		w.want(w.readEvents(), tracker.StatusSuccess, `"syncs":1`) // nothing is known of what was before
		w.want(w.readEvents(), tracker.StatusSuccess, "")
		w.want(w.readEvents(), tracker.StatusSuccess, `"read":0`) // the minute before is read again, and has nothing new
		w.newUser("mona", nil)
		w.noError(w.other.UpdateUser(w.t.Context(), w.realm, kurt, map[string]any{"lastName": "Changed"}))
		w.noError(w.other.DeleteUser(w.t.Context(), w.realm, lena))
		w.readEvents()
		if row := w.user("kurt"); row.LastName != "Changed" || row.State != nawasync.StateSynced {
			w.t.Errorf("the changed user's row is %+v", row)
		}
		if row := w.user("mona"); row.State != nawasync.StateSynced {
			w.t.Errorf("the new user's row is %+v", row)
		}
		page, err := w.Users.List(w.t.Context(), nawasync.Query{Where: map[string]any{"username": "lena"}})
		w.noError(err)
		if len(page.Items) != 0 {
			w.t.Errorf("the deleted user's row is %+v", page.Items[0])
		}
		w.want(w.readEvents(), tracker.StatusSuccess, `"read":0`)
	})
}

func TestClearedAdminEventsAreReplacedByASync(t *testing.T) {
	inWorld(t, func(w *world) {
		id := w.newUser("nora", nil)
		w.readEvents()
		w.readEvents()
		w.noError(w.other.UpdateUser(w.t.Context(), w.realm, id, map[string]any{"lastName": "Changed"}))
		w.clearEvents(w.t)
		w.want(w.readEvents(), tracker.StatusSuccess, "no longer has the changes")
		if row := w.user("nora"); row.LastName != "Changed" {
			w.t.Errorf("the row has the name %s", row.LastName)
		}
		w.noError(w.other.UpdateUser(w.t.Context(), w.realm, id, map[string]any{"lastName": "Again"}))
		w.want(w.readEvents(), tracker.StatusSuccess, `"read":1`)
		if row := w.user("nora"); row.LastName != "Again" {
			w.t.Errorf("after an event the row has the name %s", row.LastName)
		}
	})
}

// Two changes overlap: the event of the first one appears after that of the second has been read.
func TestLateAdminEventRefreshesItsUser(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		theirs := nawasynctest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
		w := newWorld(t, newSimulated(t, sim.Options{Now: theirs.Now}), db)
		w.readEvents()
		w.noError(w.simulated.HoldEvents("main", 1))
		w.noError(w.simulated.PutUser("main", "ayu.adi", sim.Object{"lastName": "Late"}))
		theirs.Advance(40 * time.Second)
		w.noError(w.simulated.PutUser("main", "budi.adi", sim.Object{"lastName": "Early"}))
		w.want(w.readEvents(), tracker.StatusSuccess, `"read":1`)
		if late, early := w.user("ayu.adi"), w.user("budi.adi"); late.LastName != "Adi" || early.LastName != "Early" {
			t.Errorf("before the event appears, the rows have the names %s and %s", late.LastName, early.LastName)
		}
		w.noError(w.simulated.ShowEvents("main"))
		w.want(w.readEvents(), tracker.StatusSuccess, `"read":2`)
		if row := w.user("ayu.adi"); row.LastName != "Late" || row.State != nawasync.StateSynced {
			t.Errorf("the row is %+v", row)
		}
		w.want(w.readEvents(), tracker.StatusSuccess, `"read":0`)
	})
}

func TestRealmWithoutAdminEventsIsLeftToTheSyncs(t *testing.T) {
	simulatedWorld(t, func(w *world) {
		w.noError(w.simulated.SaveEvents("main", false))
		w.readEvents()
		w.noError(w.simulated.PutUser("main", "ayu.adi", sim.Object{"lastName": "Other"}))
		w.want(w.readEvents(), tracker.StatusSuccess, `"read":0`)
		if row := w.user("ayu.adi"); row.LastName != "Adi" {
			w.t.Errorf("the row has the name %s without an event", row.LastName)
		}
		w.sync()
		if row := w.user("ayu.adi"); row.LastName != "Other" {
			w.t.Errorf("after a sync the row has the name %s", row.LastName)
		}
	})
}
