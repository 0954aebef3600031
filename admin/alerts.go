package admin

import (
	"context"
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// alerts reads what alerts are found in besides the figures of health, and finds them.
func (p *request) alerts(ctx context.Context, h *health, open []tracker.OpenJobs, successes []tracker.LastSuccess) ([]alert.Alert, error) {
	facts := alert.Facts{
		Now: p.now, Open: open, Successes: successes, Repositories: p.h.engine.Repositories(), Ended: h.endedTerm(p),
		ConflictsQuery: []string{"status:conflict", "-is:repaired", "-class:" + string(fault.ClassHeld)},
	}
	for _, s := range h.Services {
		facts.Services = append(facts.Services, alert.Service{
			Name: s.Service, Ended: s.Ended, Success: s.Success, Failed: s.Failed, EndedBefore: s.before.Ended, FailedBefore: s.before.Failed,
		})
	}
	hidden := func(service string) bool { return !p.viewer.may(PermissionView, service) }
	var err error
	if facts.Processes, err = p.store().Processes(ctx); err != nil {
		return nil, err
	}
	if facts.Scopes, err = p.store().Scopes(ctx); err != nil {
		return nil, err
	}
	facts.Scopes = slices.DeleteFunc(facts.Scopes, func(s tracker.Scope) bool { return hidden(s.Service) })
	if facts.Holds, err = p.store().Holds(ctx, "", "", true, 100); err != nil {
		return nil, err
	}
	facts.Holds = slices.DeleteFunc(facts.Holds, func(h tracker.Hold) bool { return hidden(h.Service) })
	if facts.Schedules, err = p.store().Schedules(ctx); err != nil {
		return nil, err
	}
	facts.Schedules = slices.DeleteFunc(facts.Schedules, func(s tracker.Schedule) bool { return hidden(s.Service) })
	facts.Conflicts, err = p.store().Search(ctx, tracker.Search{Services: p.viewer.services(), Terms: []tracker.Term{
		{Field: tracker.FieldStatus, Values: []string{string(tracker.StatusConflict)}},
		{Field: tracker.FieldRepaired, Not: true},
		{Field: tracker.FieldClass, Values: []string{string(fault.ClassHeld)}, Not: true}, // these are shown by themselves
	}, Limit: 100})
	if err != nil {
		return nil, err
	}
	return alert.Find(facts, alertRequest{p}), nil
}

// alertRequest is a page as alerts need it.
type alertRequest struct{ *request }

func (p alertRequest) Moment(t time.Time) string             { return p.fullTime(t) }
func (p alertRequest) Ago(t time.Time) string                { return p.timeAgo(t) }
func (p alertRequest) Place(service, instance string) string { return p.scopeText(service, instance) }
func (p alertRequest) QueryURL(terms ...string) string       { return p.queryURL(terms...) }
func (p alertRequest) ServiceURL(service string) string      { return p.serviceURL(service) }
func (p alertRequest) JobURL(id int64) string                { return p.jobURL(id) }
