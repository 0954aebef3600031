package alert

import (
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/cronspec"
	"github.com/nawasara/nawasync/tracker"
)

// NextTick returns when a schedule is next due after a time. It returns the zero time if the spec is
// invalid.
func NextTick(s tracker.Schedule, after time.Time) time.Time {
	rule, err := cronspec.Parse(s.Spec, s.Timezone)
	if err != nil {
		return time.Time{}
	}
	return rule.Next(after)
}

// checkSchedules finds schedules that no process registers, and schedules whose last tick is late.
func checkSchedules(in Input, p Formatter) (list []Alert) {
	for _, s := range in.Schedules {
		if s.Orphaned(in.Now) {
			text := p.Tf("Schedule %s is orphaned: no process has registered the schedule since %s.", s.Name, p.FullTime(s.SeenAt))
			list = append(list, Alert{
				Severity: SeverityWarning, Text: text, Since: s.SeenAt, Effect: p.T("The schedule dispatches no jobs."),
				Advice: p.T("Start a process that registers the schedule, or remove the schedule."), Next: serviceStep(p, s.Service),
			})
			continue
		}
		if due := NextTick(s, s.LastTick); !due.IsZero() && in.Now.Sub(due) > lateAfter {
			text := p.Tf("Schedule %s is late: no job was dispatched at %s.", s.Name, p.FullTime(due))
			list = append(list, Alert{
				Severity: SeverityCritical, Text: text, Since: due, Effect: p.T("The schedule dispatches no jobs."),
				Advice: p.T("Check that a worker is running, and read its log."), Next: Next{Label: p.T("Show workers"), URL: p.WorkersURL()},
			})
		}
	}
	return list
}

// checkSnapshots finds tables whose last successful sync is too old, and tables whose schedule has
// ticked without any successful sync. With a schedule the limit is dueBy, without one staleAfter.
func checkSnapshots(in Input, p Formatter) (list []Alert) {
	for _, s := range in.Successes {
		if !in.IsSync(s.Service, s.Type, s.Action) || in.Gone(s) {
			continue
		}
		if in.Now.After(in.StaleAt(s)) {
			text := p.Tf("%s is stale: the last successful sync was %s.", p.ScopeText(s.Service+"/"+s.Type, s.Instance), p.TimeAgo(s.At))
			list = append(list, Alert{
				Severity: SeverityWarning, Text: text, Since: s.At, Effect: p.T("The snapshot may differ from the remote."),
				Advice: p.T("Check the latest syncs."), Next: serviceStep(p, s.Service),
			})
		}
	}
	for _, s := range in.Schedules {
		if !in.succeeded(s) && s.LastJob != 0 && in.IsSync(s.Service, s.Type, s.Action) && in.Now.After(dueBy(s, s.LastTick.Add(-time.Second))) {
			text := p.Tf("%s has never been synced, although schedule %s has dispatched jobs.", p.ScopeText(s.Service+"/"+s.Type, s.Instance), s.Name)
			list = append(list, Alert{
				Severity: SeverityCritical, Text: text, Since: s.LastTick, Effect: p.T("The snapshot lacks the objects of the remote."),
				Advice: p.T("Check the latest syncs."), Next: Next{Label: p.T("Show the last sync"), URL: p.JobURL(s.LastJob)},
			})
		}
	}
	return append(list, checkListed(in, p)...)
}

// StaleAt returns from when on a table is stale that was last synced by s. It uses the schedules only.
func (in Input) StaleAt(s tracker.LastSuccess) time.Time {
	if schedule, found := in.scheduleOf(s); found {
		return dueBy(schedule, s.At)
	}
	return s.At.Add(staleAfter)
}

// serviceStep returns the step to the page of a service.
func serviceStep(p Formatter, service string) Next {
	return Next{Label: p.T("Show the service"), URL: p.ServiceURL(service)}
}

// IsSync reports whether jobs of a kind sync a repository.
func (in Input) IsSync(service, typ, action string) bool {
	return slices.ContainsFunc(in.Repositories, func(r nawasync.RepositoryInfo) bool {
		return r.Service == service && r.Type == typ && r.Action == action
	})
}

// scheduleOf returns the schedule that dispatches jobs of the same kind and instance as s.
func (in Input) scheduleOf(s tracker.LastSuccess) (tracker.Schedule, bool) {
	find := func(instance string) int {
		return slices.IndexFunc(in.Schedules, func(t tracker.Schedule) bool {
			return t.Service == s.Service && t.Type == s.Type && t.Action == s.Action && t.Instance == instance
		})
	}
	i := find(s.Instance)
	if i < 0 && in.follows(s.Service, s.Type) {
		i = find("") // the schedule of all scopes
	}
	if i < 0 {
		return tracker.Schedule{}, false
	}
	return in.Schedules[i], true
}

// succeeded reports whether a job of the schedule's kind and instance ever succeeded.
func (in Input) succeeded(s tracker.Schedule) bool {
	return slices.ContainsFunc(in.Successes, func(l tracker.LastSuccess) bool {
		return l.Service == s.Service && l.Type == s.Type && l.Action == s.Action && l.Instance == s.Instance
	})
}

// dueBy returns the time from which the next successful sync counts as late: the first tick after
// the given time, plus a quarter of the schedule's interval or 2*lateAfter, whichever is longer.
func dueBy(s tracker.Schedule, after time.Time) time.Time {
	next := NextTick(s, after)
	if next.IsZero() {
		return after.Add(staleAfter)
	}
	return next.Add(max(NextTick(s, next).Sub(next)/4, 2*lateAfter))
}
