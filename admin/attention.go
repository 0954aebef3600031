package admin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// attention is something that a person should look at.
type attention struct {
	Severity int       `json:"severity"` // 2 is broken, 1 is doubtful
	Text     string    `json:"text"`
	Since    time.Time `json:"since,omitzero"`
	url      string
	Advice   string `json:"advice"`
}

// The limits above which something wants attention.
const (
	lateAfter    = 5 * time.Minute // a due job waits
	staleAfter   = 26 * time.Hour  // a table was synced that no schedule syncs
	maxAttention = 20
)

// look ranks what wants attention.
func (p *page) look(ctx context.Context, out *health, open []tracker.OpenJobs, successes []tracker.LastSuccess) error {
	schedules, err := p.store().Schedules(ctx)
	if err != nil {
		return err
	}
	schedules = slices.DeleteFunc(schedules, func(s tracker.Schedule) bool { return !p.viewer.may(PermissionView, s.Service) })
	for _, part := range []func(context.Context) ([]attention, error){
		func(ctx context.Context) ([]attention, error) { return p.lookAtOpen(ctx, open) },
		p.lookAtScopes, p.lookAtHolds, p.lookAtConflicts,
	} {
		found, err := part(ctx)
		if err != nil {
			return err
		}
		out.Attention = append(out.Attention, found...)
	}
	out.Attention = append(out.Attention, p.lookAtSchedules(schedules)...)
	out.Attention = append(out.Attention, p.lookAtSnapshots(schedules, successes)...)
	for _, s := range out.Services {
		out.Attention = append(out.Attention, p.lookAtFailures(s, out.ended(p))...)
	}
	slices.SortStableFunc(out.Attention, func(a, b attention) int { return cmp.Compare(b.Severity, a.Severity) })
	out.Attention = out.Attention[:min(len(out.Attention), maxAttention)]
	return nil
}

// lookAtFailures finds a service of whose jobs many fail, against the same length of
// time before; where few have ended, one of which none succeeds.
func (p *page) lookAtFailures(s serviceHealth, ended string) []attention {
	if s.Failed < 3 {
		return nil
	}
	one := attention{Severity: 2, url: p.queryURL("status:failed", "service:"+s.Service, ended), Advice: p.T("Look at their errors.")}
	switch {
	case s.Success == 0:
		one.Text = p.Tf("None of the last %s jobs of %s succeeded.", thousands(s.Ended), s.Service)
	case s.Ended < enough || s.Failed*10 <= s.Ended:
		return nil
	case s.before.Ended < enough:
		one.Text = p.Tf("%s of %s jobs of %s failed.", percent(s.Failed, s.Ended), thousands(s.Ended), s.Service)
	default:
		one.Text = p.Tf("%s of %s jobs of %s failed; the time before it was %s.", percent(s.Failed, s.Ended), thousands(s.Ended), s.Service, percent(s.before.Failed, s.before.Ended))
		// What has long been so is no spike: it wants mending, not somebody woken.
		if s.Failed*s.before.Ended <= 2*s.before.Failed*s.Ended {
			one.Severity = 1
		}
	}
	return []attention{one}
}

// lookAtOpen finds jobs that nobody serves, that wait long, or that do not end.
func (p *page) lookAtOpen(ctx context.Context, open []tracker.OpenJobs) (list []attention, err error) {
	processes, err := p.store().Processes(ctx)
	if err != nil {
		return nil, err
	}
	processes = alive(processes, p.now)
	for _, o := range open {
		kind := nawasync.Kind{Service: o.Service, Type: o.Type, Action: o.Action}.String()
		query := p.queryURL("service:"+o.Service, "type:"+o.Type, "action:"+o.Action, "is:open")
		switch {
		case o.Due > 0 && !slices.ContainsFunc(processes, func(p tracker.Process) bool { return slices.Contains(p.Kinds, kind) }):
			list = append(list, attention{2, p.Tf("No live process serves %s; jobs that wait: %s.", kind, thousands(o.Queued)), o.Oldest, query, p.T("Start a worker that registers the kind.")})
		case !o.Oldest.IsZero() && p.now.Sub(o.Oldest) > lateAfter:
			list = append(list, attention{1, p.Tf("A job of %s has waited %s.", kind, span(p.now.Sub(o.Oldest))), o.Oldest, query, p.T("Look at what it waits for.")})
		}
		if o.Stuck > 0 {
			list = append(list, attention{2, p.Tf("Jobs of %s that run past their deadline: %s.", kind, thousands(o.Stuck)), time.Time{}, p.queryURL("is:stuck", "service:"+o.Service), p.T("Their handlers ignore their context: restart that worker.")})
		}
	}
	return list, nil
}

func (p *page) lookAtScopes(ctx context.Context) (list []attention, err error) {
	scopes, err := p.store().Scopes(ctx)
	for _, s := range scopes {
		if !p.viewer.may(PermissionView, s.Service) {
			continue
		}
		text, severity := p.Tf("%s is paused by %s: %s", p.place(s.Service, s.Instance), s.By, s.Reason), 1
		if s.Parked {
			text, severity = p.Tf("%s is parked until %s: %s", p.place(s.Service, s.Instance), p.moment(s.Until), firstLine(s.Reason)), 2
		}
		list = append(list, attention{severity, text, s.Since, p.serviceURL(s.Service), p.T("Mend the cause, then resume it.")})
	}
	return list, err
}

func (p *page) lookAtHolds(ctx context.Context) (list []attention, err error) {
	holds, err := p.store().Holds(ctx, "", "", true, 100)
	for _, hold := range holds {
		if p.viewer.may(PermissionView, hold.Service) {
			text := p.Tf("A sync of %s is held: %s of %s rows were not in the listing.", p.place(hold.Service+"/"+hold.Type, hold.Instance), thousands(hold.Absent), thousands(hold.Known))
			list = append(list, attention{2, text, hold.CreatedAt, p.serviceURL(hold.Service), p.T("Release or reject it.")})
		}
	}
	return list, err
}

func (p *page) lookAtSchedules(schedules []tracker.Schedule) (list []attention) {
	for _, s := range schedules {
		if s.Orphaned(p.now) {
			list = append(list, attention{1, p.Tf("Schedule %s is orphaned: no process has registered it since %s.", s.Name, p.moment(s.SeenAt)), s.SeenAt, p.serviceURL(s.Service), p.T("Start the process that registers it.")})
		} else if due := nextTick(s, s.LastTick); !due.IsZero() && p.now.Sub(due) > lateAfter {
			list = append(list, attention{2, p.Tf("Schedule %s is silent: its tick of %s has not come.", s.Name, p.moment(due)), due, p.serviceURL(s.Service), p.T("Look whether a worker runs, and at its log.")})
		}
	}
	return list
}

// lookAtSnapshots finds tables whose last sync is older than it should be: by the
// schedule that syncs them, else by more than a day.
func (p *page) lookAtSnapshots(schedules []tracker.Schedule, successes []tracker.LastSuccess) (list []attention) {
	syncs := func(service, typ, action string) bool {
		return slices.ContainsFunc(p.h.engine.Repositories(), func(t nawasync.RepositoryInfo) bool {
			return t.Service == service && t.Type == typ && t.Action == action
		})
	}
	scheduled := func(s tracker.LastSuccess) (tracker.Schedule, bool) {
		i := slices.IndexFunc(schedules, func(t tracker.Schedule) bool {
			return t.Service == s.Service && t.Type == s.Type && t.Action == s.Action && t.Instance == s.Instance
		})
		if i < 0 {
			return tracker.Schedule{}, false
		}
		return schedules[i], true
	}
	for _, s := range successes {
		if !syncs(s.Service, s.Type, s.Action) {
			continue
		}
		until := s.At.Add(staleAfter)
		if schedule, found := scheduled(s); found {
			until = dueBy(schedule, s.At)
		}
		if p.now.After(until) {
			list = append(list, attention{1, p.Tf("The snapshot of %s is stale: it was last synced %s.", p.place(s.Service+"/"+s.Type, s.Instance), p.ago(s.At)), s.At, p.serviceURL(s.Service), p.T("Look at its last syncs.")})
		}
	}
	for _, s := range schedules {
		ever := slices.ContainsFunc(successes, func(l tracker.LastSuccess) bool {
			return l.Service == s.Service && l.Type == s.Type && l.Action == s.Action && l.Instance == s.Instance
		})
		if !ever && s.LastJob != 0 && syncs(s.Service, s.Type, s.Action) && p.now.After(dueBy(s, s.LastTick.Add(-time.Second))) {
			list = append(list, attention{2, p.Tf("The snapshot of %s has never been synced, though schedule %s has ticked.", p.place(s.Service+"/"+s.Type, s.Instance), s.Name), s.LastTick, p.jobURL(s.LastJob), p.T("Look at its last syncs.")})
		}
	}
	return list
}

// dueBy is when a success after a time must have come: with the next tick, and a
// quarter of the time between two, for the sync itself.
func dueBy(s tracker.Schedule, after time.Time) time.Time {
	next := nextTick(s, after)
	if next.IsZero() {
		return after.Add(staleAfter)
	}
	return next.Add(max(nextTick(s, next).Sub(next)/4, 2*lateAfter))
}

func (p *page) lookAtConflicts(ctx context.Context) ([]attention, error) {
	conflicts, err := p.store().Search(ctx, tracker.Search{Services: p.viewer.services(), Terms: []tracker.Term{
		{Field: tracker.FieldStatus, Values: []string{string(tracker.Conflict)}},
		{Field: tracker.FieldRepaired, Not: true},
		{Field: tracker.FieldClass, Values: []string{string(fault.Held)}, Not: true}, // these are shown by themselves
	}, Limit: 100})
	n := len(conflicts.Jobs)
	if err != nil || n == 0 {
		return nil, err
	}
	count := thousands(n)
	if conflicts.Older != 0 {
		count += "+"
	}
	return []attention{{1, p.Tf("Conflicts that wait for an answer: %s.", count), conflicts.Jobs[n-1].CreatedAt, p.queryURL("status:conflict", "-is:repaired", "-class:"+string(fault.Held)), p.T("Compare, then answer each.")}}, nil
}
