package admin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// targetView is the data of a target's history page.
type targetView struct {
	*request
	service, typ, instance, id string
	events                     []timelineEvent
	row                        *host.ShownRow // the object's row; nil if this process has no repository of it, or the table no row
	fields                     []objectField
	conflict                   *tracker.Job // the conflict over the object that nobody has answered, or nil
	older                      int64        // bound of the page with older jobs; 0 if there is none
	oldest                     time.Time    // when the oldest job of this page was created, if there are older ones
}

// timelineEvent is a line of the history: a job, an operator's action, or a change that a sync
// found. Exactly one of the three pointers is set.
type timelineEvent struct {
	at     time.Time
	job    *tracker.Job
	entry  *tracker.AuditEntry
	change *tracker.Change
}

// key identifies the event among those of the page.
func (e timelineEvent) key() string {
	switch {
	case e.job != nil:
		return fmt.Sprintf("job-%d", e.job.ID)
	case e.entry != nil:
		return fmt.Sprintf("entry-%d", e.entry.ID)
	}
	return fmt.Sprintf("change-%d", e.change.At.UnixMicro())
}

func (p *request) target() error {
	q := p.r.URL.Query()
	v := &targetView{request: p, service: q.Get("service"), typ: q.Get("type"), instance: q.Get("instance"), id: q.Get("id")}
	if v.service == "" || v.typ == "" || v.id == "" || !p.viewer.allowed(PermissionView, v.service, v.instance) {
		return errNotFound
	}
	p.title, p.section = p.Tf("%s, %s", format.Cut(v.id, 60), v.typ), "jobs"
	target := tracker.Target{Service: v.service, Type: v.typ, Instance: v.instance, ID: v.id}
	ctx, before := p.r.Context(), p.intParam("before")
	results, err := p.store().Search(ctx, tracker.Search{Targets: []tracker.Target{target}, Services: []string{v.service}, Before: before, Limit: 50})
	if err != nil {
		return err
	}
	// A page shows the audit entries and changes from the time of its oldest job until the time of the
	// oldest job on the page before, so that each of them is on exactly one page.
	filter := tracker.AuditFilter{Target: target, Limit: 500}
	if upTo := p.intParam("upto"); upTo > 0 {
		filter.Until = time.UnixMicro(upTo)
	}
	if err := p.store().LoadDetails(ctx, results.Jobs); err != nil {
		return err
	}
	v.older = results.Older
	p.refreshWhile(refreshList, results.Jobs...)
	for _, job := range results.Jobs {
		v.events = append(v.events, timelineEvent{at: job.CreatedAt, job: job})
		if v.older != 0 {
			filter.Since, v.oldest = job.CreatedAt, job.CreatedAt
		}
	}
	entries, err := p.store().AuditLog(ctx, filter)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		v.events = append(v.events, timelineEvent{at: entry.At, entry: &entry})
	}
	changes, err := p.store().Changes(ctx, target, filter.Since, filter.Until, 500)
	if err != nil {
		return err
	}
	for _, change := range changes {
		v.events = append(v.events, timelineEvent{at: change.At, change: &change})
	}
	if before == 0 {
		if err := v.loadRow(ctx, results.Jobs); err != nil {
			return err
		}
	}
	slices.SortStableFunc(v.events, func(a, b timelineEvent) int { return b.at.Compare(a.at) })
	return p.render(targetPage(v))
}

func (v *targetView) olderURL() string {
	return v.url("/target", "service", v.service, "type", v.typ, "instance", v.instance, "id", v.id, "before", strconv.FormatInt(v.older, 10), "upto",
		strconv.FormatInt(v.oldest.UnixMicro(), 10))
}

// syncText returns the icon, the words and the tone of a change that a sync found.
func (p *request) syncText(c *tracker.Change) (shape, words, tone string) {
	switch c.Kind {
	case tracker.ChangeAppeared:
		return "new", p.T("new on the remote"), "good"
	case tracker.ChangeDrifted:
		return "conflict", p.T("changed on the remote"), "warn"
	case tracker.ChangeVanished:
		return "missing", p.T("missing from the listing"), "warn"
	case tracker.ChangeReturned:
		return "new", p.T("listed again"), "good"
	case tracker.ChangeSideEffect:
		return "conflict", p.T("changed together with a job's change, although nobody asked for it"), "warn"
	case tracker.ChangeDeleted:
		return "failed", p.T("deleted: the remote no longer has the object"), "bad"
	case tracker.ChangeMoved:
		return "new", p.T("was in another scope before"), "good"
	}
	return "skipped", string(c.Kind), "calm"
}

// driftedFields returns the fields that were changed on the remote. The values of secret fields are
// masked.
func (v *targetView) driftedFields(c *tracker.Change) []comparison {
	var fields map[string]json.RawMessage
	if json.Unmarshal(c.Fields, &fields) != nil {
		return nil
	}
	return v.compareChanged(v.service, v.typ, fields)
}
