package alert

import (
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/cronspec"
	"github.com/nawasara/nawasync/tracker"
)

// NextTick is when a schedule is due after a time; the zero time where its rule cannot be
// read.
func NextTick(s tracker.Schedule, after time.Time) time.Time {
	rule, err := cronspec.Parse(s.Spec, s.Timezone)
	if err != nil {
		return time.Time{}
	}
	return rule.Next(after)
}

// checkSchedules finds schedules that nobody registers, and those that are silent.
func checkSchedules(f Facts, p Page) (list []Alert) {
	for _, s := range f.Schedules {
		if s.Orphaned(f.Now) {
			text := p.Tf("Schedule %s is orphaned: no process has registered it since %s.", s.Name, p.Moment(s.SeenAt))
			list = append(list, Alert{SeverityWarning, text, s.SeenAt, p.ServiceURL(s.Service), p.T("Start the process that registers it.")})
			continue
		}
		if due := NextTick(s, s.LastTick); !due.IsZero() && f.Now.Sub(due) > lateAfter {
			text := p.Tf("Schedule %s is silent: its tick of %s has not come.", s.Name, p.Moment(due))
			list = append(list, Alert{SeverityCritical, text, due, p.ServiceURL(s.Service), p.T("Look whether a worker runs, and at its log.")})
		}
	}
	return list
}

// checkSnapshots finds tables whose last sync is older than it should be: by the schedule
// that syncs them, else by more than a day.
func checkSnapshots(f Facts, p Page) (list []Alert) {
	for _, s := range f.Successes {
		if !f.isSync(s.Service, s.Type, s.Action) {
			continue
		}
		until := s.At.Add(staleAfter)
		if schedule, found := f.scheduleOf(s); found {
			until = dueBy(schedule, s.At)
		}
		if f.Now.After(until) {
			text := p.Tf("The snapshot of %s is stale: it was last synced %s.", p.Place(s.Service+"/"+s.Type, s.Instance), p.Ago(s.At))
			list = append(list, Alert{SeverityWarning, text, s.At, p.ServiceURL(s.Service), p.T("Look at its last syncs.")})
		}
	}
	for _, s := range f.Schedules {
		if !f.succeeded(s) && s.LastJob != 0 && f.isSync(s.Service, s.Type, s.Action) && f.Now.After(dueBy(s, s.LastTick.Add(-time.Second))) {
			text := p.Tf("The snapshot of %s has never been synced, though schedule %s has ticked.", p.Place(s.Service+"/"+s.Type, s.Instance), s.Name)
			list = append(list, Alert{SeverityCritical, text, s.LastTick, p.JobURL(s.LastJob), p.T("Look at its last syncs.")})
		}
	}
	return list
}

// isSync reports whether jobs of a kind are the syncs of a repository.
func (f Facts) isSync(service, typ, action string) bool {
	return slices.ContainsFunc(f.Repositories, func(r nawasync.RepositoryInfo) bool {
		return r.Service == service && r.Type == typ && r.Action == action
	})
}

// scheduleOf is the schedule that dispatches the jobs of a kind and instance.
func (f Facts) scheduleOf(s tracker.LastSuccess) (tracker.Schedule, bool) {
	i := slices.IndexFunc(f.Schedules, func(t tracker.Schedule) bool {
		return t.Service == s.Service && t.Type == s.Type && t.Action == s.Action && t.Instance == s.Instance
	})
	if i < 0 {
		return tracker.Schedule{}, false
	}
	return f.Schedules[i], true
}

// succeeded reports whether a job of the schedule ever succeeded.
func (f Facts) succeeded(s tracker.Schedule) bool {
	return slices.ContainsFunc(f.Successes, func(l tracker.LastSuccess) bool {
		return l.Service == s.Service && l.Type == s.Type && l.Action == s.Action && l.Instance == s.Instance
	})
}

// dueBy is when a success after a time must have come: with the next tick, and a quarter
// of the time between two, for the sync itself.
func dueBy(s tracker.Schedule, after time.Time) time.Time {
	next := NextTick(s, after)
	if next.IsZero() {
		return after.Add(staleAfter)
	}
	return next.Add(max(NextTick(s, next).Sub(next)/4, 2*lateAfter))
}
