package mirror_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// A remote that sets the ttl itself when the type changes.
func TestFieldThatChangedWithTheWriteIsNotedAndNoConflictForTheNextChange(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store = func(r zoneRecord) zoneRecord {
			if r.Content == "proxied" && r.TTL == 300 {
				r.TTL = 1
			}
			return r
		}
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		seen := row(m, "www")
		first, err := m.Update(t.Context(), seen, setContent("proxied"), byUser)
		enginetest.NoError(t, err)
		second := m.drain(m.Update(t.Context(), seen, func(r *zoneRecord) { r.TTL = 600 }, byUser))
		m.ends(second, tracker.StatusSuccess, "")
		if result := string(m.job(first.ID).Result); !strings.Contains(result, `"also_changed":{"ttl":{"from":300,"to":1}}`) {
			t.Errorf("result of the first change = %s, want the ttl that changed with it", result)
		}
		target := tracker.Target{Service: "api", Type: "zone_records", Instance: "z", ID: "id-0"}
		changes, err := m.engine.Reader().Changes(t.Context(), target, time.Time{}, time.Time{}, 10)
		enginetest.NoError(t, err)
		if len(changes) != 1 || changes[0].Kind != tracker.ChangeSideEffect || changes[0].JobID != first.ID {
			t.Errorf("history = %+v, want the side effect of job %d", changes, first.ID)
		}
		if r := row(m, "www"); r.TTL != 600 {
			t.Errorf("row = %+v, want ttl 600", r)
		}
	})
}

func TestFieldsOfAGroupConflictTogether(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		seen := row(m, "www")
		theirs := wwwRecord
		theirs.Type = "A"
		remote.add(theirs, false)
		m.clock.Advance(time.Minute)
		conflict := m.drain(m.Update(t.Context(), seen, setContent("new.example.com."), byUser))
		m.ends(conflict, tracker.StatusConflict, "type")
		if remote.writes["update"] != 0 {
			t.Error("a content was written that belongs to another type")
		}
		m.ends(m.drain(m.Update(t.Context(), seen, func(r *zoneRecord) { r.TTL = 5 }, byUser)), tracker.StatusSuccess, "")
	})
}

func TestWantedFieldsOfAGroupAreWrittenTogether(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		seen := row(m, "www")
		theirs := wwwRecord
		theirs.Content = "192.0.2.1"
		remote.add(theirs, false)
		m.clock.Advance(time.Minute)
		job := m.drain(m.Update(t.Context(), seen, func(r *zoneRecord) { r.Type, r.Content = "A", "192.0.2.1" }, byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if !strings.Contains(string(job.Result), `"written":["type","content"]`) {
			t.Errorf("result = %s, want both fields written", job.Result)
		}
	})
}

func TestWantedFieldThatAnotherWantedFieldOverrulesIsAccepted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store = func(r zoneRecord) zoneRecord {
			if r.Content == "proxied" {
				r.TTL = 1
			}
			return r
		}
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		job := m.drain(m.Update(t.Context(), row(m, "www"), func(r *zoneRecord) { r.Content, r.TTL = "proxied", 600 }, byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if r := row(m, "www"); r.TTL != 1 || r.Content != "proxied" || !strings.Contains(string(job.Result), `"adjusted":{"ttl":1}`) {
			t.Errorf("row = %+v with result %s, want ttl 1, noted", r, job.Result)
		}
	})
}
