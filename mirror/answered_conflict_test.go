package mirror_test

import (
	"errors"
	"fmt"
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

func spelled(config mirror.Config[zoneRecord]) mirror.Config[zoneRecord] {
	config.Normalise, config.NormaliseVersion = func(r *zoneRecord) {
		if r.Content != "" {
			*r = dotted(*r)
		}
	}, 1
	return config
}

// The answer to the write is lost, and Normalise tells the remote's form.
func TestLostAnswerOfANormalisedValueIsRecognised(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		remote.store = dotted
		lost := true
		remote.after = func(string) error {
			if lost {
				lost = false
				return fault.WithClass(fault.ClassUnknownOutcome, errors.New("connection reset"))
			}
			return nil
		}
		m := newZone(t, db, remote, spelled(mirror.Config[zoneRecord]{}))
		m.ends(m.drain(m.Update(t.Context(), row(m, "www"), setContent("Target.example.com"), byUser)), tracker.StatusSuccess, "")
		lost = true
		m.ends(m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "CNAME", Content: "NEW.example.com"}, byUser)), tracker.StatusSuccess, "")
		if remote.writes["update"] != 1 || remote.writes["create"] != 1 {
			t.Errorf("writes = %v", remote.writes)
		}
	})
}

// A sync after the conflict, and an answer after that sync.
func TestConflictCanBeAnsweredAfterASync(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for name, answer := range map[string]func(*mirrored[zoneRecord], int64) (*tracker.Job, error){
			"keep": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.KeepTheirs(m.t.Context(), m.engine, id, operator)
			},
			"apply": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.ApplyMine(m.t.Context(), m.engine, id, operator)
			},
			"overwrite": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.Overwrite(m.t.Context(), m.engine, id, operator)
			},
			"accept": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.Accept(m.t.Context(), m.engine, id, operator)
			},
		} {
			t.Run(name, func(t *testing.T) {
				remote := newZoneRemote(wwwRecord)
				remote.store, remote.echo = dotted, true
				m := newZone(t, testdbFresh(t, db), remote, mirror.Config[zoneRecord]{})
				conflict := m.drain(m.Update(t.Context(), row(m, "www"), func(r *zoneRecord) { r.Content, r.TTL = "Target.example.com", 600 }, byUser))
				m.ends(conflict, tracker.StatusConflict, "content")
				m.sync(inZone)
				job, err := answer(m, conflict.ID)
				m.ends(m.drain(job, err), tracker.StatusSuccess, "")
				m.sync(inZone)
				if r := row(m, "www"); r.State != nawasync.StateSynced || r.Content != "target.example.com." || r.TTL != 600 {
					t.Errorf("row = %+v", r)
				}
			})
		}
	})
}

// The second change is overruled by what the first has set.
func TestQueuedChangeThatTheRemoteOverrulesIsNoConflict(t *testing.T) {
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
		first, err := m.Update(t.Context(), row(m, "www"), setContent("proxied"), byUser)
		enginetest.NoError(t, err)
		second := m.drain(m.Update(t.Context(), row(m, "www"), func(r *zoneRecord) { r.TTL = 600 }, byUser))
		m.ends(m.job(first.ID), tracker.StatusSuccess, "")
		m.ends(second, tracker.StatusFailed, "accepted, not applied")
		if r := row(m, "www"); r.TTL != 1 || r.State != nawasync.StateSynced {
			t.Errorf("row = %+v", r)
		}
	})
}

// The host's own columns and the id of a deleted object that is listed for a while.
func TestDeletedObjectThatIsListedForLongerThanSettleStaysDeleted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		other := wwwRecord
		other.RID, other.Name = "id-8", "other"
		remote := newZoneRemote(wwwRecord, other)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		m.clock.Advance(21 * time.Hour)
		remote.listLag = 20 * time.Hour
		m.ends(m.drain(m.Delete(t.Context(), row(m, "www"), byUser)), tracker.StatusSuccess, "")
		for range 10 {
			m.clock.Advance(time.Hour)
			m.sync(inZone)
			if got := len(m.rows()); got != 1 {
				t.Fatalf("%d rows after the deletion, want one", got)
			}
		}
	})
}

// A PUT that leaves out what was not touched, at a remote whose answer is an echo and at one that is read back.
func TestPutThatDropsFieldsIsNoted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for _, echo := range []bool{false, true} {
			t.Run(fmt.Sprint(echo), func(t *testing.T) {
				remote := newZoneRemote(wwwRecord)
				remote.echo = echo
				remote.store = func(r zoneRecord) zoneRecord {
					r.TTL, r.Weight = 0, 0
					return r
				}
				m := newZone(t, testdbFresh(t, db), remote, mirror.Config[zoneRecord]{})
				job := m.drain(m.Update(t.Context(), row(m, "www"), setContent("192.0.2.2"), byUser))
				m.ends(job, tracker.StatusSuccess, "")
				if text := string(job.Result); !strings.Contains(text, `"ttl":{"from":300,"to":0}`) || !strings.Contains(text, `"weight":{"from":1,"to":0}`) {
					t.Errorf("result = %s", text)
				}
				if r := row(m, "www"); r.TTL != 0 || r.Weight != 0 {
					t.Errorf("row = %+v", r)
				}
				if drifted := string(m.sync(inZone).Result); strings.Contains(drifted, "drifted") && !strings.Contains(drifted, `"drifted":{}`) {
					t.Errorf("the next sync = %s, want no drift", drifted)
				}
			})
		}
	})
}

// A DKIM text as natural field, created, found, listed and deleted.
func TestLongNaturalFieldsAreUsable(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		name := "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 432)
		m.ends(m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: name, Type: "TXT", Content: name}, byUser)), tracker.StatusSuccess, "")
		m.ends(m.drain(m.Update(t.Context(), row(m, name), setContent("x"), byUser)), tracker.StatusSuccess, "")
		m.sync(inZone)
		m.ends(m.drain(m.Delete(t.Context(), row(m, name), byUser)), tracker.StatusSuccess, "")
		m.ends(m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: name, Type: "TXT", Content: name}, byUser)), tracker.StatusSuccess, "")
		m.sync(inZone)
		if got := len(m.rows()); got != 2 {
			t.Errorf("%d rows", got)
		}
	})
}

// A conflict about a deletion of an object that nobody can accept, with each other answer.
func TestConflictOfADeletionCanBeAnswered(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for name, answer := range map[string]func(*mirrored[zoneRecord], int64) (*tracker.Job, error){
			"apply": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.ApplyMine(m.t.Context(), m.engine, id, operator)
			},
			"overwrite": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.Overwrite(m.t.Context(), m.engine, id, operator)
			},
			"keep": func(m *mirrored[zoneRecord], id int64) (*tracker.Job, error) {
				return mirror.KeepTheirs(m.t.Context(), m.engine, id, operator)
			},
		} {
			t.Run(name, func(t *testing.T) {
				remote := newZoneRemote(wwwRecord)
				m := newZone(t, testdbFresh(t, db), remote, mirror.Config[zoneRecord]{})
				seen := row(m, "www")
				theirs := wwwRecord
				theirs.Content = "https://x.example.com/?token=s3cr3t" + strings.Repeat(" x", 200)
				remote.add(theirs, false)
				m.clock.Advance(time.Minute)
				conflict := m.drain(m.Delete(t.Context(), seen, byUser))
				m.ends(conflict, tracker.StatusConflict, "content")
				job, err := answer(m, conflict.ID)
				m.ends(m.drain(job, err), tracker.StatusSuccess, "")
				if left := len(m.rows()); (left == 1) != (name == "keep") {
					t.Errorf("%d rows", left)
				}
			})
		}
	})
}

// A conflict was answered. A second answer that is cancelled must not make it an unanswered one.
func TestCancelledSecondAnswerLeavesTheFirst(t *testing.T) {
	t.Parallel()
	s := newSyncedShop(t, testdb.SQLite(t), 1)
	s.changeRemote("g0000", setQuota(300))
	conflict := s.waitStatus(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.StatusConflict)
	operator := nawasync.OperatorOptions{By: "user:7"}
	kept, err := mirror.KeepTheirs(t.Context(), s.engine, conflict.ID, operator)
	enginetest.NoError(t, err)
	s.waitStatus(t, kept, tracker.StatusSuccess)
	enginetest.NoError(t, s.engine.Pause(t.Context(), conflict.Service, "", nawasync.PauseOptions{By: "user:7"}))
	// Another operator, whose page is from before the answer.
	second, err := mirror.Overwrite(t.Context(), s.engine, conflict.ID, nawasync.OperatorOptions{By: "user:8"})
	enginetest.NoError(t, err)
	_, err = s.engine.Cancel(t.Context(), second.ID, operator)
	enginetest.NoError(t, err)
	if now, err := s.engine.Reader().Get(t.Context(), conflict.ID); err != nil || now.RetriedAs != kept.ID {
		t.Errorf("the conflict names job %d as its answer, %v; want %d", now.RetriedAs, err, kept.ID)
	}
}
