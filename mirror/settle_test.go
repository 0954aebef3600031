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

// newLaggingZone returns a zone with one record, whose reads are 3 s behind.
func newLaggingZone(t *testing.T, db *testdb.Database) (*zoneRemote, *mirrored[zoneRecord]) {
	t.Helper()
	remote := newZoneRemote(wwwRecord)
	m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
	remote.lag = 3 * time.Second
	return remote, m
}

func TestUpdateWaitsForAReadThatLags(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		job := m.drain(m.Update(t.Context(), row(m, "www"), setContent("new.example.com."), byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if r := row(m, "www"); r.Content != "new.example.com." || remote.writes["update"] != 1 || job.Attempt != 1 {
			t.Errorf("row = %+v after %d updates in attempt %d, want the new content after one in the first", r, remote.writes["update"], job.Attempt)
		}
	})
}

// A remote with a lag shows what the first change has overwritten.
func TestChangeRightAfterAChangeIsNoConflictWithTheEarlierState(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		remote.lag = 0
		m.ends(m.drain(m.Update(t.Context(), row(m, "www"), setContent("new.example.com."), byUser)), tracker.StatusSuccess, "")
		remote.lag = 3 * time.Second
		job := m.drain(m.Update(t.Context(), row(m, "www"), setContent("newer.example.com."), byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if r := row(m, "www"); r.Content != "newer.example.com." {
			t.Errorf("row = %+v, want the newer content", r)
		}
	})
}

// The remote shows the wanted value because it does not show the change in between yet.
func TestAlreadySoCountsOnlyOnceTheRemoteHasSettled(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		remote.lag = 0
		m.ends(m.drain(m.Update(t.Context(), row(m, "www"), setContent("new.example.com."), byUser)), tracker.StatusSuccess, "")
		remote.lag = 3 * time.Second
		job := m.drain(m.Update(t.Context(), row(m, "www"), setContent(wwwRecord.Content), byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if stored := remote.stored()[0]; stored.Content != wwwRecord.Content || remote.writes["update"] != 2 {
			t.Errorf("content on the remote = %q after %d updates, want the first one after two", stored.Content, remote.writes["update"])
		}
	})
}

func TestObjectJustCreatedIsNeitherGoneNorMissing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		remote.lag = 0 // for the creation itself
		m.ends(m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1"}, byUser)), tracker.StatusSuccess, "")
		remote.lag = 3 * time.Second
		for range 2 {
			m.ends(m.drain(m.SyncNow(t.Context(), inZone, "", byUser)), tracker.StatusSuccess, "")
		}
		if r := row(m, "new"); r.State != nawasync.StateSynced || r.MissingRuns != 0 {
			t.Fatalf("row after two syncs = %+v, want synced", r)
		}
		refreshing, err := m.Refresh(t.Context(), int64(row(m, "new").ID), byUser)
		m.ends(m.drain(refreshing, err), tracker.StatusSuccess, "")
		if r := row(m, "new"); r.State != nawasync.StateSynced {
			t.Fatalf("row after a refresh = %+v, want synced", r)
		}
		updated := m.drain(m.Update(t.Context(), row(m, "new"), setContent("192.0.2.2"), byUser))
		m.ends(updated, tracker.StatusSuccess, "")
	})
}

func TestUpdateRightAfterTheCreationWaitsUntilTheObjectIsShown(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		creating, err := m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1"}, byUser)
		enginetest.NoError(t, err)
		updated := m.drain(m.Update(t.Context(), row(m, "new"), setContent("192.0.2.2"), byUser))
		m.ends(m.job(creating.ID), tracker.StatusSuccess, "")
		m.ends(updated, tracker.StatusSuccess, "")
		if r := row(m, "new"); r.Content != "192.0.2.2" || remote.writes["create"] != 1 {
			t.Errorf("row = %+v after %d creations, want the new content after one", r, remote.writes["create"])
		}
	})
}

func TestLostCreationIsLookedForBeforeItIsMadeAgain(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		remote.lag = 4 * time.Second
		remote.after = func(string) error { return fault.WithClass(fault.ClassUnknownOutcome, errors.New("HTTP 502")) }
		created := m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1"}, byUser))
		m.ends(created, tracker.StatusSuccess, "")
		if len(remote.stored()) != 2 {
			t.Errorf("objects = %+v, want one new record", remote.stored())
		}
	})
}

func TestCreationThatTheRemoteConfirmsAndDoesNotMakeFails(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		remote.lag = time.Hour
		created := m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1"}, byUser))
		m.ends(created, tracker.StatusFailed, "does not show the object")
		if remote.writes["create"] != 1 {
			t.Errorf("%d creations, want one", remote.writes["create"])
		}
	})
}

func TestDeletionSucceedsOnceTheObjectIsGone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		began := m.clock.Now()
		m.ends(m.drain(m.Delete(t.Context(), row(m, "www"), byUser)), tracker.StatusSuccess, "")
		if waited := m.clock.Now().Sub(began); waited < 3*time.Second || remote.writes["delete"] != 1 {
			t.Errorf("succeeded after %s and %d deletions, want 3 s and one", waited, remote.writes["delete"])
		}
	})
}

// The object was made just before, and the remote does not show it yet.
func TestDeletionRightAfterTheCreationIsSentAlthoughTheObjectIsNotShown(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		remote.lag = 0
		m.ends(m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1"}, byUser)), tracker.StatusSuccess, "")
		remote.lag = 3 * time.Second
		m.ends(m.drain(m.Delete(t.Context(), row(m, "new"), byUser)), tracker.StatusSuccess, "")
		if stored := remote.stored(); len(stored) != 1 {
			t.Errorf("objects after the deletion = %+v, want www alone", stored)
		}
	})
}

func TestDeletionThatTheRemoteConfirmsAndIgnoresFails(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newLaggingZone(t, db)
		remote.lag = time.Hour
		m.ends(m.drain(m.Delete(t.Context(), row(m, "www"), byUser)), tracker.StatusFailed, "accepted, not applied")
	})
}

func TestSettleOfMinutesIsWaitedForWithoutConsumingAttempts(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{Settle: 10 * time.Minute})
		remote.lag = 9 * time.Minute
		job := m.drain(m.Update(t.Context(), row(m, "www"), setContent("new.example.com."), byUser))
		m.ends(job, tracker.StatusSuccess, "")
		if job.Attempt != 1 || remote.writes["update"] != 1 {
			t.Errorf("success in attempt %d after %d updates, want the first and one", job.Attempt, remote.writes["update"])
		}
	})
}

func TestAcceptedWriteIsPolledAndNotRepeated(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		testAccepted(t, remote, newZone(t, db, remote, mirror.Config[zoneRecord]{Remote: pollingRemote{remote}}))
	})
}

func TestAcceptedWriteThatCannotBePolledIsWaitedForAndNotRepeated(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		testAccepted(t, remote, newZone(t, db, remote, mirror.Config[zoneRecord]{}))
	})
}

// testAccepted makes a change of each kind on a remote that carries each out after 20 minutes.
func testAccepted(t *testing.T, remote *zoneRemote, m *mirrored[zoneRecord]) {
	t.Helper()
	remote.lag = 20 * time.Minute
	remote.after = func(call string) error {
		remote.handles[call] = 30 // polls, for more than 20 minutes
		return mirror.Accepted(call)
	}
	m.ends(m.drain(m.Update(t.Context(), row(m, "www"), setContent("new.example.com."), byUser)), tracker.StatusSuccess, "")
	m.ends(m.drain(m.Create(t.Context(), zoneRecord{Zone: "z", Name: "new", Type: "A", Content: "192.0.2.1"}, byUser)), tracker.StatusSuccess, "")
	m.ends(m.drain(m.Delete(t.Context(), row(m, "new"), byUser)), tracker.StatusSuccess, "")
	if w := remote.writes; w["update"] != 1 || w["create"] != 1 || w["delete"] != 1 {
		t.Errorf("writes = %v, want one of each", w)
	}
	if len(remote.stored()) != 1 || row(m, "www").Content != "new.example.com." {
		t.Errorf("objects = %+v, want the changed www alone", remote.stored())
	}
}

func TestPollThatReportsAFailureEndsTheJob(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{Remote: failingPoll{pollingRemote{remote}}})
		remote.after = func(string) error { return mirror.Accepted("task") }
		m.ends(m.drain(m.Update(t.Context(), row(m, "www"), setContent("new.example.com."), byUser)), tracker.StatusFailed, "the task has failed")
	})
}

func TestHandleOfAnAcceptedWriteIsLimited(t *testing.T) {
	t.Parallel()
	if err := mirror.Accepted(strings.Repeat("x", 9000)); fault.ClassOf(err) != fault.ClassConfig {
		t.Errorf("Accepted with a handle of 9000 bytes = %v, want an error of the class config", err)
	}
}

// The listing is a copy that lags by minutes; Get is not.
func TestObjectThatAJobHasDeletedDoesNotReturnWithAListingThatLags(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote(wwwRecord)
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		deleted := row(m, "www")
		m.ends(m.drain(m.Delete(t.Context(), deleted, byUser)), tracker.StatusSuccess, "")
		remote.listLag = time.Hour
		for range 2 {
			m.clock.Advance(time.Minute)
			if result := resultOf(t, m.drain(m.SyncNow(t.Context(), inZone, "", byUser))); result.Created != 0 || result.Refused != 0 || len(m.rows()) != 0 {
				t.Fatalf("result of a sync = %+v with rows %+v, want no row", result, m.rows())
			}
		}
		remote.listLag = 0
		remote.add(wwwRecord, false) // somebody makes it again
		m.sync(inZone)
		if again := row(m, "www"); again.ID == deleted.ID {
			t.Errorf("row = %+v, want a new row for the new object", again)
		}
	})
}
