package admin

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// use enters the quota, stays for a time and leaves. It reports whether it entered.
func use(t *testing.T, q *quota, subject string, took time.Duration) bool {
	t.Helper()
	leave, after, ok := q.enter(t.Context(), subject)
	if !ok {
		if after <= 0 || after > time.Minute {
			t.Errorf("try again after %s", after)
		}
		return false
	}
	time.Sleep(took)
	leave()
	return true
}

func TestSubjectWithManyRequestsAtTheSameTimeIsRefusedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuotas(time.Now, 8).requests
		for range subjectRequests {
			_, _, ok := q.enter(t.Context(), "reader")
			if !ok {
				t.Fatal("a request within the limit was refused")
			}
		}
		begin := time.Now()
		if use(t, q, "reader", 0) || time.Since(begin) != quotaWait {
			t.Errorf("a request beyond the limit: after %s", time.Since(begin))
		}
		if !use(t, q, "operator", 0) {
			t.Error("the request of another subject was refused")
		}
	})
}

func TestRequestWaitsUntilAnotherOfItsSubjectEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuotas(time.Now, 8).exports
		go use(t, q, "reader", quotaWait/2)
		synctest.Wait()
		if !use(t, q, "reader", 0) {
			t.Error("the request did not wait for the other")
		}
	})
}

func TestSubjectThatUsesItsBudgetUpIsSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuotas(time.Now, 8).scans
		var used time.Duration
		begin := time.Now()
		for time.Since(begin) < 10*time.Minute {
			if use(t, q, "reader", time.Second) {
				used += time.Second
			}
		}
		if want := 10 * time.Minute / budgetShare; used > want+scanBudget+2*time.Second || used < want-2*time.Second {
			t.Errorf("the subject used %s, want about %s", used, want)
		}
		if !use(t, q, "operator", time.Second) {
			t.Error("another subject was refused")
		}
	})
}

func TestRequestsOneAfterAnotherUseNoBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuotas(time.Now, 8).requests
		for range 100 {
			if !use(t, q, "reader", time.Second) {
				t.Fatal("a request was refused")
			}
		}
	})
}

func TestQuotaForgetsIdleSubjects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuotas(time.Now, 8).requests
		for i := range 5000 {
			use(t, q, string(rune(i)), time.Second)
		}
		if len(q.subjects) > 1100 {
			t.Errorf("%d subjects are kept", len(q.subjects))
		}
	})
}

func TestRequestStopsWaitingWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuotas(time.Now, 8).exports
		if _, _, ok := q.enter(t.Context(), "reader"); !ok {
			t.Fatal("the first request was refused")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		if _, _, ok := q.enter(ctx, "reader"); ok || time.Since(begin) > 0 {
			t.Errorf("entered: %t after %s", ok, time.Since(begin))
		}
	})
}

func TestSearchesOfThePagesThemselvesAreNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuotas(time.Now, 4)
		ctx := context.WithValue(t.Context(), subjectKey{}, "reader")
		for range 20 { // uses the budget up
			done, err := q.beforeScan(ctx)
			if err != nil {
				break
			}
			time.Sleep(scanBudget)
			done()
		}
		if _, err := q.beforeScan(ctx); err == nil {
			t.Fatal("the budget is not used up")
		}
		done, err := q.beforeScan(ownScan(ctx))
		if err != nil {
			t.Fatalf("a search of the pages themselves: %v", err)
		}
		done()
	})
}

func TestExportsHaveTheirOwnQuota(t *testing.T) {
	t.Parallel()
	q := newQuotas(time.Now, 8)
	for path, want := range map[string]*quota{
		"/jobs.csv": q.exports, "/audit.csv": q.exports, "/jobs": q.requests, "/audit": q.requests, "/services/x.csv": q.requests,
	} {
		if q.of(path) != want {
			t.Errorf("%s has the other quota", path)
		}
	}
}
