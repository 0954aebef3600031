package admin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// findAlerts reads the processes, pauses, holds, schedules and conflicts, and derives the alerts
// from them and from h.
func (p *request) findAlerts(ctx context.Context, h *health, open []tracker.OpenJobs, successes []tracker.LastSuccess) ([]alert.Alert, error) {
	in := alert.Input{
		Now: p.now, Open: open, Successes: successes, Repositories: p.h.engine.Repositories(), Ended: h.endedTerm(p),
		ConflictsQuery: []string{"status:conflict", "-is:repaired", "-is:retried", "-class:" + string(fault.ClassHeld)},
	}
	for _, s := range h.Services {
		in.Services = append(in.Services, alert.Service{
			Name: s.Service, Ended: s.Ended, Success: s.Success, Failed: s.Failed, EndedBefore: s.before.Ended, FailedBefore: s.before.Failed,
		})
	}
	var err error
	if in.Processes, err = p.store().Processes(ctx); err != nil {
		return nil, err
	}
	if in.Scopes, err = p.store().Scopes(ctx); err != nil {
		return nil, err
	}
	if in.Holds, err = p.store().Holds(ctx, "", "", true, 100); err != nil {
		return nil, err
	}
	if in.Schedules, err = p.store().Schedules(ctx); err != nil {
		return nil, err
	}
	in.Conflicts, err = p.store().Search(ownScan(ctx), tracker.Search{Terms: []tracker.Term{
		{Field: tracker.FieldStatus, Values: []string{string(tracker.StatusConflict)}},
		{Field: tracker.FieldRepaired, Not: true},
		{Field: tracker.FieldRetried, Not: true},
		{Field: tracker.FieldClass, Values: []string{string(fault.ClassHeld)}, Not: true}, // checkHolds reports held syncs
	}, Limit: 100})
	if err != nil {
		return nil, err
	}
	if in.Incomplete, err = p.incompleteSyncs(ctx, in); err != nil {
		return nil, err
	}
	in.RedisDownSince = p.h.engine.RedisStatus(ctx).DownSince
	return alert.Find(in, alertPage{p}), nil
}

// incompleteSyncs returns the results of the last successful syncs that left something out.
func (p *request) incompleteSyncs(ctx context.Context, in alert.Input) (map[int64]nawasync.SyncResult, error) {
	var ids []int64
	for _, s := range in.Successes {
		if in.IsSync(s.Service, s.Type, s.Action) {
			ids = append(ids, s.JobID)
		}
	}
	texts, err := p.store().IncompleteSyncs(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := map[int64]nawasync.SyncResult{}
	for id, text := range texts {
		var result nawasync.SyncResult
		if json.Unmarshal(text, &result) == nil {
			found[id] = result
		}
	}
	return found, nil
}

// alertPage implements alert.Page.
type alertPage struct{ *request }

func (p alertPage) FullTime(t time.Time) string               { return p.fullTime(t) }
func (p alertPage) TimeAgo(t time.Time) string                { return p.timeAgo(t) }
func (p alertPage) ScopeText(service, instance string) string { return p.scopeText(service, instance) }
func (p alertPage) QueryURL(terms ...string) string           { return p.queryURL(terms...) }
func (p alertPage) ServiceURL(service string) string          { return p.serviceURL(service) }
func (p alertPage) JobURL(id int64) string                    { return p.jobURL(id) }
