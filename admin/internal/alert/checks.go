package alert

import (
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// checkFailures finds services with at least 3 failed jobs and no success, and services with at
// least 3 failed jobs and at least minEnded ended jobs of which more than 10 % failed.
func checkFailures(in Input, p Page) (list []Alert) {
	for _, s := range in.Services {
		if s.Failed < 3 {
			continue
		}
		one := Alert{Severity: SeverityCritical, URL: p.QueryURL("status:failed", "service:"+s.Name, in.Ended), Advice: p.T("Look at their errors.")}
		switch {
		case s.Success == 0:
			one.Text = p.Tf("None of the last %s jobs of %s succeeded.", format.Thousands(s.Ended), s.Name)
		case s.Ended < minEnded || s.Failed*10 <= s.Ended:
			continue
		case s.EndedBefore < minEnded:
			one.Text = p.Tf("%s of %s jobs of %s failed.", format.Percent(s.Failed, s.Ended), format.Thousands(s.Ended), s.Name)
		default:
			one.Text = p.Tf("%s of %s jobs of %s failed; the time before it was %s.",
				format.Percent(s.Failed, s.Ended), format.Thousands(s.Ended), s.Name, format.Percent(s.FailedBefore, s.EndedBefore))
			// A failure rate that has not doubled since the window before is a known problem.
			if s.Failed*s.EndedBefore <= 2*s.FailedBefore*s.Ended {
				one.Severity = SeverityWarning
			}
		}
		list = append(list, one)
	}
	return list
}

// checkOpen finds jobs without a live worker, jobs that have waited too long, and stuck jobs.
func checkOpen(in Input, p Page) (list []Alert) {
	processes := Alive(in.Processes, in.Now)
	for _, o := range in.Open {
		kind := nawasync.Kind{Service: o.Service, Type: o.Type, Action: o.Action}.String()
		url := p.QueryURL("service:"+o.Service, "type:"+o.Type, "action:"+o.Action, "is:open")
		served := slices.ContainsFunc(processes, func(p tracker.Process) bool { return slices.Contains(p.Kinds, kind) })
		switch {
		case o.Due > 0 && !served:
			text := p.Tf("No live process serves %s; jobs that wait: %s.", kind, format.Thousands(o.Queued))
			list = append(list, Alert{SeverityCritical, text, o.Oldest, url, p.T("Start a worker that registers the kind.")})
		case !o.Oldest.IsZero() && in.Now.Sub(o.Oldest) > lateAfter:
			text := p.Tf("A job of %s has waited %s.", kind, format.Span(in.Now.Sub(o.Oldest)))
			list = append(list, Alert{SeverityWarning, text, o.Oldest, url, p.T("Look at what it waits for.")})
		}
		if o.Stuck > 0 {
			text := p.Tf("Jobs of %s that run past their deadline: %s.", kind, format.Thousands(o.Stuck))
			url := p.QueryURL("is:stuck", "service:"+o.Service)
			list = append(list, Alert{SeverityCritical, text, time.Time{}, url, p.T("Their handlers ignore their context: restart that worker.")})
		}
	}
	return list
}

// checkScopes finds paused and parked scopes.
func checkScopes(in Input, p Page) (list []Alert) {
	for _, s := range in.Scopes {
		text, severity := p.Tf("%s is paused by %s: %s", p.ScopeText(s.Service, s.Instance), s.By, s.Reason), SeverityWarning
		if s.Parked {
			text = p.Tf("%s is parked until %s: %s", p.ScopeText(s.Service, s.Instance), p.FullTime(s.Until), format.FirstLine(s.Reason))
			severity = SeverityCritical
		}
		list = append(list, Alert{severity, text, s.Since, p.ServiceURL(s.Service), p.T("Mend the cause, then resume it.")})
	}
	return list
}

// checkHolds finds syncs that wait for a decision.
func checkHolds(in Input, p Page) (list []Alert) {
	for _, hold := range in.Holds {
		text := p.Tf("A sync of %s is held: %s of %s rows were not in the listing.",
			p.ScopeText(hold.Service+"/"+hold.Type, hold.Instance), format.Thousands(hold.Missing), format.Thousands(hold.Rows))
		list = append(list, Alert{SeverityCritical, text, hold.CreatedAt, p.ServiceURL(hold.Service), p.T("Release or reject it.")})
	}
	return list
}

// checkConflicts finds unresolved conflicts.
func checkConflicts(in Input, p Page) []Alert {
	n := len(in.Conflicts.Jobs)
	if n == 0 {
		return nil
	}
	count := format.Thousands(n)
	if in.Conflicts.Older != 0 {
		count += "+"
	}
	text := p.Tf("Conflicts that wait for an answer: %s.", count)
	return []Alert{{SeverityWarning, text, in.Conflicts.Jobs[n-1].CreatedAt, p.QueryURL(in.ConflictsQuery...), p.T("Compare, then answer each.")}}
}
