package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestQuickstartDispatchesRetriesAndLists(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), t.TempDir(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"dispatched job 1 for ann@example.org, by user:7", "event: succeeded", "attempt 1: retry mail server: 503",
		"attempt 2: success",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestQuotaIsSetOnTheSecondAttempt(t *testing.T) {
	t.Parallel()
	first := nawasynctest.Work(t, setQuota{}, SetQuota{Email: "ann@example.org", QuotaMB: 500})
	if first.Outcome != tracker.OutcomeRetry || first.Err == nil {
		t.Errorf("the first attempt ended with %+v, want a retry with an error", first)
	}
	engine := nawasynctest.NewEngine(t)
	if _, err := engine.Dispatch(t.Context(), SetQuota{Email: "ann@example.org", QuotaMB: 500}, nawasync.Options{By: "user:7"}); err != nil {
		t.Fatal(err)
	}
	job := nawasynctest.RequireDispatched(t, engine, SetQuota{Email: "ann@example.org", QuotaMB: 500})
	if job.TriggeredBy != "user:7" {
		t.Errorf("job %+v, want it dispatched by user:7", job)
	}
	if err := errors.Join(nawasync.Register(engine, setQuota{}), engine.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	if ended := nawasynctest.WaitEnded(t, engine, job.ID); ended.Status != tracker.StatusSuccess || ended.Attempt != 2 {
		t.Errorf("job %+v, want success on attempt 2", ended)
	}
}
