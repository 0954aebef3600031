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

func TestRefusedCredentialsAreProbedByOneJobAfter1And5And15And60Minutes(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		var jobs []*jobstore.Job
		for i, instance := range []string{"a/b", "a/b", "a/c", "ab"} {
			job := storetest.NewJob(int64(i + 1))
			job.Instance = instance
			storetest.SetTargetKey(job)
			jobs = append(jobs, b.Insert(job)[0])
		}
		probe := func(job *jobstore.Job) *jobstore.Claimed {
			t.Helper()
			claimed, err := b.ClaimProbe(t.Context(), storetest.Worker, jobstore.Look{Stream: job.Stream(), Timeout: time.Minute})
			b.NoError(err)
			return claimed
		}
		probeDue := func(want bool) {
			t.Helper()
			streams, err := b.ListStreams(t.Context(), []jobstore.Stream{{Queue: "default", Service: "whm", Type: "mailbox", Action: "update"}}, 100)
			b.NoError(err)
			for _, s := range streams {
				if inScope := s.Instance != "ab"; s.Paused != inScope || s.Probe != (inScope && want) {
					t.Errorf("stream %+v, want that a probe is due: %t", s, want)
				}
			}
		}
		refuse := func(job *jobstore.Job) *tracker.Scope {
			t.Helper()
			scope, err := b.Park(t.Context(), jobstore.Refusal{Service: "whm", Instance: "a", Class: fault.ClassCredentials, Probe: job.Probe})
			b.NoError(err)
			b.SettleAll(&jobstore.Outcome{Job: job, Status: tracker.StatusQueued, KeepAttempt: true, Attempt: tracker.OutcomeParked, NotBefore: b.Now()})
			return scope
		}
		late := b.ClaimOne(jobs[1])
		refuse(b.ClaimOne(jobs[0]))
		if scope := refuse(late); scope != nil {
			t.Errorf("an attempt that began before the park moved the probe: %+v", scope)
		}
		for i, wait := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, time.Hour} {
			b.Advance(wait - time.Second)
			probeDue(false)
			if got := probe(jobs[2]); len(got.Jobs) > 0 {
				t.Fatalf("probe %d began less than %s after the refusal", i+1, wait)
			}
			b.Advance(time.Second)
			probeDue(true)
			if got := b.ClaimDue(5, jobs...); len(got.Jobs) > 1 || len(got.Jobs) == 1 && got.Jobs[0].Instance != "ab" {
				t.Fatalf("a normal claim ran %d jobs", len(got.Jobs))
			}
			got := probe(jobs[2])
			if len(got.Jobs) != 1 || !got.Jobs[0].Probe {
				t.Fatalf("probe %d claimed %d jobs, want 1", i+1, len(got.Jobs))
			}
			probeDue(false)
			if more := probe(jobs[0]); len(more.Jobs) > 0 {
				t.Fatal("two probes run at once")
			}
			refuse(got.Jobs[0])
		}
		b.Advance(time.Hour)
		got := probe(jobs[0])
		b.NoError(b.EndProbe(t.Context(), got.Jobs[0].Stream(), true))
		if got := b.ClaimDue(5, jobs...); len(got.Jobs) != 2 {
			t.Errorf("after the probe, %d jobs run at once; want the other 2", len(got.Jobs))
		}
	})
}

func TestProbeWhoseProcessDiedOrThatShowedNothingIsRepeated(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		first, second := b.Insert(storetest.NewJob(1))[0], b.Insert(storetest.NewJob(2))[0]
		look := jobstore.Look{Stream: first.Stream(), Timeout: time.Hour}
		expect := func(when string, jobs int) {
			t.Helper()
			claimed, err := b.ClaimProbe(t.Context(), storetest.Worker, look)
			if err != nil || len(claimed.Jobs) != jobs {
				t.Fatalf("%s: %d jobs, error %v; want %d", when, len(claimed.Jobs), err, jobs)
			}
		}
		_, err := b.Park(t.Context(), jobstore.Refusal{Service: first.Service, Instance: first.Instance, Class: fault.ClassCredentials})
		b.NoError(err)
		b.Advance(time.Minute)
		expect("first probe", 1)
		b.Advance(9 * time.Minute)
		expect("while it may run", 0)
		b.Advance(time.Minute)
		expect("after it died", 1)
		b.NoError(b.EndProbe(t.Context(), second.Stream(), false))
		expect("after it showed nothing", 0)
		b.Insert(storetest.NewJob(3))
		b.Advance(time.Minute)
		expect("a minute later", 1)
		b.Advance(time.Hour)
		b.NoError(b.Pause(t.Context(), tracker.Scope{Service: first.Service, Until: tracker.Forever}))
		expect("in a paused service", 0)
	})
}
