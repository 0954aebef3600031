package worker //nolint:testpackage // two claims meet between two steps that only this package can see

import (
	"context"
	"testing"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

func TestSecondClaimOfJobThatHasAlreadyRunHereIsDropped(t *testing.T) {
	t.Parallel()
	w := &Worker{
		HoldsLease: func() bool { return true }, Worker: func() string { return "here" },
		running: map[jobstore.Claim]context.CancelCauseFunc{}, claiming: map[jobstore.Claim]int{}, ranDuringClaim: map[jobstore.Claim]bool{},
	}
	claim := jobstore.Claim{ID: 1, Epoch: 2}
	job := &jobstore.Job{Job: tracker.Job{ID: 1, Epoch: 2, Worker: "here"}}
	// There are two tasks of one epoch. The answers to both claims were lost, and both tries then
	// find that the job runs here.
	for range 2 {
		if !w.admit(claim) {
			t.Fatal("the claim was not admitted")
		}
	}
	if _, started := w.startRunning(claim, job); !started {
		t.Fatal("the first claim does not run the job")
	}
	w.stopRunning(job) // its outcome is written
	if _, started := w.startRunning(claim, job); started {
		t.Error("the second claim runs the job again")
	}
	if len(w.claiming)+len(w.ranDuringClaim)+len(w.running) != 0 {
		t.Errorf("claims are left: %v, %v", w.claiming, w.ranDuringClaim)
	}
	if !w.admit(claim) {
		t.Fatal("the claim was not admitted")
	}
	if _, started := w.startRunning(claim, nil); started {
		t.Error("a claim without a job runs")
	}
}
