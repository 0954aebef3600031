package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

// waitStep is how long a call that waits for a budget waits between two looks.
const waitStep = 250 * time.Millisecond

// takeBudget takes one call from the budgets of a class, first of the calls that are reserved for the
// job of ctx. It waits up to Config.MaxWait for one. Without one it returns an error with
// fault.ClassRateLimited, which says when to try again.
func (r *Remote) takeBudget(ctx context.Context, scope, class string) error {
	b, limits, spender := r.budgets, r.budgets.of(scope, class), remotecall.SpenderOf(ctx)
	var reserved *remotecall.Reserved
	if job := remotecall.From(ctx); job != nil && b.counted(class) == "" {
		reserved = job.Reserved
	}
	for waited := time.Duration(0); ; {
		taken, back := reserved.Take(scope, 1)
		if taken == 0 {
			back = nil
		}
		grant, kept := b.take(ctx, limits, spender, 1, 1, back)
		if grant.Jobs > 0 {
			return nil
		}
		if kept {
			reserved.PutBack(taken)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if waited+grant.Wait > b.maxWait {
			return r.noBudget(scope, limits, grant.Wait)
		}
		step := min(grant.Wait, waitStep)
		timer := time.NewTimer(step)
		select {
		case <-timer.C:
			waited += step
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// take takes the calls of up to jobs jobs from all limits. back tells where calls are counted that are
// given back for them; kept reports that they were not.
func (b *budgets) take(
	ctx context.Context, limits []*limit, s remotecall.Spender, calls, jobs int, back []int64,
) (grant remotecall.Grant, kept bool) {
	grant = remotecall.Grant{Jobs: jobs, Calls: calls}
	refused := func(wait time.Duration, from int) (remotecall.Grant, bool) {
		giveBackAt(ctx, limits, s, grant.At, grant.Jobs*calls)
		if from > 0 && from < len(back) {
			giveBackAt(ctx, limits[from:], s, back[from:], calls)
		}
		return remotecall.Grant{Wait: wait}, from == 0
	}
	for i, l := range limits {
		if wait := b.silentFor(l.scope); wait > 0 {
			return refused(wait, i)
		}
		q := request{Spender: s, Calls: calls, Jobs: grant.Jobs}
		if i < len(back) {
			q.Back = []spent{{back[i], s, calls}}
		}
		out, err := l.do(ctx, q)
		switch {
		case err != nil:
			return refused(0, i)
		case out.jobs == 0:
			return refused(time.Duration(max(out.wait, 1))*time.Millisecond, i+1)
		}
		giveBackAt(ctx, limits, s, grant.At, (grant.Jobs-out.jobs)*calls)
		grant.Jobs, grant.At = out.jobs, append(grant.At, out.part)
	}
	return grant, false
}

// giveBackAt gives back calls that limits count in parts of their windows, also if ctx has ended.
func giveBackAt(ctx context.Context, limits []*limit, s remotecall.Spender, at []int64, calls int) {
	if calls == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	for i, part := range at {
		_, _ = limits[i].do(ctx, request{Back: []spent{{part, s, calls}}})
	}
}

// noBudget returns the error of a call that was not made.
func (r *Remote) noBudget(scope string, limits []*limit, wait time.Duration) error {
	if until := r.silentUntil(scope); !until.IsZero() {
		err := fmt.Errorf("%s asks for no calls of limit scope %q until %s; the call was not made", r.config.Service, scope, until.Format(time.TimeOnly))
		return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: wait, Err: err}
	}
	text := fmt.Sprintf("the budget of %s for limit scope %q is used up; the call was not made", r.config.Service, scope)
	if l := limits[0]; l.terms.Calls > 0 {
		text = fmt.Sprintf(
			"the budget of %s for limit scope %q, %d calls in %s, is used up; the call was not made",
			r.config.Service,
			scope,
			l.budget.Calls,
			l.budget.Window,
		)
	}
	return &fault.Error{
		Class:      fault.ClassRateLimited,
		RetryAfter: wait,
		Err:        &remotecall.NoBudgetError{Scope: scope, Wait: min(wait, maxReserveWait), Text: text},
	}
}
