package jobstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestPagesNeitherRepeatNorSkipJobsWhileRowsAreAdded(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		want := map[int64]bool{}
		for i := range 30 {
			switch i % 3 {
			case 0:
				want[b.End(int64(i), tracker.StatusSuccess).ID] = true
			case 1:
				want[b.End(int64(i), tracker.StatusFailed).ID] = true
			default:
				want[b.Insert(storetest.NewJob(int64(i)))[0].ID] = true
			}
		}
		seen := map[int64]bool{}
		before, last := int64(0), int64(1<<62)
		for {
			page, err := b.Search(t.Context(), tracker.Search{Services: []string{"whm"}, Before: before, Limit: 7})
			b.NoError(err)
			for _, j := range page.Jobs {
				if seen[j.ID] || j.ID >= last {
					t.Fatalf("job %d is repeated or out of order", j.ID)
				}
				seen[j.ID], last = true, j.ID
			}
			b.Insert(storetest.NewJob(1000)) // a row added between two pages
			if before = page.Older; before == 0 {
				break
			}
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestStatisticsSurviveRollupAndPruningUnchanged(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		start := b.Now()
		var last *jobstore.Job
		for i := range 10 {
			last = b.End(int64(i), tracker.StatusSuccess)
			b.Advance(20 * time.Second)
		}
		b.End(50, tracker.StatusFailed)
		read := func(p tracker.Period) (text []string) {
			stats, err := b.Stats(t.Context(), p, start, start.Add(48*time.Hour))
			b.NoError(err)
			for _, s := range stats {
				text = append(text, s.Bucket.Format(time.RFC3339)+" "+string(s.Outcome)+" "+s.Runs.String()+" "+s.Waits.String())
			}
			return text
		}
		before := read(tracker.PeriodHour)
		if len(before) != 2 {
			t.Fatalf("%d hour rows, want 2: %v", len(before), before)
		}
		for _, limit := range []int{3, 4, 100} { // in several rollups
			_, err := b.Rollup(t.Context(), limit)
			b.NoError(err)
			if diff := cmp.Diff(before, read(tracker.PeriodHour)); diff != "" {
				t.Fatal(diff)
			}
		}
		if n, err := b.Rollup(t.Context(), 100); err != nil || n != 0 {
			t.Fatalf("a rollup without deltas moved %d: %v", n, err)
		}
		if minutes := read(tracker.PeriodMinute); len(minutes) != 5 {
			t.Errorf("%d minute rows, want 5: %v", len(minutes), minutes)
		}
		b.Advance(30 * 24 * time.Hour)
		n, err := b.Prune(t.Context(), tracker.StatusSuccess, b.Now().Add(-14*24*time.Hour), 4)
		b.NoError(err)
		rest, err := b.Prune(t.Context(), tracker.StatusSuccess, b.Now().Add(-14*24*time.Hour), 100)
		b.NoError(err)
		if n != 4 || rest != 6 {
			t.Errorf("pruned %d and %d jobs, want 4 and 6", n, rest)
		}
		if _, err := b.Get(t.Context(), last.ID); !errors.Is(err, tracker.ErrNotFound) {
			t.Error(err)
		}
		at, id, err := b.LastSuccess(t.Context(), "whm", "mailbox", "update", "main")
		b.NoError(err)
		if id != last.ID || !at.Equal(last.FinishedAt) {
			t.Errorf("last success %d %s, want %d %s", id, at, last.ID, last.FinishedAt)
		}
	})
}

func TestHistogramQuantilesAreCloseAndMergeAddsCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(1, 3_600_000), 1, 200).Draw(t, "ms")
		var whole, left, right tracker.Histogram
		top := int64(0)
		for i, ms := range values {
			d := time.Duration(ms) * time.Millisecond
			whole.Add(d)
			if i%2 == 0 {
				left.Add(d)
			} else {
				right.Add(d)
			}
			top = max(top, ms)
		}
		left.Merge(right)
		if left.String() != whole.String() || whole.Count() != int64(len(values)) {
			t.Fatalf("merged %s, want %s", left.String(), whole.String())
		}
		back, err := tracker.ParseHistogram(whole.String())
		if err != nil || back.String() != whole.String() {
			t.Fatalf("parsed %s (%v), want %s", back.String(), err, whole.String())
		}
		if q := whole.Quantile(1).Seconds() * 1000; q < float64(top)*0.999 || q > float64(top)*1.2+1 {
			t.Fatalf("the maximum is %d ms, the histogram says %f ms", top, q)
		}
	})
}

func TestFinishedRowsKeepAtMostTwentyAttempts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		job := b.Insert(storetest.NewJob(1))[0]
		for range 30 {
			running := b.ClaimOne(b.Stored(job.ID))
			b.SettleAll(&jobstore.Outcome{Job: running, Status: tracker.StatusQueued, KeepAttempt: true, Attempt: tracker.OutcomeStopped})
		}
		attempts, err := b.Attempts(t.Context(), &b.Stored(job.ID).Job)
		b.NoError(err)
		if len(attempts) != tracker.MaxAttemptsKept || attempts[19].Epoch != 29 {
			t.Fatalf("%d attempts, the last of epoch %d", len(attempts), attempts[len(attempts)-1].Epoch)
		}
		if row := b.Stored(job.ID); row.Attempt != 0 || row.Epoch != 30 {
			t.Fatalf("attempt %d and epoch %d, want 0 and 30", row.Attempt, row.Epoch)
		}
	})
}
