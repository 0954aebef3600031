package mirror_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestExpiredCursorIsDroppedAndWhatWasSeenIsKept(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 150, paging)
		remote.limit = 0
		m.syncNow(realm)
		remote.limit = 10
		remote.begin()
		all := numbered(150)
		remote.cursor = func(string) error {
			remote.cursor = nil
			remote.drop(all[5], all[120]) // the first attempt has seen the first one
			remote.limit = 0
			return fmt.Errorf("%w: the server answered 410", mirror.ErrCursorExpired)
		}
		job := m.job(m.syncNow(realm))
		m.ends(job, tracker.StatusSuccess, "")
		if got := resultOf(t, job); got.Missing != 1 || got.Proof != "exhausted" || remote.times()["list "] != 2 {
			t.Errorf("result = %+v after %d listings, want one row missing and two listings", got, remote.times()["list "])
		}
	})
}

func TestCursorThatExpiresAgainAndAgainFailsTheSync(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 250, paging)
		remote.cursor = func(string) error { return mirror.ErrCursorExpired }
		job := m.job(m.syncNow(realm))
		m.ends(job, tracker.StatusFailed, "the cursor has expired 4 times")
		if n := remote.times()["list "]; n != 4 || !strings.Contains(job.Error, "last key") {
			t.Errorf("%d listings and the error %q, want four and advice", n, job.Error)
		}
		remote.cursor = nil
		m.ends(m.job(m.syncNow(realm)), tracker.StatusSuccess, "")
	})
}

func TestListingWithoutCursorsBeginsAgainThreeTimesAndThenSaysWhatItNeeds(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 250, withoutCursors)
		job := m.job(m.syncNow(realm))
		m.ends(job, tracker.StatusFailed, "got no further")
		if n := remote.times()["list "]; n != 4 || !strings.Contains(job.Error, "Page.Cursor") || job.Attempt != 1 {
			t.Errorf("%d listings and the error %q, want four and advice", n, job.Error)
		}
		remote.refuse = func() { remote.limit = 30 }
		remote.proof = mirror.Proof{Level: mirror.ProofCounted, Total: 250}
		if got := resultOf(t, m.job(m.syncNow(realm))); got.Proof != "counted" || got.Listed != 250 {
			t.Errorf("result of a sync whose second attempt is allowed enough calls = %+v, want 250 listed and counted", got)
		}
	})
}

func TestFailureWithoutProgressDropsTheCursor(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 150, paging)
		remote.cursor = func(string) error { return errors.New("the server answered 500") } // it does not like the cursor
		remote.refuse = func() { remote.limit = 0 }
		job := m.job(m.syncNow(realm))
		m.ends(job, tracker.StatusSuccess, "")
		if got := resultOf(t, job); got.Created != 150 || remote.times()["list "] != 2 || job.Attempt != 2 {
			t.Errorf("result = %+v after %d listings in attempt %d, want 150 created by the second attempt, from the beginning", got, remote.times()["list "], job.Attempt)
		}
	})
}

func TestCursorOfARemoteThatCannotGoOnAtItIsRefused(t *testing.T) {
	t.Parallel()
	_, m := newPaged(t, testdb.SQLite(t), 150, func(r *pagedRemote) mirror.Remote[person] { return listOnly{r} })
	m.ends(m.job(m.syncNow(realm)), tracker.StatusFailed, "ListFrom")
}
