package jobstore_test

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func (o *outage) class(db *testdb.Database) (class string) {
	o.t.Helper()
	o.NoError(db.Raw("SELECT COALESCE(class, 'none') FROM nawasync_scopes").Row().Scan(&class))
	return class
}

func TestClassOfAParkIsStoredBesideItsReason(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		o := newOutage(t, db)
		if got := o.class(db); got != "unavailable" {
			t.Errorf("the class of an outage is %s", got)
		}
		o.Advance(10 * time.Second)
		o.park(o.probe(o.jobs[0]), fault.ClassCredentials, 0)
		if got := o.class(db); got != "credentials" {
			t.Errorf("the class of refused credentials is %s", got)
		}
		o.NoError(o.Pause(t.Context(), tracker.Scope{Service: "whm", Instance: "web1", Until: tracker.Forever, By: "user:7", Reason: "unavailable: for a while"}))
		if got, s := o.class(db), o.scope(); got != "none" || s.ErrorClass != "" {
			t.Errorf("the class of a pause is %s, and the reader says %q", got, s.ErrorClass)
		}
	})
}

// A process of the release before version 18 inserts rows without a class, and updates those of others.
func TestParkOfAProcessThatWritesNoClassHasTheClassOfItsReason(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for name, class := range map[string]any{"inserted": nil, "updated": "credentials"} {
			o := newOutage(t, db)
			o.NoError(db.Exec("UPDATE nawasync_scopes SET class = ?", class).Error)
			if s := o.scope(); s.ErrorClass != "unavailable" {
				t.Errorf("%s: the class is %q", name, s.ErrorClass)
			}
			resumed, err := o.Resume(t.Context(), "whm", "")
			if err != nil || resumed.Probed != 1 || !resumed.Found {
				t.Errorf("%s: Resume returns %+v, %v; want one probe", name, resumed, err)
			}
			probe := o.probe(o.jobs[0])
			if probe == nil {
				t.Fatalf("%s: no probe can be claimed", name)
			}
			o.park(probe, fault.ClassUnavailable, 0)
			if s := o.scope(); s.Probes != 2 || o.class(db) != "unavailable" {
				t.Errorf("%s: the next probe leaves %+v and the class %s", name, s, o.class(db))
			}
			o.NoError(db.Exec("DELETE FROM nawasync_scopes").Error)
			o.NoError(db.Exec("DELETE FROM nawasync_jobs").Error)
		}
	})
}
