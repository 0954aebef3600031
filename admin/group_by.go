package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// The values of the list's URL parameter "group".
const (
	groupError   = "error"
	groupObject  = "object"
	groupService = "service"
)

// groupParam returns how the list is grouped, or "".
func (p *request) groupParam() string {
	if value := p.r.URL.Query().Get("group"); slices.Contains([]string{groupError, groupObject, groupService}, value) {
		return value
	}
	return ""
}

// groupedJobs has the groups of the list's jobs.
type groupedJobs struct {
	tracker.JobGroups
	list []jobGroup
}

// jobGroup is one line of the grouped list.
type jobGroup struct {
	tracker.JobGroup
	sign     tracker.Status // the status that needs a person most
	query    string         // finds the jobs of the group; "" if none does
	url      string
	retryURL string // the preview of a bulk retry; "" if the reader may not retry or no job failed
	newest   []*tracker.Job
}

// loadGroups reads the groups of a search, or returns nil if the list is not grouped.
func (v *jobsView) loadGroups(ctx context.Context, search tracker.Search) (*groupedJobs, error) {
	by := map[string]tracker.GroupBy{groupError: tracker.GroupByError, groupObject: tracker.GroupByTarget, groupService: tracker.GroupByService}[v.groupParam()]
	if by == "" {
		return nil, nil //nolint:nilnil // the list is not grouped
	}
	found, err := v.store().GroupJobs(ctx, search, by, v.size)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, g := range found.Groups {
		ids = append(ids, g.Newest...)
	}
	jobs, err := v.store().ByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := &groupedJobs{JobGroups: found}
	for _, g := range found.Groups {
		line := v.groupLine(g)
		for _, id := range g.Newest {
			if job := jobs[id]; job != nil {
				line.newest = append(line.newest, job)
			}
		}
		if !found.Partial { // such a search costs up to a second of the reader's quota
			v.refreshWhile(refreshWide, line.newest...)
		}
		out.list = append(out.list, line)
	}
	return out, nil
}

// groupLine returns the line of a group, without its newest jobs.
func (v *jobsView) groupLine(g tracker.JobGroup) jobGroup {
	line := jobGroup{JobGroup: g}
	for _, status := range signOrder {
		if g.Statuses[status] > 0 && (line.sign == "" || needsPerson(status) && g.Statuses[status] > g.Statuses[line.sign]) {
			line.sign = status
		}
	}
	q := v.query
	switch v.groupParam() {
	case groupError:
		if g.Error == "" {
			return line
		}
		q = q.With("group", g.Error)
	case groupService:
		q = q.With("service", g.Target.Service).With("instance", g.Target.Instance)
	default:
		q = q.With("service", g.Target.Service).With("type", g.Target.Type).With("instance", g.Target.Instance).With("target", g.Target.ID)
	}
	line.query = q.String()
	if _, err := query.Parse(line.query, v.zone); err != nil { // the query has as many terms as allowed
		line.query = ""
		return line
	}
	line.url = v.url("/jobs", "q", line.query, "n", v.shownSize())
	manages := v.canManage()
	if g.Target.Service != "" {
		manages = v.viewer.allowed(PermissionManage, g.Target.Service, g.Target.Instance)
	}
	if g.Statuses[tracker.StatusFailed] > 0 && manages && !v.query.Has("is") {
		line.retryURL = v.url("/bulk", "action", "retry", "all", "1", "q", q.With("status", string(tracker.StatusFailed)).String())
	}
	return line
}

// signOrder lists the statuses, those that need a person most first.
var signOrder = []tracker.Status{
	tracker.StatusConflict, tracker.StatusFailed, tracker.StatusRunning, tracker.StatusQueued,
	tracker.StatusSuccess, tracker.StatusSkipped, tracker.StatusCancelled,
}

// needsPerson reports whether jobs with the status may need a person.
func needsPerson(status tracker.Status) bool {
	return status == tracker.StatusFailed || status == tracker.StatusConflict
}

// groupMenu returns the ways to group the list.
func (v *jobsView) groupMenu() []navLink {
	now := v.groupParam()
	var list []navLink
	for _, c := range []struct{ value, name string }{
		{"", v.T("None")}, {groupError, v.T("Error")}, {groupObject, v.T("Object")}, {groupService, v.T("Service")},
	} {
		list = append(list, navLink{name: c.name, url: v.url("/jobs", "q", v.queryText, "n", v.shownSize(), "group", c.value), current: now == c.value})
	}
	return list
}

// groupMenuText returns the label of the menu.
func (v *jobsView) groupMenuText() string {
	switch v.groupParam() {
	case groupError:
		return v.T("Grouped by error")
	case groupObject:
		return v.T("Grouped by object")
	case groupService:
		return v.T("Grouped by service")
	}
	return v.T("Group by")
}

// groupHead returns the name of the column that says what the jobs of a group have in common.
func (v *jobsView) groupHead() string {
	switch v.groupParam() {
	case groupError:
		return v.T("Error")
	case groupObject:
		return v.T("Object")
	}
	return v.T("Service")
}

// groupName returns what the jobs of a group have in common, and more about it.
func (v *jobsView) groupName(g jobGroup) (name, detail string) {
	switch v.groupParam() {
	case groupError:
		if g.Error == "" {
			return v.T("Jobs that ended before errors were grouped"), ""
		}
		return v.groupText(errorGroup{ID: g.Error, Signature: g.Text}), g.Class
	case groupObject:
		return g.Target.ID, fmt.Sprintf("%s · %s", g.Target.Type, v.scopeText(g.Target.Service, g.Target.Instance))
	}
	return g.Target.Service, g.Target.Instance
}

// groupPart is a part of a group's jobs.
type groupPart struct {
	status tracker.Status
	text   string
}

// groupParts returns how many jobs of the group are in each status, those that need a person first.
func (v *jobsView) groupParts(g jobGroup) (list []groupPart) {
	for _, status := range signOrder {
		if n := g.Statuses[status]; n > 0 {
			list = append(list, groupPart{status, format.Thousands(v, n) + " " + v.status(status)})
		}
	}
	return list
}

// groupCount returns the number of jobs of a group. It is a lower bound if not all jobs were read.
func (v *jobsView) groupCount(g jobGroup) string {
	if v.groups.Partial {
		return format.Thousands(v, g.Jobs) + "+"
	}
	return format.Thousands(v, g.Jobs)
}

// groupsNote says what the groups count, and what is left out.
func (v *jobsView) groupsNote() (list []string) {
	g := v.groups
	if g.Partial {
		list = append(list, v.Tf("Showing the newest %s. Narrow the time range to see all.", format.Thousands(v, g.Jobs)))
	}
	if more := g.Total - len(g.list); more > 0 {
		list = append(list, v.Tf("The %s largest of %s groups are listed.", format.Thousands(v, len(g.list)), format.Thousands(v, g.Total)))
	}
	if v.groupParam() == groupError {
		list = append(list, v.T("Only jobs that failed or ended in conflict are grouped by error."))
	}
	return list
}

// key identifies the line in the page.
func (g jobGroup) key() string {
	return strings.Join([]string{g.Error, g.Target.Service, g.Target.Type, g.Target.Instance, g.Target.ID}, "/")
}
