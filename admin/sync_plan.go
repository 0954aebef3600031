package admin

import (
	"encoding/json"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// syncPlan is what a plan's job has found.
type syncPlan struct {
	nawasync.SyncResult
	detail string // of the listing
}

// plan returns what the job has found, or nil if it is no plan or has no result.
func (v *jobView) plan() *syncPlan {
	var out syncPlan
	var args struct {
		Detail string `json:"detail"`
	}
	if v.job.Action != tracker.PlanAction || v.job.Status != tracker.StatusSuccess || json.Unmarshal(v.job.Result, &out.SyncResult) != nil {
		return nil
	}
	if json.Unmarshal(v.job.Payload, &args) == nil {
		out.detail = args.Detail
	}
	return &out
}

// planCount is a number of rows or objects with its name.
type planCount struct{ name, value string }

func (v *jobView) planCounts(p *syncPlan) (list []planCount) {
	for _, c := range []struct {
		name   string
		n      int64
		always bool
	}{
		{v.T("Objects in the listing"), p.Listed, true},
		{v.T("New rows"), p.Created, true},
		{v.T("Changed rows"), p.Updated, true},
		{v.T("Missing rows"), p.Missing, true},
		{v.T("Unchanged rows"), p.Unchanged, true},
		{v.T("Rows that a job changes or has just changed"), p.InFlight, false},
		{v.T("Missing rows that an operator keeps"), p.Kept, false},
		{v.T("Objects that cannot be stored"), p.Refused, false},
	} {
		if c.always || c.n > 0 {
			list = append(list, planCount{c.name, format.Thousands(v, c.n)})
		}
	}
	return list
}

// planWarnings says what a person has to know before a sync.
func (v *jobView) planWarnings(p *syncPlan) (list []string) {
	if p.Held != 0 {
		list = append(list, v.T("A sync would be held for an operator, because too many rows are missing from the listing."))
	}
	if p.Proof == "unproven" {
		list = append(list, v.T("The listing does not prove that it is complete, so a sync would mark no row as missing."))
	}
	return list
}

// planLine is a line of the table of planned changes: a field of an object, or an object without fields.
type planLine struct {
	change nawasync.PlannedChange
	first  bool // the first line of its object
	field  *comparison
}

func (v *jobView) planLines(p *syncPlan) (list []planLine) {
	for _, c := range p.Planned {
		fields := map[string]json.RawMessage{}
		for column, value := range c.Fields {
			fields[column], _ = json.Marshal(value) // raw JSON always marshals
		}
		line := planLine{change: c, first: true}
		for _, f := range v.compareChanged(v.job.Service, v.job.Type, fields) {
			line.field = &f
			list = append(list, line)
			line.first = false
		}
		if line.first {
			list = append(list, line)
		}
	}
	return list
}

// planKind returns the icon, the words and the tone of a planned change.
func (v *jobView) planKind(c nawasync.PlannedChange) (shape, words, tone string) {
	if c.Kind == tracker.ChangeDeleted {
		return "new", v.T("made again: the object gets a new row"), "warn"
	}
	return v.syncText(&tracker.Change{Kind: c.Kind})
}

// planTarget returns the URL of the page of an object in a plan.
func (v *jobView) planTarget(c nawasync.PlannedChange) string {
	return v.url("/target", "service", v.job.Service, "type", v.job.Type, "instance", v.job.Instance, "id", c.TargetID)
}

// canSync reports whether the subject may dispatch the sync that the job has planned.
func (v *jobView) canSync() bool {
	return v.viewer.allowed(PermissionService, v.job.Service, v.job.Instance)
}
