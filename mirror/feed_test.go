package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// feedRemote is a remote with a log of changed names. A cursor is a position in the log. Cursors before
// expired are no longer accepted.
type feedRemote struct {
	*mapRemote[member]
	log     []member
	expired int
	newest  bool  // the newest change comes first
	overlap int   // entries before the cursor that are sent again
	fails   error // after the first change
	asked   []string
}

func (r *feedRemote) changed(list ...member) {
	for _, v := range list {
		r.log = append(r.log, member{Realm: v.Realm, Name: v.Name})
	}
}

func (r *feedRemote) Changes(_ context.Context, _ member, cursor string) iter.Seq2[mirror.Change[member], error] {
	return func(yield func(mirror.Change[member], error) bool) {
		r.asked = append(r.asked, cursor)
		from, end := len(r.log), mirror.Change[member]{Cursor: "at-" + strconv.Itoa(len(r.log))}
		if cursor != "" {
			from, _ = strconv.Atoi(strings.TrimPrefix(cursor, "at-"))
			if from < r.expired {
				yield(mirror.Change[member]{}, fmt.Errorf("HTTP 410: %w", mirror.ErrCursorExpired))
				return
			}
		}
		list := append([]member(nil), r.log[max(0, from-r.overlap):]...)
		if r.newest {
			for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
				list[i], list[j] = list[j], list[i]
			}
		}
		for _, key := range list {
			if !yield(mirror.Change[member]{Key: key}, nil) {
				return
			}
			if r.fails != nil {
				yield(mirror.Change[member]{}, r.fails)
				return
			}
		}
		yield(end, nil)
	}
}

// fed is a repository of members whose remote has a feed.
type fed struct {
	members
	feed *feedRemote
}

func newFed(t *testing.T, db *testdb.Database, change func(*nawasync.Config), names ...string) fed {
	t.Helper()
	feed := &feedRemote{mapRemote: newMemberRemote(names...)}
	m := newMirroredOn[member](enginetest.New(t, db), "members", memberColumns, mirror.Config[member]{Remote: feed}, change)
	f := fed{members{m, feed.mapRemote}, feed}
	f.sync(member{Realm: "r"})
	f.read(tracker.StatusSuccess)
	return f
}

// read reads the feed and runs what that dispatches.
func (f fed) read(status tracker.Status) (result map[string]any) {
	f.t.Helper()
	f.clock.Advance(time.Minute)
	args, err := f.ChangesArgs(member{Realm: "r"})
	enginetest.NoError(f.t, err)
	job := f.drain(f.engine.Dispatch(f.t.Context(), args, byUser))
	f.ends(job, status, "")
	if len(job.Result) > 0 {
		enginetest.NoError(f.t, json.Unmarshal(job.Result, &result))
	}
	return result
}

func (f fed) rename(name, email string) {
	v := memberNamed(name)
	v.Email = email
	f.remote.put(v)
	f.feed.changed(v)
}

func TestFeedRefreshesWhatItNamesAndGoesOnAtItsCursor(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		f := newFed(t, db, nil, "ann", "bob", "cy")
		if got := f.jobsOf("sync"); got != 2 {
			t.Fatalf("%d syncs, want one more for a feed without a place", got)
		}
		f.rename("ann", "1@example.com")
		f.rename("ann", "2@example.com")
		f.rename("dan", "dan@example.com")
		f.lose("bob")
		f.feed.changed(memberNamed("bob"))
		if result := f.read(tracker.StatusSuccess); result["read"] != 4.0 || result["refreshed"] != 3.0 {
			t.Errorf("result = %v, want 4 changes of 3 objects", result)
		}
		if ann, bob, dan := f.find("ann"), f.find("bob"), f.find("dan"); ann.Email != "2@example.com" || bob.State != tracker.StateDeleted || dan.State != nawasync.StateSynced {
			t.Errorf("rows = %+v, %+v, %+v; want ann changed, bob deleted after a confirmation, dan added", ann, bob, dan)
		}
		if result := f.read(tracker.StatusSuccess); result["read"] != 0.0 || fmt.Sprint(f.feed.asked) != "[ at-0 at-4]" {
			t.Errorf("result = %v after cursors %q, want nothing new", result, f.feed.asked)
		}
		if got := f.jobsOf("sync"); got != 2 {
			t.Errorf("%d syncs, want no more", got)
		}
	})
}

func TestFeedMayRepeatItselfInAnyOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		f := newFed(t, db, nil, "ann", "bob", "cy")
		f.feed.newest, f.feed.overlap = true, 3
		for n := range 4 {
			f.rename("ann", fmt.Sprintf("ann%d@example.com", n))
			f.rename("bob", fmt.Sprintf("bob%d@example.com", n))
			f.read(tracker.StatusSuccess)
			if ann, bob := f.find("ann"), f.find("bob"); ann.Email != fmt.Sprintf("ann%d@example.com", n) || bob.Email != fmt.Sprintf("bob%d@example.com", n) {
				t.Errorf("rows after change %d = %+v, %+v", n, ann, bob)
			}
		}
	})
}

func TestFeedWhoseCursorHasExpiredIsSynced(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		f := newFed(t, db, nil, "ann", "bob", "cy")
		f.rename("ann", "lost@example.com")
		f.feed.expired = 1
		result := f.read(tracker.StatusSuccess)
		if result["syncs"] != 1.0 || !strings.Contains(fmt.Sprint(result["reason"]), "no longer has") || f.find("ann").Email != "lost@example.com" {
			t.Errorf("result = %v and row %+v, want a sync that found the change", result, f.find("ann"))
		}
		f.rename("bob", "new@example.com")
		if result := f.read(tracker.StatusSuccess); result["refreshed"] != 1.0 {
			t.Errorf("result = %v, want the feed to go on from its new place", result)
		}
	})
}

func TestFeedThatFailsHasTheObjectsRefreshedThatItNamedAndKeepsItsPlace(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		f := newFed(t, db, nil, "ann", "bob")
		f.rename("ann", "1@example.com")
		f.rename("bob", "2@example.com")
		f.feed.fails = nawasync.Permanent(errors.New("HTTP 400"))
		f.read(tracker.StatusFailed)
		if ann, bob := f.find("ann"), f.find("bob"); ann.Email != "1@example.com" || bob.Email != "bob@example.com" {
			t.Errorf("rows = %+v, %+v, want only ann refreshed", ann, bob)
		}
		f.feed.fails = nil
		f.read(tracker.StatusSuccess)
		if bob := f.find("bob"); bob.Email != "2@example.com" {
			t.Errorf("row = %+v, want bob refreshed by the next job", bob)
		}
	})
}

func TestFeedThatNamesVeryManyObjectsIsSynced(t *testing.T) {
	t.Parallel()
	f := newFed(t, testdb.SQLite(t), nil, "ann")
	for n := range 1001 {
		f.feed.changed(memberNamed(fmt.Sprintf("m%04d", n)))
	}
	result := f.read(tracker.StatusSuccess)
	if result["syncs"] != 1.0 || result["refreshed"] != 0.0 || f.jobsOf(tracker.RefreshAction) != 0 {
		t.Errorf("result = %v, want a sync instead of 1,001 refreshes", result)
	}
	if result := f.read(tracker.StatusSuccess); result["read"] != 0.0 {
		t.Errorf("result = %v, want the feed to have gone on", result)
	}
}

func TestFeedNamesObjectsOfItsScopeOnly(t *testing.T) {
	t.Parallel()
	f := newFed(t, testdb.SQLite(t), nil, "ann")
	f.feed.changed(member{Realm: "other", Name: "ann"}, member{Realm: "", Name: "ann"})
	result := f.read(tracker.StatusSuccess)
	if result["refused"] != 1.0 || result["refreshed"] != 1.0 || !strings.Contains(fmt.Sprint(result["refusals"]), "other") {
		t.Errorf("result = %v, want the change of another realm refused", result)
	}
}

func TestFeedOfSeveralScopesNamesThemAndIsSyncedByTheirRows(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		f := newFed(t, db, nil, "ann")
		args, err := f.ChangesArgs(member{})
		enginetest.NoError(t, err)
		read := func() (result map[string]any) {
			f.clock.Advance(time.Minute)
			job := f.drain(f.engine.Dispatch(t.Context(), args, byUser))
			f.ends(job, tracker.StatusSuccess, "")
			enginetest.NoError(t, json.Unmarshal(job.Result, &result))
			return result
		}
		if result := read(); result["syncs"] != 1.0 {
			t.Errorf("result = %v, want the one known realm synced", result)
		}
		f.feed.changed(member{Realm: "r", Name: "ann"}, member{Name: "ann"})
		if result := read(); result["refreshed"] != 1.0 || result["refused"] != 1.0 {
			t.Errorf("result = %v, want the change without a realm refused", result)
		}
	})
}

func TestCursorOfAFeedIsSealedAndBoundToIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		key := enginetest.NewKey(t)
		f := newFed(t, db, func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, key) }, "ann")
		var stored []byte
		enginetest.NoError(t, db.Raw("SELECT cursor_value FROM nawasync_cursors").Row().Scan(&stored))
		if len(stored) < 10 || strings.Contains(string(stored), "at-0") {
			t.Errorf("the stored cursor is %q, want it sealed", stored)
		}
		enginetest.NoError(t, db.Exec("UPDATE nawasync_cursors SET cursor_value = ?", append([]byte("s"), stored[2:]...)).Error)
		if result := f.read(tracker.StatusSuccess); result["syncs"] != 1.0 || !strings.Contains(fmt.Sprint(result["reason"]), "cannot be opened") {
			t.Errorf("result with a damaged cursor = %v, want a sync", result)
		}
	})
}

func TestFeedWaitsWhileTheBacklogIsFull(t *testing.T) {
	t.Parallel()
	f := newFed(t, testdb.SQLite(t), func(c *nawasync.Config) { c.MaxQueued = 3 }, "ann", "bob", "cy", "dan")
	for _, name := range []string{"ann", "bob", "cy", "dan"} {
		f.rename(name, "new@example.com")
	}
	args, err := f.ChangesArgs(member{Realm: "r"})
	enginetest.NoError(t, err)
	job, err := f.engine.Dispatch(t.Context(), args, byUser)
	enginetest.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_ = nawasynctest.Drain(ctx, f.engine, f.clock)
	if job := f.job(job.ID); job.Status != tracker.StatusQueued || !strings.Contains(job.Error, "too many open jobs") || f.jobsOf(tracker.RefreshAction) != 0 {
		t.Errorf("job = %s (%s), want it to wait", job.Status, job.Error)
	}
}
