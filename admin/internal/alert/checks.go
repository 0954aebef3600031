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
		one := Alert{
			Severity: SeverityCritical, Effect: p.Tf("Jobs that will not be retried automatically: %s.", format.Thousands(p, s.Failed)),
			Advice: p.T("Check the errors of the failed jobs."),
			Next:   Next{Label: p.T("Show failed jobs"), URL: p.QueryURL("status:failed", "service:"+s.Name, in.Ended)},
		}
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
	return []Alert{{
		Severity: SeverityCritical, Since: in.RedisDownSince,
		Text:   p.Tf("Redis has been unreachable for %s.", format.Span(p, max(time.Second, in.Now.Sub(in.RedisDownSince)))),
		Effect: p.T("Jobs start up to half a second late. None is lost."),
		Advice: p.T("Check that Redis runs, and that this process can connect to Redis."),
		Next:   Next{Label: p.T("Show queued jobs"), URL: p.QueryURL("status:queued")},
	}}
}

// checkOpen finds jobs without a live worker, jobs that have waited too long, and stuck jobs.
func checkOpen(in Input, p Formatter) (list []Alert) {
	processes := Alive(in.Processes, in.Now)
	for _, o := range in.Open {
		kind := nawasync.Kind{Service: o.Service, Type: o.Type, Action: o.Action}.String()
		jobs := Next{Label: p.T("Show the jobs"), URL: p.QueryURL("service:"+o.Service, "type:"+o.Type, "action:"+o.Action, "is:open")}
		served := slices.ContainsFunc(processes, func(p tracker.Process) bool { return slices.Contains(p.Kinds, kind) })
		switch {
		case o.Due > 0 && !served:
			list = append(list, Alert{
				Severity: SeverityCritical, Since: o.Oldest,
				Text:   p.Tf("No running process handles %s. Queued jobs: %s.", kind, format.Thousands(p, o.Queued)),
				Effect: p.T("The jobs wait until a process handles their kind."),
				Advice: p.T("Start a worker that registers a handler for this kind."),
				Next:   Next{Label: p.T("Show workers"), URL: p.WorkersURL()},
			})
		case !o.Oldest.IsZero() && in.Now.Sub(o.Oldest) > lateAfter:
			list = append(list, Alert{
				Severity: SeverityWarning, Since: o.Oldest,
				Text:   p.Tf("A job of %s has been waiting for %s.", kind, format.Span(p, in.Now.Sub(o.Oldest))),
				Effect: p.Tf("Jobs of this kind that are due: %s.", format.Thousands(p, o.Due)),
				Advice: p.T("Open the job to see what blocks it."),
				Next:   jobs,
			})
		}
		if o.Stuck > 0 {
			list = append(list, stuckAlerts(in, p, o)...)
		}
	}
	return list
}

// checkHolds finds syncs that wait for a decision.
func checkHolds(in Input, p Formatter) (list []Alert) {
	for _, hold := range in.Holds {
		list = append(list, Alert{
			Severity: SeverityCritical, Since: hold.CreatedAt,
			Text: p.Tf("A sync of %s is held: %s of %s rows are missing from the listing.",
				p.ScopeText(hold.Service+"/"+hold.Type, hold.Instance), format.Thousands(p, hold.Missing), format.Thousands(p, hold.Rows)),
			Effect: p.T("Nothing was deleted."),
			Advice: p.T("Review the missing rows, then release or reject the sync."),
			Next:   Next{Label: p.T("Review"), URL: p.ServiceURL(hold.Service) + "#holds"},
		})
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
	return []Alert{{
		Severity: SeverityWarning, Since: in.Conflicts.Jobs[n-1].CreatedAt,
		Text:   p.Tf("Unresolved conflicts: %s.", count),
		Effect: p.T("The objects keep the values of the remote."),
		Advice: p.T("Open each job and choose which values to keep."),
		Next:   Next{Label: p.T("Review"), URL: p.QueryURL(in.ConflictsQuery...)},
	}}
}
