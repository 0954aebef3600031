package jobstore_test

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// outage is a scope that is parked because its remote cannot be reached.
type outage struct {
	*storetest.Fixture

	t    *testing.T
	jobs []*jobstore.Job
}

func newOutage(t *testing.T, db *testdb.Database) *outage {
	t.Helper()
	o := &outage{Fixture: storetest.New(t, db), t: t}
	for lane := range 3 {
		job := storetest.NewJob(int64(lane + 1))
		job.Instance = "web1/" + job.TargetID
		storetest.SetTargetKey(job)
		o.jobs = append(o.jobs, o.Insert(job)[0])
		o.Advance(time.Millisecond)
	}
	o.park(o.ClaimOne(o.jobs[0]), fault.ClassUnavailable, 0)
	return o
}

// park settles an attempt that has met an error of a class.
func (o *outage) park(job *jobstore.Job, class fault.Class, asked time.Duration) *tracker.Scope {
	o.t.Helper()
	scope, err := o.Park(o.t.Context(), jobstore.Refusal{
		Service: "whm", Instance: "web1", Class: class, Reason: "refused", Wait: asked, Asked: asked > 0, Probe: job.Probe,
	})
	o.NoError(err)
	o.SettleAll(&jobstore.Outcome{Job: job, Status: tracker.StatusQueued, KeepAttempt: true, Attempt: tracker.OutcomeParked, NotBefore: o.Now()})
	return scope
}

// probe starts a probe of a job's stream, if one may start.
func (o *outage) probe(of *jobstore.Job) *jobstore.Job {
	o.t.Helper()
	claimed, err := o.ClaimProbe(o.t.Context(), storetest.Worker, jobstore.Look{Stream: of.Stream(), Timeout: time.Minute})
	o.NoError(err)
	if len(claimed.Jobs) == 0 {
		return nil
	}
	return claimed.Jobs[0]
}

func (o *outage) scope() tracker.Scope {
	o.t.Helper()
	scopes, err := o.Scopes(o.t.Context())
	o.NoError(err)
	if len(scopes) != 1 {
		o.t.Fatalf("scopes %+v, want one", scopes)
	}
	return scopes[0]
}

func TestOutageIsProbedByOneJobAfter10SecondsAndThenLessOften(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		o := newOutage(t, db)
		began := o.scope().Since
		for i, wait := range []time.Duration{
			10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 5 * time.Minute,
		} {
			if s := o.scope(); s.ErrorClass != "unavailable" || s.Probes != i+1 || !s.Until.Equal(o.Now().Add(wait)) || !s.Since.Equal(began) {
				t.Fatalf("scope %+v at %s, want probe %d in %s", s, o.Now(), i+1, wait)
			}
			of := o.jobs[i%3]
			o.Advance(wait - time.Second)
			if o.probe(of) != nil {
				t.Fatalf("probe %d began less than %s after the one before", i+1, wait)
			}
			o.Advance(time.Second)
			if got := o.ClaimDue(5, o.jobs...); len(got.Jobs) > 0 {
				t.Fatalf("a normal claim ran %d jobs", len(got.Jobs))
			}
			probe := o.probe(of)
			if probe == nil || o.probe(o.jobs[(i+1)%3]) != nil {
				t.Fatalf("probe %d is %+v, want one and no other", i+1, probe)
			}
			o.park(probe, fault.ClassUnavailable, 0)
		}
		o.Advance(5 * time.Minute)
		o.NoError(o.EndProbe(t.Context(), o.probe(o.jobs[0]).Stream(), true))
		if got := o.ClaimDue(5, o.jobs...); len(got.Jobs) != 2 {
			t.Errorf("after the probe, %d jobs run at once; want the other 2", len(got.Jobs))
		}
	})
}

func TestResumeOfAnOutageStartsOneProbeAndNotTheJobs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		o := newOutage(t, db)
		for range 3 {
			o.Advance(time.Hour)
			o.park(o.probe(o.jobs[1]), fault.ClassUnavailable, 0)
		}
		for _, instance := range []string{"web1", ""} {
			resumed, err := o.Resume(t.Context(), "whm", instance)
			if err != nil || !resumed.Found || resumed.Probed != 1 {
				t.Fatalf("Resume of %q returns %+v, %v", instance, resumed, err)
			}
			if got := o.ClaimDue(5, o.jobs...); len(got.Jobs) > 0 {
				t.Fatalf("after Resume, a normal claim ran %d jobs", len(got.Jobs))
			}
			probe := o.probe(o.jobs[2])
			if probe == nil || o.probe(o.jobs[0]) != nil {
				t.Fatalf("after Resume the probe is %+v, want one and no other", probe)
			}
			o.park(probe, fault.ClassUnavailable, 0)
			if s := o.scope(); s.Probes < 4 || s.Until.Before(o.Now().Add(2*time.Minute)) {
				t.Errorf("after its probe has failed the scope is %+v, want a longer wait", s)
			}
		}
	})
}

func TestResumeAndASuccessfulProbeEndNoRetryAfter(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		o := newOutage(t, db)
		o.Advance(10 * time.Second)
		probe := o.probe(o.jobs[1])
		end := o.Now().Add(time.Hour)
		o.park(probe, fault.ClassRateLimited, time.Hour) // it is over a limit, so the remote can be reached
		resumed, err := o.Resume(t.Context(), "whm", "web1")
		if err != nil || !resumed.Found || !resumed.LimitedUntil.Equal(end) || o.probe(o.jobs[2]) != nil {
			t.Errorf("Resume during a Retry-After returns %+v, %v", resumed, err)
		}
		o.NoError(o.EndProbe(t.Context(), probe.Stream(), true))
		if s := o.scope(); s.Probes != 0 || s.ErrorClass != "rate_limited" || !s.Until.Equal(end) || !s.RetryAfter.Equal(end) {
			t.Errorf("scope %+v, want it to wait until %s", s, end)
		}
		o.Advance(time.Hour)
		if got := o.ClaimDue(5, o.jobs...); len(got.Jobs) != 3 {
			t.Errorf("after the Retry-After %d jobs run, want 3", len(got.Jobs))
		}
	})
}

func TestProbeOfAnOutageThatShowsNothingOrRefusedCredentialsIsFollowedByAnother(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		o := newOutage(t, db)
		o.Advance(10 * time.Second)
		o.park(o.probe(o.jobs[0]), fault.ClassUnavailable, 0)
		o.Advance(30 * time.Second)
		probe := o.probe(o.jobs[1])
		o.NoError(o.EndProbe(t.Context(), probe.Stream(), false))
		if s := o.scope(); s.Probes != 2 || !s.Until.Equal(o.Now().Add(30*time.Second)) {
			t.Errorf("scope %+v, want another probe after the same wait", s)
		}
		o.SettleAll(&jobstore.Outcome{Job: probe, Status: tracker.StatusFailed, Attempt: tracker.OutcomeFailed})
		o.Advance(30 * time.Second)
		o.park(o.probe(o.jobs[2]), fault.ClassCredentials, 0)
		if s := o.scope(); s.Probes != 1 || s.ErrorClass != "credentials" || !s.Until.Equal(o.Now().Add(time.Minute)) {
			t.Errorf("scope %+v, want a probe of the credentials in a minute", s)
		}
		resumed, err := o.Resume(t.Context(), "whm", "web1")
		if err != nil || resumed.Probed != 0 {
			t.Errorf("Resume returns %+v, %v", resumed, err)
		}
		if got := o.ClaimDue(5, o.jobs...); len(got.Jobs) != 2 {
			t.Errorf("after Resume with refused credentials %d jobs run, want 2", len(got.Jobs))
		}
	})
}
