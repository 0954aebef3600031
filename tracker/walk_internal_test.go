package tracker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/testdb"
)

// searched is 5,000 jobs, of which job 7 alone is of another user and has another object.
type searched struct {
	*Reader

	t *testing.T
}

// forJob7 returns a search for the text and the user of job 7.
func forJob7() Search {
	return Search{Terms: []Term{{Field: FieldText, Values: []string{"NEEDLE"}}, {Field: FieldBy, Values: []string{"user:7"}}}}
}

func newSearched(t *testing.T, db *testdb.Database) searched {
	t.Helper()
	const digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	err := db.Exec(`INSERT INTO nawasync_jobs (id, target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane, attempt, max_attempts,
 status, service, type, action, instance, target_id, queue, triggered_by, trigger_source)
 SELECT n, n, n, 0, 0, 1767225600000000 + n, 0, 1, 0, FALSE, 1, 3, 'success', 'whm', 'mailbox', 'update', 'main',
 CASE WHEN n = 7 THEN 'a-needle' ELSE 'box' END, 'default', CASE WHEN n = 7 THEN 'user:7' ELSE 'user:8' END, 'manual' FROM
 (SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d AS n FROM ` + digits + " a, " + digits + " b, " + digits + " c, " + digits + " d) numbers WHERE n <= 5000").Error
	if err != nil {
		t.Fatal(err)
	}
	reader, err := New(db.DB, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return searched{reader, t}
}

// every makes the time of searches pass by step with each look at it.
func (s searched) every(step time.Duration) {
	now := time.Unix(1_767_225_600, 0)
	s.watch = func() time.Time {
		now = now.Add(step)
		return now
	}
}

func (s searched) search(q Search) Results {
	s.t.Helper()
	found, err := s.Search(s.t.Context(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

func TestSearchStopsAtItsTimeSaysHowFarItGotAndGoesOnFromThere(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSearched(t, db)
		s.every(10 * time.Millisecond)
		q := forJob7()
		q.MaxTime = 30 * time.Millisecond
		first := s.search(q)
		if len(first.Jobs) != 0 || !first.Partial || first.Searched != 2000 || first.Older != 3001 || first.Reached.UnixMicro() != 1767225600000000+3001 {
			t.Errorf("the first page is %+v, want the newest 2,000 jobs searched", first)
		}
		rest := forJob7()
		rest.Before = first.Older
		if found := s.search(rest); len(found.Jobs) != 1 || found.Jobs[0].ID != 7 || found.Partial || found.Searched != 3000 {
			t.Errorf("the second page is %+v, want job 7 after all other jobs", found)
		}
		q.Terms, q.Oldest = []Term{{Field: FieldText, Values: []string{"nothing"}}}, true
		if found := s.search(q); !found.Partial || found.Searched != 2000 || found.Newer != 2000 || found.Reached.UnixMicro() != 1767225600000000+2001 {
			t.Errorf("from the oldest job on, the page is %+v", found)
		}
	})
}

func TestSearchReadsItsFirstJobsHoweverLongTheyTake(t *testing.T) {
	t.Parallel()
	s := newSearched(t, testdb.SQLite(t))
	s.every(time.Hour)
	var pages []int64
	for q := forJob7(); ; {
		found := s.search(q)
		if pages = append(pages, found.Searched); !found.Partial {
			break
		}
		q.Before = found.Older
	}
	if fmt.Sprint(pages) != "[2000 2000 1000]" {
		t.Errorf("the pages have searched %v jobs", pages)
	}
}

func TestSearchWithoutTimeLimitFindsJobsInAnyChunk(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSearched(t, db)
		s.every(time.Microsecond)
		for _, id := range []int64{1, 999, 1000, 1001, 3000, 3001, 5000} {
			if err := db.Exec("UPDATE nawasync_jobs SET triggered_by = 'user:9' WHERE id = ?", id).Error; err != nil {
				t.Fatal(err)
			}
		}
		var ids []int64
		for _, job := range s.search(Search{Terms: []Term{{Field: FieldBy, Values: []string{"user:9", "user:7"}}}}).Jobs {
			ids = append(ids, job.ID)
		}
		if want := []int64{5000, 3001, 3000, 1001, 1000, 999, 7, 1}; !slices.Equal(ids, want) {
			t.Errorf("found %d, want %d", ids, want)
		}
	})
}
