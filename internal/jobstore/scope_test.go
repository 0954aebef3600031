package jobstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestTimeInAPausedScopeDoesNotCountTowardsExpiry(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		const day, expiry = 24 * time.Hour, 7 * 24 * time.Hour
		expired := func() int {
			t.Helper()
			list, err := b.Expired(t.Context(), b.Now().Add(-expiry), 10)
			b.NoError(err)
			return len(list)
		}
		job := b.Insert(storetest.NewJob(1))[0]
		b.Advance(day)
		b.NoError(b.Pause(t.Context(), tracker.Scope{Service: job.Service, Instance: job.Instance, Until: tracker.Forever, By: "user:1"}))
		b.Advance(30 * day)
		if expired() != 0 {
			t.Fatal("the job expired in a paused scope")
		}
		_, err := b.Resume(t.Context(), job.Service, job.Instance)
		b.NoError(err)
		b.Advance(5 * day)
		if paused, err := b.PausedTime(t.Context(), job.ID); err != nil || paused != 30*day || expired() != 0 {
			t.Fatalf("6 days without the pause: paused for %s, %d expired, error %v; want 30 days and none", paused, expired(), err)
		}
		b.Advance(2 * day)
		if expired() != 1 {
			t.Fatal("the job has not expired 8 days without the pause after it came due")
		}
	})
}

// instancesStopped inserts a job of each instance and returns the instances whose job a claim does not find.
func instancesStopped(t *testing.T, b *storetest.Fixture, instances ...string) (list []string) {
	t.Helper()
	b.NoError(b.Database.Exec("DELETE FROM nawasync_jobs").Error)
	var jobs []*jobstore.Job
	for i, instance := range instances {
		job := storetest.NewJob(int64(i + 1))
		job.Instance = instance
		storetest.SetTargetKey(job)
		jobs = append(jobs, b.Insert(job)[0])
	}
	streams, err := b.ListStreams(t.Context(), []jobstore.Stream{{Queue: "default", Service: "whm", Type: "mailbox", Action: "update"}}, 100)
	b.NoError(err)
	claimed := b.ClaimDue(1, jobs...)
	for _, job := range jobs {
		found := slices.ContainsFunc(claimed.Jobs, func(c *jobstore.Job) bool { return c.ID == job.ID })
		if !found {
			list = append(list, job.Instance)
		}
		i := slices.IndexFunc(streams, func(s jobstore.StreamState) bool { return s.Instance == job.Instance })
		if i < 0 || streams[i].Paused == found {
			t.Errorf("instance %q was claimed: %t; ListStreams returns %+v", job.Instance, found, streams)
		}
	}
	return list
}

func TestAScopeStopsWholeComponentsOnly(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		all := []string{"", "a", "a/b", "a/b/c/d/e/f/g/h", "a/bc", "ab", "ab/c", "b/a", "A/b", "a%2Fb"}
		for scope, want := range map[string][]string{
			"":    all,
			"a":   {"a", "a/b", "a/b/c/d/e/f/g/h", "a/bc"},
			"a/b": {"a/b", "a/b/c/d/e/f/g/h"},
			"ab":  {"ab", "ab/c"},
			"b":   {"b/a"},
			"a/":  nil, "%": nil, "_b": nil,
		} {
			b.NoError(b.Pause(t.Context(), tracker.Scope{Service: "whm", Instance: scope, Until: tracker.Forever}))
			if got := instancesStopped(t, b, all...); !slices.Equal(got, want) {
				t.Errorf("a pause of %q stops %q, want %q", scope, got, want)
			}
			if _, err := b.Resume(t.Context(), "whm", scope); err != nil {
				t.Fatal(err)
			}
		}
		if got := instancesStopped(t, b, all...); len(got) > 0 {
			t.Errorf("after all pauses, %q are stopped", got)
		}
	})
}

func TestResumeEndsAPauseAndTheParksWithinAndNoRetryAfter(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		park := func(instance string, r jobstore.Refusal) {
			t.Helper()
			r.Service, r.Instance, r.Reason = "whm", instance, "refused"
			_, err := b.Park(t.Context(), r)
			b.NoError(err)
		}
		all := []string{"a", "a/b", "a/c", "a/d", "x", "y"}
		expect := func(when string, want ...string) {
			t.Helper()
			if got := instancesStopped(t, b, all...); !slices.Equal(got, want) {
				t.Errorf("%s: %q are stopped, want %q", when, got, want)
			}
		}
		resume := func(instance string) jobstore.Resumed {
			t.Helper()
			r, err := b.Resume(t.Context(), "whm", instance)
			b.NoError(err)
			return r
		}
		b.NoError(b.Pause(t.Context(), tracker.Scope{Service: "whm", Instance: "a/b", Until: tracker.Forever}))
		park("a/c", jobstore.Refusal{Class: fault.ClassCredentials})
		park("a/d", jobstore.Refusal{Class: fault.ClassRateLimited, Wait: time.Minute})
		park("x", jobstore.Refusal{Class: fault.ClassRateLimited, Wait: time.Hour, Asked: true})
		expect("at first", "a/b", "a/c", "a/d", "x")
		if !resume("a").Found {
			t.Error("Resume did not find the parks within")
		}
		expect("after Resume of a", "a/b", "x") // an operator has paused a/b by itself
		end := b.Now().Add(time.Hour)
		if r := resume("x"); !r.Found || !r.LimitedUntil.Equal(end) {
			t.Errorf("Resume during a Retry-After returns %+v", r)
		}
		b.NoError(b.Pause(t.Context(), tracker.Scope{Service: "whm", Instance: "x", Until: tracker.Forever}))
		park("x", jobstore.Refusal{Class: fault.ClassRateLimited, Wait: time.Minute, Asked: true}) // by a job that ran already
		resume("x")
		expect("after Resume during the Retry-After", "a/b", "x")
		scopes, err := b.Scopes(t.Context())
		b.NoError(err)
		if x := scopes[len(scopes)-1]; !x.Parked || !x.Until.Equal(end) || !x.RetryAfter.Equal(end) {
			t.Errorf("scope %+v, want it parked until %s", x, end)
		}
		b.Advance(time.Hour)
		expect("after the Retry-After", "a/b")
	})
}

func TestTimeInAParkedLimitScopeDoesNotCountTowardsExpiry(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		const day = 24 * time.Hour
		job := storetest.NewJob(1)
		job.Instance = "a/b"
		storetest.SetTargetKey(job)
		b.Insert(job)
		expect := func(want time.Duration, expired int) {
			t.Helper()
			list, err := b.Expired(t.Context(), b.Now().Add(-7*day), 10)
			b.NoError(err)
			paused, err := b.PausedTime(t.Context(), job.ID)
			if err != nil || paused != want || len(list) != expired {
				t.Fatalf("stopped for %s, %d expired, error %v; want %s and %d", paused, len(list), err, want, expired)
			}
		}
		for _, refusal := range []jobstore.Refusal{{Class: fault.ClassCredentials}, {Class: fault.ClassRateLimited, Wait: 20 * day, Asked: true}} {
			refusal.Service, refusal.Instance = "whm", "a"
			_, err := b.Park(t.Context(), refusal)
			b.NoError(err)
			b.Advance(20 * day)
		}
		expect(40*day, 0) // refused credentials wait for a probe, however long ago it came due
		_, err := b.Resume(t.Context(), "whm", "a")
		b.NoError(err)
		_, err = b.Park(t.Context(), jobstore.Refusal{Service: "whm", Instance: "ab", Class: fault.ClassCredentials})
		b.NoError(err)
		b.Advance(6 * day)
		expect(40*day, 0)
		b.Advance(2 * day)
		expect(40*day, 1)
	})
}
