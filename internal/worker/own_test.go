package worker //nolint:testpackage // two claims meet between a verdict and its note, which nothing outside sees

import (
	"context"
	"testing"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

func TestClaimWhoseJobHasRunHereMeanwhileIsDropped(t *testing.T) {
	t.Parallel()
	w := &Worker{
		Held: func() bool { return true }, Worker: func() string { return "here" },
		running: map[jobstore.Claim]context.CancelCauseFunc{}, claiming: map[jobstore.Claim]int{}, spent: map[jobstore.Claim]bool{},
	}
	claim := jobstore.Claim{ID: 1, Epoch: 2}
	job := &jobstore.Job{Job: tracker.Job{ID: 1, Epoch: 2, Worker: "here"}}
	// Two tasks of one epoch; both answers were lost, and both find the row running here.
	for range 2 {
		if !w.enter(claim) {
			t.Fatal("not entered")
		}
	}
	if _, mine := w.own(claim, job); !mine {
		t.Fatal("the first does not run")
	}
	w.disown(job) // its verdict stands
	if _, mine := w.own(claim, job); mine {
		t.Error("the second runs again what has run")
	}
	if len(w.claiming)+len(w.spent)+len(w.running) != 0 {
		t.Errorf("it remembers %v, %v", w.claiming, w.spent)
	}
	if !w.enter(claim) {
		t.Fatal("not entered")
	}
	if _, mine := w.own(claim, nil); mine {
		t.Error("a claim without a job runs")
	}
}
