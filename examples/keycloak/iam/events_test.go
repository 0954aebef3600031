package iam_test

import (
	"context"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
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
