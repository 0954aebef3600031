package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// findAlerts reads the schedules and conflicts, and derives the alerts from them and from what o has read. It returns
// an error if o lacks a part, because alerts would be missing or wrong.
func (p *request) findAlerts(ctx context.Context, o *overview) ([]alert.Alert, error) {
	for _, part := range []part{partCounts, partOpen, partSuccesses, partState} {
		if err := o.failed[part]; err != nil {
			return []alert.Alert{}, fmt.Errorf("check for problems: %w", err)
		}
	}
	in := alert.Input{
		Now: p.now, Open: o.data.open, Successes: o.data.successes, Repositories: p.h.engine.Repositories(), Ended: o.endedTerm(p),
		Processes: o.data.processes, Scopes: o.data.scopes, Holds: o.data.holds, Listed: o.data.listed,
		ConflictsQuery: []string{"status:conflict", "-is:repaired", "-is:retried", "-class:" + string(fault.ClassHeld)},
	}
	for _, s := range o.Services {
		in.Services = append(in.Services, alert.Service{
			Name: s.Service, Ended: s.Ended, Success: s.Success, Failed: s.Failed, EndedBefore: s.before.Ended, FailedBefore: s.before.Failed,
		})
	}
	var err error
	if in.Schedules, err = p.store().Schedules(ctx); err != nil {
		return []alert.Alert{}, err
	}
	in.Conflicts, err = p.store().Search(ownScan(ctx), tracker.Search{Terms: []tracker.Term{
		{Field: tracker.FieldStatus, Values: []string{string(tracker.StatusConflict)}},
		{Field: tracker.FieldRepaired, Not: true},
		{Field: tracker.FieldRetried, Not: true},
		{Field: tracker.FieldClass, Values: []string{string(fault.ClassHeld)}, Not: true}, // checkHolds reports held syncs
	}, Limit: 100})
	if err != nil {
		return []alert.Alert{}, err
	}
	if in.Incomplete, err = p.incompleteSyncs(ctx, in); err != nil {
		return []alert.Alert{}, err
	}
	if in.Stuck, in.Workers, err = p.stuckJobs(ctx, in.Open); err != nil {
		return []alert.Alert{}, err
	}
	in.RedisDownSince = p.h.engine.RedisStatus(ctx).DownSince
	return alert.Find(in, alertPage{p}), nil
}

// stuckJobs returns the newest jobs past their deadline, and all processes, if open has such jobs.
func (p *request) stuckJobs(ctx context.Context, open []tracker.OpenJobs) ([]*tracker.Job, []tracker.Process, error) {
	if !slices.ContainsFunc(open, func(o tracker.OpenJobs) bool { return o.Stuck > 0 }) {
		return nil, nil, nil
	}
	found, err := p.store().Search(ownScan(ctx), tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldStuck}}, Limit: 100})
	if err != nil {
		return nil, nil, err
	}
	processes, err := p.h.reader.Processes(ctx) // not p.store, which leaves out what hinders them
	return found.Jobs, processes, err
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
func (p alertPage) WorkersURL() string                        { return p.url("/workers") }
