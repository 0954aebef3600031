package tracker_test

import (
	"testing"

	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func groupTerm(not bool, ids ...string) tracker.Term {
	return tracker.Term{Field: tracker.FieldErrorGroup, Values: ids, Not: not}
}

func TestListOfALargeErrorGroupIsCompleteAndHasNoOtherJobs(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, testdb.SQLite(t))
	const large, small, successes = tracker.MaxCount + 100, 30, 50
	b.Insert(storetest.NewJob(1))
	const columns = "lane, target_key, not_before, due_at, created_at, updated_at, epoch, attempt, max_attempts, in_lane, status, service, type, action, " +
		"instance, target_id, queue, triggered_by, trigger_source"
	b.NoError(b.Database.Exec("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO nawasync_jobs (id, "+columns+
		") SELECT i, "+columns+" FROM nawasync_jobs, n WHERE id = 1", large+small+successes).Error)
	b.NoError(b.Database.Exec(`UPDATE nawasync_jobs SET status = CASE WHEN id <= ? THEN 'failed' ELSE 'success' END, open_lane = NULL, wake_at = NULL,
 finished_at = created_at + id, error_signature = CASE WHEN id <= ? THEN 5 WHEN id <= ? THEN 0 END`, large+small, large, large+small).Error)
	const largeID, other, unknown = "0000000000000005", "other", "00000000000000ff"
	for _, c := range []struct {
		name  string
		terms []tracker.Term
		want  int
		exact bool
	}{
		{"the large group", []tracker.Term{groupTerm(false, largeID)}, large, false},
		{"the other errors", []tracker.Term{groupTerm(false, other)}, small, true},
		{"an unknown group", []tracker.Term{groupTerm(false, unknown)}, 0, true},
		{"two groups", []tracker.Term{groupTerm(false, other, unknown)}, small, true},
		{"two terms", []tracker.Term{groupTerm(false, largeID), groupTerm(false, other)}, 0, false},
		{"all but the large group", []tracker.Term{groupTerm(true, largeID)}, small + successes, false},
		{"both groups of one job", []tracker.Term{groupTerm(false, largeID, other), {Field: tracker.FieldID, Values: []string{"7"}}}, 1, false},
	} {
		q := tracker.Search{Terms: c.terms}
		if got := pages(t, b, q, 500); len(got) != c.want {
			t.Errorf("%s has %d jobs, want %d", c.name, len(got), c.want)
		}
		counts, exact, err := b.Counts(t.Context(), q)
		b.NoError(err)
		if exact != c.exact || (exact && counts[tracker.StatusFailed] != c.want) {
			t.Errorf("%s: counts %v (exact: %v), want %d (exact: %v)", c.name, counts, exact, c.want, c.exact)
		}
	}
	q := tracker.Search{Terms: []tracker.Term{groupTerm(false, largeID)}, EndedFrom: b.Now(), EndedTo: b.Now().Add(1000)}
	if got := pages(t, b, q, 500); len(got) != 0 {
		t.Errorf("the large group has %d jobs that ended in a time without any", len(got))
	}
	if _, err := b.Search(t.Context(), tracker.Search{Terms: []tracker.Term{groupTerm(false, "7")}}); err == nil {
		t.Error("a search for an invalid group is no error")
	}
}
