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

var operator = nawasync.OperatorOptions{By: "user:7"}

// dotted stores a content as DNS servers do.
func dotted(r zoneRecord) zoneRecord {
	r.Content = strings.ToLower(strings.TrimSuffix(r.Content, ".")) + "."
	return r
}

func setContent(text string) func(*zoneRecord) { return func(r *zoneRecord) { r.Content = text } }

func TestValueThatTheRemoteNormalisesInItsAnswerIsAccepted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store = dotted
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		job := m.drain(m.Update(t.Context(), row(m, "www"), setContent("Target.example.com"), byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if !strings.Contains(string(job.Result), `"adjusted":{"content":"target.example.com."}`) {
			t.Errorf("result = %s, want the adjusted content", job.Result)
		}
		attempts, err := m.engine.Reader().Attempts(t.Context(), job)
		enginetest.NoError(t, err)
		if log := attempts[len(attempts)-1].Log; !strings.Contains(log, `adjusted: stored as {"content":"target.example.com."}`) {
			t.Errorf("log = %q, want what the remote stores", log)
		}
		if r := row(m, "www"); r.Content != "target.example.com." || r.State != nawasync.StateSynced {
			t.Errorf("row = %+v, want the remote's value", r)
		}
		created := m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "CNAME", Content: "NEW.example.com"}, byUser))
		m.ends(created, tracker.StatusSuccess, "")
		if r := row(m, "new"); r.Content != "new.example.com." || !strings.Contains(string(created.Result), "adjusted") {
			t.Errorf("row = %+v with result %s, want the remote's value and a note", r, created.Result)
		}
	})
}

func TestThirdValueOfAReadAfterTheWriteIsAConflictThatCanBeAccepted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store, remote.echo = dotted, true
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		conflict := m.drain(m.Update(t.Context(), row(m, "www"), func(r *zoneRecord) { r.Content, r.TTL = "Target.example.com", 600 }, byUser))
		m.ends(conflict, tracker.StatusConflict, "stores it in another form")
		job, err := mirror.Accept(t.Context(), m.engine, conflict.ID, operator)
		accepted := m.drain(job, err)
		m.ends(accepted, tracker.StatusSuccess, "")
		if r := row(m, "www"); r.Content != "target.example.com." || r.TTL != 600 || r.State != nawasync.StateSynced || remote.writes["update"] != 1 {
			t.Errorf("row = %+v after %d updates, want the remote's values after one", r, remote.writes["update"])
		}
	})
}

func TestAcceptWritesTheFieldsThatAreNotInConflict(t *testing.T) {
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
		m.ends(conflict, tracker.StatusConflict, "ttl")
		job, err := mirror.Accept(t.Context(), m.engine, conflict.ID, operator)
		m.ends(m.drain(job, err), tracker.StatusSuccess, "")
		if r := row(m, "www"); r.Content != "new.example.com." || r.TTL != 77 || r.State != nawasync.StateSynced {
			t.Errorf("row = %+v, want the new content and their ttl", r)
		}
	})
}

func TestOverwriteOfANormalisedValueResolvesTheConflict(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store, remote.echo = dotted, true
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		conflict := m.drain(m.Update(t.Context(), row(m, "www"), setContent("Target.example.com"), byUser))
		m.ends(conflict, tracker.StatusConflict, "content")
		job, err := mirror.Overwrite(t.Context(), m.engine, conflict.ID, operator)
		m.ends(m.drain(job, err), tracker.StatusSuccess, "")
		if r := row(m, "www"); r.Content != "target.example.com." || r.State != nawasync.StateSynced {
			t.Errorf("row = %+v, want the remote's form of the value", r)
		}
	})
}

func TestFieldWithTheTagExactIsNeverAccepted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store = func(r zoneRecord) zoneRecord {
			r.Weight = min(r.Weight, 10)
			return r
		}
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		conflict := m.drain(m.Update(t.Context(), row(m, "www"), func(r *zoneRecord) { r.Weight = 50 }, byUser))
		m.ends(conflict, tracker.StatusConflict, "weight")
		if _, err := mirror.Accept(t.Context(), m.engine, conflict.ID, operator); !errors.Is(err, mirror.ErrNoConflict) {
			t.Errorf("Accept of an exact field: error = %v, want ErrNoConflict", err)
		}
		created := m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1", Weight: 50}, byUser))
		m.ends(created, tracker.StatusConflict, "weight")
		job, err := mirror.KeepTheirs(t.Context(), m.engine, created.ID, operator)
		m.ends(m.drain(job, err), tracker.StatusSuccess, "")
		if r := row(m, "new"); r.Weight != 10 || r.State != nawasync.StateSynced || remote.writes["create"] != 1 {
			t.Errorf("row = %+v after %d creations, want the remote's weight after one", r, remote.writes["create"])
		}
	})
}

func TestOwnWriteWhoseAnswerWasLostIsRecognisedByItsAuthor(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		author := "nawasync-client"
		remote.store, remote.reader = dotted, func(o *mirror.Object[zoneRecord]) { o.Author = author }
		lost := true
		remote.after = func(string) error {
			if lost {
				lost = false
				return fault.WithClass(fault.ClassUnknownOutcome, errors.New("connection reset"))
			}
			return nil
		}
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{Author: author})
		job := m.drain(m.Update(t.Context(), row(m, "www"), setContent("Target.example.com"), byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if !strings.Contains(string(job.Result), "adjusted") || remote.writes["update"] != 1 {
			t.Errorf("result = %s after %d updates, want an adjusted value after one", job.Result, remote.writes["update"])
		}
		lost = true
		job = m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "CNAME", Content: "NEW.example.com"}, byUser))
		m.ends(job, tracker.StatusSuccess, "")
		lost, author = true, "somebody else"
		conflict := m.drain(m.Update(t.Context(), row(m, "www"), setContent("Other.example.com"), byUser))
		m.ends(conflict, tracker.StatusConflict, "content")
		if values, err := conflict.ConflictValues(); err != nil || values.Author != author {
			t.Errorf("author of the conflict = %q, %v, want %q", values.Author, err, author)
		}
	})
}

func TestUpdateThatTheRemoteConfirmsAndIgnoresFails(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store = func(r zoneRecord) zoneRecord {
			r.TTL = 300
			return r
		}
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		began := m.clock.Now()
		job := m.drain(m.Update(t.Context(), row(m, "www"), func(r *zoneRecord) { r.TTL = 600 }, byUser))
		m.ends(job, tracker.StatusFailed, "accepted, not applied")
		if waited := m.clock.Now().Sub(began); waited < 5*time.Second || remote.writes["update"] != 1 {
			t.Errorf("the job failed after %s and %d updates, want one update and 5 s", waited, remote.writes["update"])
		}
	})
}

func TestMaskedAndLongValuesOfAConflictCanBeAnswered(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		api := wwwRecord
		api.RID, api.Name = "id-9", "api"
		remote := newZoneRemote(wwwRecord, api)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		for name, theirs := range map[string]string{"www": "https://x.example.com/?token=s3cr3t", "api": strings.Repeat("long ", 1000)} {
			if db.Dialect == "mysql" {
				theirs = theirs[:min(len(theirs), 490)]
			}
			seen := row(m, name)
			changed := seen
			changed.Content = theirs
			remote.add(changed, false)
			m.clock.Advance(time.Minute)
			conflict := m.drain(m.Update(t.Context(), seen, setContent("mine.example.com."), byUser))
			m.ends(conflict, tracker.StatusConflict, "content")
			if strings.Contains(string(conflict.Diff), "s3cr3t") || len(conflict.Diff) > 2000 {
				t.Fatalf("stored conflict = %.3000s, want the token masked and the long value shortened", conflict.Diff)
			}
			job, err := mirror.ApplyMine(t.Context(), m.engine, conflict.ID, operator)
			m.ends(m.drain(job, err), tracker.StatusSuccess, "")
			if r := row(m, name); r.Content != "mine.example.com." {
				t.Errorf("row = %.100q, want my content", r.Content)
			}
		}
	})
}

func TestAcceptOfAValueThatHasChangedAgainIsAnotherConflict(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		seen := row(m, "www")
		theirs := func(ttl int64) {
			changed := wwwRecord
			changed.TTL = ttl
			remote.add(changed, false)
			m.clock.Advance(time.Minute)
		}
		theirs(77)
		conflict := m.drain(m.Update(t.Context(), seen, func(r *zoneRecord) { r.TTL = 600 }, byUser))
		theirs(78)
		job, err := mirror.Accept(t.Context(), m.engine, conflict.ID, operator)
		conflict = m.drain(job, err)
		m.ends(conflict, tracker.StatusConflict, "ttl")
		job, err = mirror.Accept(t.Context(), m.engine, conflict.ID, operator)
		m.ends(m.drain(job, err), tracker.StatusSuccess, "")
		if r := row(m, "www"); r.TTL != 78 || r.State != nawasync.StateSynced {
			t.Errorf("row = %+v, want the accepted ttl", r)
		}
	})
}

// The answer of the write has no object, so the adapter returns what was sent.
func TestThirdValueOfAReadWhoseAuthorIsThisRepositoryIsAccepted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store, remote.echo = dotted, true
		remote.reader = func(o *mirror.Object[zoneRecord]) { o.Author = "nawasync-client" }
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{Author: "nawasync-client"})
		job := m.drain(m.Update(t.Context(), row(m, "www"), setContent("Target.example.com"), byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if r := row(m, "www"); r.Content != "target.example.com." || !strings.Contains(string(job.Result), "adjusted") {
			t.Errorf("row = %+v with result %s, want the remote's value, noted", r, job.Result)
		}
	})
}
