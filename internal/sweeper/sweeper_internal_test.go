package sweeper

import (
	"math"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

// newSweeper returns a sweeper whose clock the test sets. Each part takes at least as long as *slow.
func newSweeper(t *testing.T, db *testdb.Database, slow *time.Duration) (b *storetest.Fixture, s *Sweeper, now *time.Time, parts *int) {
	t.Helper()
	b, parts, now = storetest.New(t, db), new(int), new(time.Time)
	*now = b.Now()
	clock := func() time.Time { return *now }
	store, err := jobstore.New(db.DB, jobstore.Options{Now: clock, At: func(m jobstore.Moment) {
		if m == jobstore.MomentSwept {
			*parts++
			time.Sleep(*slow)
		}
	}})
	b.NoError(err)
	return b, &Sweeper{Store: store, Interval: time.Second, Holder: func() string { return "self" }, now: clock}, now, parts
}

// forget inserts a job that nobody returns to the claim index.
func forget(b *storetest.Fixture, db *testdb.Database, lane int64) (id int64) {
	id = b.Insert(storetest.NewJob(lane))[0].ID
	b.NoError(db.Exec("UPDATE nawasync_jobs SET wake_at = NULL WHERE id = ?", id).Error)
	return id
}

// On MariaDB, beside a read-only transaction of a minute, one part took seconds, and the next one began 5 s later.
func TestASlowPartOfTheSweepIsFollowedByARest(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		slow := 10 * time.Millisecond
		b, s, now, parts := newSweeper(t, db, &slow)
		tick(t, s)
		*now = now.Add(450 * time.Millisecond)
		tick(t, s)
		if *parts != 1 {
			t.Fatalf("%d parts in 450 ms after a part of more than 10 ms, want none", *parts-1)
		}
		forgotten := forget(b, db, 1)
		for begun := true; begun; begun = s.begun {
			*now = now.Add(time.Hour)
			tick(t, s)
		}
		if b.Stored(forgotten).WakeAt.IsZero() {
			t.Errorf("%d parts did not find job %d", *parts, forgotten)
		}
	})
}

func TestASlowPartOfTheSweepIsFollowedByANarrowerOneAndNoLaneIsLeftOut(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var slow time.Duration
		b, s, now, parts := newSweeper(t, db, &slow)
		s.Interval = time.Hour // so that only the test decides what is slow
		s.narrowing = 3
		var forgotten []int64
		for _, lane := range []int64{math.MinInt64 + 1, -1 << 62, -1, 0, 1, 1 << 61, math.MaxInt64} {
			forgotten = append(forgotten, forget(b, db, lane))
		}
		for begun := true; begun; begun = s.begun {
			s.narrowing = 3
			*now = now.Add(time.Hour)
			tick(t, s)
		}
		for _, id := range forgotten {
			if b.Stored(id).WakeAt.IsZero() {
				t.Errorf("the sweep left out job %d of lane %d", id, b.Stored(id).Lane)
			}
		}
		if *parts != 8 {
			t.Errorf("%d parts, want 8", *parts)
		}

		s.Interval, slow, s.narrowing, *now = time.Second, 11*time.Millisecond, 5, now.Add(time.Hour)
		tick(t, s)
		if s.narrowing < 6 {
			t.Errorf("the part after a slow one is halved %d times, want 6 or more", s.narrowing)
		}
	})
}

func tick(t *testing.T, s *Sweeper) {
	t.Helper()
	if _, err := s.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}
