package mirror_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// The listing and Get still show for 3 s what our own job has deleted.
func TestCreateRightAfterADeletionDoesNotAdoptTheDeletedObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		m.ends(m.drain(m.Delete(t.Context(), row(m, "www"), byUser)), tracker.StatusSuccess, "")
		remote.lag = 3 * time.Second
		again := wwwRecord
		again.RID = ""
		job := m.drain(m.Create(t.Context(), again, byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if len(remote.stored()) != 1 || remote.writes["create"] != 1 {
			t.Errorf("objects = %+v after %d creations (result %s), want the new record", remote.stored(), remote.writes["create"], job.Result)
		}
	})
}

func TestCreateRightAfterADeletionIsNoConflictWithTheDeletedObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		m.ends(m.drain(m.Delete(t.Context(), row(m, "www"), byUser)), tracker.StatusSuccess, "")
		remote.lag = 3 * time.Second
		job := m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "www", Type: "A", Content: "192.0.2.9"}, byUser))
		m.ends(job, tracker.StatusSuccess, "")
	})
}

// Retry by an operator of a creation whose outcome is unknown.
func TestRetryOfALostCreationLooksForTheObjectFirst(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{Settle: time.Minute})
		remote.lag = 50 * time.Second
		remote.after = func(string) error { return fault.WithClass(fault.ClassUnknownOutcome, errors.New("HTTP 502")) }
		job, err := m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1"}, byUser)
		enginetest.NoError(t, err)
		_ = m.drainNow()
		if remote.writes["create"] != 1 {
			t.Fatalf("creations = %d, job = %+v", remote.writes["create"], m.job(job.ID))
		}
		_, err = m.engine.Cancel(t.Context(), job.ID, operator)
		enginetest.NoError(t, err)
		remote.after = nil
		retried, err := m.engine.Retry(t.Context(), job.ID, nawasync.RetryOptions{By: "user:7"})
		enginetest.NoError(t, err)
		done := m.drain(retried, nil)
		t.Logf("%s %s %s", done.Status, done.Error, done.Result)
		if len(remote.stored()) != 2 {
			t.Errorf("objects = %+v, want one new record", remote.stored())
		}
	})
}

// A remote with versions that keeps the earlier value as its form of mine.
func TestAnswersOfAConflictEndItAtARemoteWithVersions(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for name, answer := range map[string]func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error){
			"apply mine": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.ApplyMine(m.t.Context(), m.engine, id, operator)
			},
			"overwrite": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.Overwrite(m.t.Context(), m.engine, id, operator)
			},
		} {
			t.Run(name, func(t *testing.T) {
				sub := testdbFresh(t, db)
				zone := newZoneRemote(wwwRecord)
				remote := versionedZone{zone}
				m := newZone(t, sub, zone, mirror.Config[zoneRecord]{Remote: remote})
				zone.store = dotted
				seen := row(m, "www")
				theirs := wwwRecord
				theirs.Content = "target.example.com."
				zone.add(theirs, false)
				m.clock.Advance(time.Minute)
				conflict := m.drain(m.Update(t.Context(), seen, setContent("Target.example.com"), byUser))
				m.ends(conflict, tracker.StatusConflict, "content")
				job, err := answer(m, conflict.ID)
				m.ends(m.drain(job, err), tracker.StatusSuccess, "")
			})
		}
	})
}

// Two changes of one field; the remote's form of the first value is long.
func TestChangeBehindAnAdjustedLongValueIsNoConflict(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for name, form := range map[string]string{"long": strings.Repeat(`"a" `, 120), "masked": "https://x.example.com/?token=s3cr3t"} {
			t.Run(name, func(t *testing.T) {
				sub := testdbFresh(t, db)
				remote := newZoneRemote(wwwRecord)
				remote.store = func(r zoneRecord) zoneRecord {
					if r.Content == "short" {
						r.Content = form
					}
					return r
				}
				m := newZone(t, sub, remote, mirror.Config[zoneRecord]{})
				seen := row(m, "www")
				first, err := m.Update(t.Context(), seen, setContent("short"), byUser)
				enginetest.NoError(t, err)
				second := m.drain(m.Update(t.Context(), row(m, "www"), setContent("192.0.2.1."), byUser))
				m.ends(m.job(first.ID), tracker.StatusSuccess, "")
				m.ends(second, tracker.StatusSuccess, "")
			})
		}
	})
}

// A creation that the remote carries out later and shows half done at first.
func TestAcceptedCreationThatIsShownHalfDoneIsReadAgain(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		remote.after = func(string) error { return mirror.Accepted("") }
		ready := m.clock.Now().Add(30 * time.Second)
		remote.reader = func(o *mirror.Object[zoneRecord]) {
			if o.Value.Name == "new" && m.clock.Now().Before(ready) {
				o.Value.TTL = 0
			}
		}
		job := m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1", TTL: 600}, byUser))
		m.ends(job, tracker.StatusSuccess, "")
	})
}

// Proxied records have ttl 1, whatever is asked for.
func TestFieldThatIsOverruledAndWasSoBeforeDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		proxied := wwwRecord
		proxied.TTL, proxied.Type = 1, "PROXIED"
		remote := newZoneRemote(proxied)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		remote.store = func(r zoneRecord) zoneRecord { r.TTL = 1; return r }
		job := m.drain(m.Update(t.Context(), row(m, "www"), func(r *zoneRecord) { r.Content, r.TTL = "new.example.com.", 300 }, byUser))
		t.Logf("%s %s; row %+v", job.Status, job.Error, row(m, "www"))
		m.ends(job, tracker.StatusFailed, "ttl") // as the issue says
		if r := row(m, "www"); r.Content != "new.example.com." || r.State != nawasync.StateSynced {
			t.Errorf("row = %+v", r)
		}
	})
}

// Accepted value beside a written one is noted.
func TestAcceptedValueBesideAWrittenOneIsNoted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		seen := row(m, "www")
		theirs := wwwRecord
		theirs.TTL = 77
		remote.add(theirs, false)
		m.clock.Advance(time.Minute)
		conflict := m.drain(m.Update(t.Context(), seen, func(r *zoneRecord) { r.Content, r.TTL = "new.example.com.", 600 }, byUser))
		job, err := mirror.Accept(t.Context(), m.engine, conflict.ID, operator)
		done := m.drain(job, err)
		if !strings.Contains(string(done.Result), `"adjusted":{"ttl":77}`) {
			t.Errorf("result = %s, want the accepted ttl", done.Result)
		}
	})
}
