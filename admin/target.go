package admin

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// targetView is everything that was ever done to one object.
type targetView struct {
	*request
	service, typ, instance, id string
	events                     []timelineEvent
	older                      int64
	oldest                     time.Time // of the jobs, where there are older ones
}

// timelineEvent is one line of a timeline: a job, an operator's act, or what a sync found.
type timelineEvent struct {
	at     time.Time
	job    *tracker.Job
	entry  *tracker.AuditEntry
	change *tracker.Change
}

func (p *request) target() error {
	q := p.r.URL.Query()
	v := &targetView{request: p, service: q.Get("service"), typ: q.Get("type"), instance: q.Get("instance"), id: q.Get("id")}
	if v.service == "" || v.typ == "" || v.id == "" || !p.viewer.may(PermissionView, v.service) {
		return errNotFound
	}
	p.title, p.section = v.id, "jobs"
	target := tracker.Target{Service: v.service, Type: v.typ, Instance: v.instance, ID: v.id}
	ctx, before := p.r.Context(), p.number("before")
	results, err := p.store().Search(ctx, tracker.Search{Targets: []tracker.Target{target}, Services: []string{v.service}, Before: before, Limit: 50})
	if err != nil {
		return err
	}
	// A page's acts and changes are those since its oldest job, up to those of the page before.
	filter := tracker.AuditFilter{Target: target, Services: []string{v.service}, Limit: 500}
	if upTo := p.number("upto"); upTo > 0 {
		filter.Until = time.UnixMicro(upTo)
	}
	v.older = results.Older
	for _, job := range results.Jobs {
		v.events = append(v.events, timelineEvent{at: job.CreatedAt, job: job})
		if v.older != 0 {
			filter.Since, v.oldest = job.CreatedAt, job.CreatedAt
		}
	}
	acts, err := p.store().AuditLog(ctx, filter)
	if err != nil {
		return err
	}
	for _, act := range acts {
		v.events = append(v.events, timelineEvent{at: act.At, entry: &act})
	}
	changes, err := p.store().Changes(ctx, target, filter.Since, filter.Until, 500)
	if err != nil {
		return err
	}
	for _, change := range changes {
		v.events = append(v.events, timelineEvent{at: change.At, change: &change})
	}
	slices.SortStableFunc(v.events, func(a, b timelineEvent) int { return b.at.Compare(a.at) })
	return p.render(targetPage(v))
}

func (v *targetView) olderURL() string {
	return v.url("/target", "service", v.service, "type", v.typ, "instance", v.instance, "id", v.id, "before", strconv.FormatInt(v.older, 10), "upto",
		strconv.FormatInt(v.oldest.UnixMicro(), 10))
}

// changeText is what a sync found, by sign, words and colour.
func (p *request) changeText(c *tracker.Change) (sign, words, tone string) {
	switch c.Kind {
	case tracker.ChangeAppeared:
		return "+", p.T("a sync found it new"), "good"
	case tracker.ChangeDrifted:
		return "≠", p.T("a sync found it changed by somebody else"), "warn"
	case tracker.ChangeVanished:
		return "?", p.T("a sync did not find it"), "warn"
	case tracker.ChangeReturned:
		return "+", p.T("a sync found it again"), "good"
	case tracker.ChangeDeleted:
		return "✗", p.T("a sync deleted its row: it is gone"), "bad"
	}
	return "•", string(c.Kind), "calm"
}

// driftedFields are the fields that somebody else changed, as far as they may be shown.
func driftedFields(c *tracker.Change) (list []comparison) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(c.Fields, &fields) != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var value struct {
			From json.RawMessage `json:"from"`
			To   json.RawMessage `json:"to"`
		}
		if json.Unmarshal(fields[name], &value) != nil { // masked as a whole
			value.From, value.To = fields[name], fields[name]
		}
		list = append(list, comparison{Field: name, Base: valueText(value.From), Remote: valueText(value.To)})
	}
	return list
}
