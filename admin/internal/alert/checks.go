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
func checkFailures(in Input, p Formatter) (list []Alert) {
	for _, s := range in.Services {
		if s.Failed < 3 {
			continue
		}
		one := Alert{Severity: SeverityCritical, URL: p.QueryURL("status:failed", "service:"+s.Name, in.Ended), Advice: p.T("Check the errors of the failed jobs.")}
		switch {
		case s.Success == 0:
			one.Text = p.Tf("%[2]s: none of the last %[1]s jobs succeeded.", format.Thousands(p, s.Ended), s.Name)
		case s.Ended < minEnded || s.Failed*10 <= s.Ended:
			continue
		case s.EndedBefore < minEnded:
			one.Text = p.Tf("%[3]s: %[1]s of %[2]s jobs failed.", format.Percent(p, s.Failed, s.Ended), format.Thousands(p, s.Ended), s.Name)
		default:
			one.Text = p.Tf("%[3]s: %[1]s of %[2]s jobs failed; %[4]s in the previous time range.",
				format.Percent(p, s.Failed, s.Ended), format.Thousands(p, s.Ended), s.Name, format.Percent(p, s.FailedBefore, s.EndedBefore))
			// A failure rate that has not doubled since the preceding window is a known problem.
			if s.Failed*s.EndedBefore <= 2*s.FailedBefore*s.Ended {
				one.Severity = SeverityWarning
			}
		}
		list = append(list, one)
	}
	return list
}

// checkRedis reports that Redis does not respond. It shows the alert to every reader, because the
// alert names no service.
func checkRedis(in Input, p Formatter) []Alert {
	if in.RedisDownSince.IsZero() {
		return nil
	}
	text := p.Tf("Redis has been unreachable for %s. Jobs start up to half a second later than usual; none is lost.",
		format.Span(p, max(time.Second, in.Now.Sub(in.RedisDownSince))))
	advice := p.T("Check that Redis runs, and that this process can connect to Redis.")
	return []Alert{{SeverityCritical, text, in.RedisDownSince, p.QueryURL("status:queued"), advice}}
}

// checkOpen finds jobs without a live worker, jobs that have waited too long, and stuck jobs.
func checkOpen(in Input, p Formatter) (list []Alert) {
	processes := Alive(in.Processes, in.Now)
	for _, o := range in.Open {
		kind := nawasync.Kind{Service: o.Service, Type: o.Type, Action: o.Action}.String()
		url := p.QueryURL("service:"+o.Service, "type:"+o.Type, "action:"+o.Action, "is:open")
		served := slices.ContainsFunc(processes, func(p tracker.Process) bool { return slices.Contains(p.Kinds, kind) })
		switch {
		case o.Due > 0 && !served:
			text := p.Tf("No running process handles %s. Queued jobs: %s.", kind, format.Thousands(p, o.Queued))
			list = append(list, Alert{SeverityCritical, text, o.Oldest, url, p.T("Start a worker that registers a handler for this kind.")})
		case !o.Oldest.IsZero() && in.Now.Sub(o.Oldest) > lateAfter:
			text := p.Tf("A job of %s has been waiting for %s.", kind, format.Span(p, in.Now.Sub(o.Oldest)))
			list = append(list, Alert{SeverityWarning, text, o.Oldest, url, p.T("Open the job to see what blocks it.")})
		}
		if o.Stuck > 0 {
			text := p.Tf("Jobs of %s past their deadline: %s.", kind, format.Thousands(p, o.Stuck))
			url := p.QueryURL("is:stuck", "service:"+o.Service)
			list = append(list, Alert{SeverityCritical, text, time.Time{}, url, p.T("The handlers ignore cancellation. Restart the worker.")})
		}
	}
	return list
}

// checkScopes finds paused and parked scopes.
func checkScopes(in Input, p Formatter) (list []Alert) {
	for _, s := range in.Scopes {
		text, severity := p.Tf("%s is paused by %s: %s", p.ScopeText(s.Service, s.Instance), s.By, s.Reason), SeverityWarning
		switch {
		case s.Parked && s.Reason == "": // the reader may not see all that the reason may name
			text, severity = p.Tf("%s is parked until %s.", p.ScopeText(s.Service, s.Instance), p.FullTime(s.Until)), SeverityCritical
		case s.Reason == "":
			text = p.Tf("%s is paused by %s.", p.ScopeText(s.Service, s.Instance), s.By)
		case s.Parked:
			text = p.Tf("%s is parked until %s: %s", p.ScopeText(s.Service, s.Instance), p.FullTime(s.Until), format.FirstLine(s.Reason))
			severity = SeverityCritical
		}
		list = append(list, Alert{severity, text, s.Since, p.ServiceURL(s.Service), p.T("Fix the cause, then resume the service.")})
	}
	return list
}

// checkHolds finds syncs that wait for a decision.
func checkHolds(in Input, p Formatter) (list []Alert) {
	for _, hold := range in.Holds {
		text := p.Tf("A sync of %s is held: %s of %s rows are missing from the listing. Nothing was deleted.",
			p.ScopeText(hold.Service+"/"+hold.Type, hold.Instance), format.Thousands(p, hold.Missing), format.Thousands(p, hold.Rows))
		advice := p.T("Review the missing rows, then release or reject the sync.")
		list = append(list, Alert{SeverityCritical, text, hold.CreatedAt, p.ServiceURL(hold.Service), advice})
	}
	return list
}

// checkConflicts finds unresolved conflicts.
func checkConflicts(in Input, p Formatter) []Alert {
	n := len(in.Conflicts.Jobs)
	if n == 0 {
		return nil
	}
	count := format.Thousands(p, n)
	if in.Conflicts.Older != 0 {
		count += "+"
	}
	text := p.Tf("Unresolved conflicts: %s.", count)
	advice := p.T("Open each job and choose which values to keep.")
	return []Alert{{SeverityWarning, text, in.Conflicts.Jobs[n-1].CreatedAt, p.QueryURL(in.ConflictsQuery...), advice}}
}
