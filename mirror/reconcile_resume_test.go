package mirror_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestListingGoesOnAtItsCursorAfterEachWindowOfTheRateLimit(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 250, paging)
		job := m.job(m.syncNow(realm))
		m.ends(job, tracker.StatusSuccess, "")
		got := resultOf(t, job)
		if got.Created != 250 || got.Listed != 250 || got.Proof != "exhausted" || !strings.Contains(got.ProofNote, "resumed") || job.Attempt != 1 || job.Epoch != 2 {
			t.Fatalf("result = %+v in attempt %d and epoch %d, want 250 created in the first attempt, which two limits have interrupted", got, job.Attempt, job.Epoch)
		}
		for call, n := range remote.times() {
			if n != 1 {
				t.Errorf("%q was called %d times, want once", call, n)
			}
		}

		all := numbered(250)
		gone := []person{all[3], all[50], all[120], all[160], all[249]}
		remote.drop(gone...)
		remote.begin()
		remote.refuse = func() { // what a job of another process does between two attempts
			remote.refuse = nil
			enginetest.NoError(t, db.Exec("INSERT INTO people (realm, name, email, identity, sync_status, last_synced_at) VALUES ('r', 'a', 'a@example.com', ?, 'synced', 1)",
				tracker.Identity(jobrow.KeyIdentity([]string{"r"}, []string{"a"}))).Error)
		}
		if got := resultOf(t, m.job(m.syncNow(realm))); got.Missing != 5 || got.Unchanged != 245 || len(remote.calls) != 25 {
			t.Errorf("result = %+v after %d calls, want the five that are gone missing and 25 calls", got, len(remote.calls))
		}
		remote.put(person{Realm: "r", Name: "a", Email: "a@example.com"})
		remote.limit = 0
		m.syncNow(realm)
		if rows := m.rows(); len(rows) != 246 || slices.ContainsFunc(rows, func(p person) bool { return p.Name == all[50].Name || p.State != nawasync.StateSynced }) {
			t.Errorf("%d rows are left, want the 246 of the remote", len(rows))
		}
	})
}

func TestListingWaitsInPlaceForAShortLimitAndEndsTheAttemptForALongOne(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		remote, m := newPaged(t, h.DB, 250, paging)
		inRealTime(h, remote, m)
		remote.window = 50 * time.Second
		began := time.Now()
		job, err := m.SyncNow(t.Context(), realm, "", byUser)
		enginetest.NoError(t, err)
		enginetest.NoError(t, m.drainNow())
		job = m.job(job.ID)
		m.ends(job, tracker.StatusSuccess, "")
		if took := time.Since(began); job.Epoch != 0 || len(remote.calls) != 25 || took < 90*time.Second || took > 110*time.Second {
			t.Errorf("the sync took %s and %d calls and is in epoch %d; want one attempt with two waits and 25 calls", took, len(remote.calls), job.Epoch)
		}
		remote.window = 61 * time.Second
		remote.begin()
		job, err = m.SyncNow(t.Context(), realm, "", byUser)
		enginetest.NoError(t, err)
		if err := m.drainNow(); err == nil {
			t.Error("the sync has not waited for another attempt")
		}
		if job = m.job(job.ID); job.Epoch != 1 || job.Attempt != 0 || job.ErrorClass != "rate_limited" || len(remote.calls) != 10 {
			t.Errorf("the sync is %s (%s) in epoch %d and attempt %d after %d calls, want it parked", job.Status, job.Error, job.Epoch, job.Attempt, len(remote.calls))
		}
	})
}

// A timer would wait in real time.
func TestListingOfAnEngineWithItsOwnClockEndsTheAttemptForAShortLimit(t *testing.T) {
	t.Parallel()
	remote, m := newPaged(t, testdb.SQLite(t), 250, paging)
	remote.window = 50 * time.Second
	if job := m.job(m.syncNow(realm)); job.Status != tracker.StatusSuccess || job.Epoch != 2 {
		t.Errorf("the sync is %s (%s) in epoch %d, want success after two limits", job.Status, job.Error, job.Epoch)
	}
}

func TestServerThatRepeatsAShortLimitEndsTheAttemptAfterAMinute(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		remote, m := newPaged(t, h.DB, 250, paging)
		inRealTime(h, remote, m)
		remote.window = 20 * time.Second
		remote.refuse = func() { remote.resets = time.Now().Add(20 * time.Second) }
		remote.left, remote.resets = 0, time.Now().Add(20*time.Second)
		remote.limit = 1
		remote.now = func() time.Time { return remote.resets.Add(-20 * time.Second) }
		began := time.Now()
		_, err := m.SyncNow(t.Context(), realm, "", byUser)
		enginetest.NoError(t, err)
		if err := m.drainNow(); err == nil || time.Since(began) > 70*time.Second || remote.refused != 4 {
			t.Errorf("the attempt ended after %s and %d refusals (%v), want three waits of 20 s and a parked scope", time.Since(began), remote.refused, err)
		}
	})
}

func TestRowsThatEarlyPagesExcludeAreNotMissingFromAResumedListing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 150, paging)
		remote.limit = 0
		m.syncNow(realm)
		remote.limit = 10
		remote.begin()
		all := numbered(150)
		remote.drop(all[5])
		remote.page = func(p *mirror.Page[person]) {
			if p.Items[0].Name == all[0].Name {
				p.Skipped = func(p person) bool { return p.Name == all[5].Name } // it is suspended
			}
		}
		if got := resultOf(t, m.job(m.syncNow(realm))); got.Missing != 0 || !strings.Contains(got.ProofNote, "resumed") {
			t.Errorf("result = %+v, want no row missing from a resumed listing", got)
		}
	})
}

func TestResumedListingWhoseSeenRowsDoNotFitProvesNothing(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	const n = 16_000
	remote, m := newPaged(t, db, n, paging)
	remote.limit, remote.size = 0, 1000
	m.syncNow(realm)
	enginetest.NoError(t, db.Exec("UPDATE people SET id = ABS(RANDOM()) / 256").Error)
	remote.drop(numbered(n)[n-1])
	remote.limit = 15
	remote.begin()
	job := m.job(m.syncNow(realm))
	m.ends(job, tracker.StatusSuccess, "")
	if got := resultOf(t, job); got.Proof != "unproven" || !strings.Contains(got.ProofNote, "too large") || got.Missing != 0 || got.Listed != n-1 {
		t.Errorf("result = %+v, want an unproven listing", got)
	}
	remote.limit = 0
	if got := resultOf(t, m.job(m.syncNow(realm))); got.Missing != 1 {
		t.Errorf("result of a listing in one go = %+v, want one row missing", got)
	}
}

func TestMissingRowsOfAThousandAreConfirmedInTwoWindowsOfAHundredCalls(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 1000, paging)
		remote.limit, remote.size = 0, 100
		m.syncNow(realm)
		remote.drop(numbered(150)...)
		m.syncNow(realm)
		started, err := m.SyncNow(t.Context(), realm, "", byUser)
		enginetest.NoError(t, err)
		remote.begin()
		remote.limit = 100
		sync := m.drain(started, nil)
		m.ends(sync, tracker.StatusSuccess, "")
		confirms := tracker.Term{Field: tracker.FieldAction, Values: []string{tracker.ConfirmAction}}
		list, err := m.engine.Reader().Search(t.Context(), tracker.Search{Terms: []tracker.Term{confirms}})
		enginetest.NoError(t, err)
		job := list.Jobs[0]
		m.ends(job, tracker.StatusSuccess, "")
		asked, again, witnesses := 0, 0, 0
		for call, n := range remote.times() {
			switch name, get := strings.CutPrefix(call, "get "); {
			case get && name < "p00150":
				asked, again = asked+n, again+n-1
			case get:
				witnesses += n
			}
		}
		if rows := m.rows(); len(rows) != 850 || asked-again != 150 || again >= 10 || witnesses > 18 || remote.refused != 1 || job.Attempt != 1 {
			t.Errorf("%d rows are left; %d calls for missing rows, %d of them again, %d witnesses, %d refusals, attempt %d; want 850 rows after one refusal",
				len(rows), asked, again, witnesses, remote.refused, job.Attempt)
		}
	})
}

// scopedPaged counts the questions for a scope as calls.
type scopedPaged struct{ *pagedRemote }

func (r scopedPaged) ScopeExists(context.Context, person) (bool, error) { return true, r.call("scope") }

func TestLimitAfterACompleteListingDoesNotListAgain(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 3, func(r *pagedRemote) mirror.Remote[person] { return scopedPaged{r} })
		m.syncNow(realm)
		remote.drop(numbered(3)...)
		remote.limit = 1
		remote.begin()
		job := m.job(m.syncNow(realm))
		m.ends(job, tracker.StatusSuccess, "")
		if got := resultOf(t, job); got.Missing != 3 || !slices.Equal(remote.calls, []string{"list ", "scope"}) || job.Attempt != 1 {
			t.Errorf("result = %+v after the calls %q, want three rows missing after one listing", got, remote.calls)
		}
	})
}

func TestAttemptThatIsStoppedGoesOnWhereItBegan(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 250, paging)
		ctx, stop := context.WithCancel(t.Context())
		remote.page = func(*mirror.Page[person]) {
			if remote.refused == 1 && len(remote.calls) == 15 { // in the second attempt
				stop()
			}
			remote.stopped = ctx.Err() != nil
		}
		job, err := m.SyncNow(t.Context(), realm, "", byUser)
		enginetest.NoError(t, err)
		if err := nawasynctest.Drain(ctx, m.engine, m.clock); err == nil {
			t.Fatal("the sync was not stopped")
		}
		remote.page, remote.stopped = nil, false
		m.ends(m.drain(job, nil), tracker.StatusSuccess, "")
		if n := remote.times(); n["list "] != 1 || n["list p00099"] != 2 || len(m.rows()) != 250 {
			t.Errorf("%d rows after the calls %v, want 250 and nothing listed again that the first attempt had listed", len(m.rows()), n)
		}
	})
}
