package worker //nolint:testpackage // two claims meet between an outcome and its note, which nothing outside sees

import (
	"context"
	"testing"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

func TestClaimWhoseJobHasRunHereMeanwhileIsDropped(t *testing.T) {
	t.Parallel()
	w := &Worker{
		HoldsLease: func() bool { return true }, Worker: func() string { return "here" },
		running: map[jobstore.Claim]context.CancelCauseFunc{}, claiming: map[jobstore.Claim]int{}, ranMeanwhile: map[jobstore.Claim]bool{},
	}
	claim := jobstore.Claim{ID: 1, Epoch: 2}
	job := &jobstore.Job{Job: tracker.Job{ID: 1, Epoch: 2, Worker: "here"}}
	// Two tasks of one epoch; both answers were lost, and both find the row running here.
	for range 2 {
		if !w.admit(claim) {
			t.Fatal("not entered")
		}
	}
	if _, mine := w.startRunning(claim, job); !mine {
		t.Fatal("the first does not run")
	}
	w.stopRunning(job) // its outcome stands
	if _, mine := w.startRunning(claim, job); mine {
		t.Error("the second runs again what has run")
	}
	if len(w.claiming)+len(w.ranMeanwhile)+len(w.running) != 0 {
		t.Errorf("it remembers %v, %v", w.claiming, w.ranMeanwhile)
	}
	if !w.admit(claim) {
		t.Fatal("not entered")
	}
	if _, mine := w.startRunning(claim, nil); mine {
		t.Error("a claim without a job runs")
	}
}
