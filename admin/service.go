package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// serviceView is the data of a service's page.
type serviceView struct {
	*request
	name, instance string // the page shows the whole service if instance is ""
	instances      []string
	scopes         []tracker.Scope // paused or parked
	waiting        int64           // queued jobs
	open           []tracker.OpenJobs
	tables         []tableView
	holds          []tracker.Hold
	heldRows       map[int64][]tracker.HeldRow // by hold ID; the first rows of each open hold
	actions        []serviceHealth             // one for each kind of job
	trend          chart.Trend
	marks          timeMarks
	errors         errorGroups
	schedules      []tracker.Schedule
	allSchedules   []tracker.Schedule
	listed         []tracker.ListedScope // scopes of repositories that follow another one
	moreScopes     bool                  // tables leaves some of them out
	running        []*tracker.Job
	moreRunning    bool
	workers        map[string]tracker.Process // by ID
	calls          callsView
	processes      int             // live processes that handle jobs of the service
	handled        map[string]bool // kinds that a live process handles
	problem        string          // why the snapshot counts are missing
}

// stateCount is the number of snapshot rows in a state.
type stateCount struct {
	State nawasync.SyncState
	N     int64
}

type servicesView struct{ overviewView }

func (p *request) services() error {
	p.title, p.section = p.T("Services"), "services"
	found, err := p.loadOverview(p.r.Context())
	if err != nil {
		return err
	}
	return p.render(servicesPage(&servicesView{overviewView{p, *found}}))
}

// pathService returns the service in the path. It returns errNotFound if the service does not exist
// or the subject may view nothing of it.
func (p *request) pathService() (string, error) {
	name := p.r.PathValue("service")
	if !slices.Contains(p.viewer.visibleServices(), name) {
		return "", errNotFound
	}
	return name, nil
}

func (p *request) service() error {
	name, err := p.pathService()
	if err != nil {
		return err
	}
	v := &serviceView{request: p, name: name, instance: p.r.URL.Query().Get("instance"), heldRows: map[int64][]tracker.HeldRow{}, handled: map[string]bool{}}
	if v.instance != "" && !p.viewer.allowed(PermissionView, name, v.instance) {
		return errNotFound
	}
	p.title, p.section = p.scopeText(name, v.instance), "services"
	ctx := p.r.Context()
	for _, load := range []func(context.Context) error{
		v.loadInstances, v.loadScopes, v.loadHolds, v.loadActions, v.loadErrors, v.loadSchedules, v.loadRunning, v.loadCalls,
	} {
		if err := load(ctx); err != nil {
			return err
		}
	}
	v.loadTables(ctx)
	return p.render(servicePage(v))
}

// loadInstances reads the instances of the service and counts its processes.
func (v *serviceView) loadInstances(ctx context.Context) error {
	scopes, err := v.store().ServiceInstances(ctx)
	if err != nil {
		return err
	}
	for _, scope := range scopes {
		if scope.Service == v.name && scope.Instance != "" {
			v.instances = append(v.instances, scope.Instance)
		}
	}
	processes, err := v.store().Processes(ctx)
	v.workers = byID(processes)
	for _, process := range alert.Alive(processes, v.now) {
		if slices.ContainsFunc(process.Kinds, func(kind string) bool { return strings.HasPrefix(kind, v.name+"/") }) {
			v.processes++
		}
		for _, kind := range process.Kinds {
			v.handled[kind] = true
		}
	}
	return err
}

// loadScopes reads what is paused or parked: what the page shows, what covers it, and what it covers.
func (v *serviceView) loadScopes(ctx context.Context) error {
	scopes, err := v.store().Scopes(ctx)
	v.scopes = slices.DeleteFunc(scopes, func(s tracker.Scope) bool {
		within := tracker.Scope{Service: v.name, Instance: v.instance}
		return !within.Covers(s.Service, s.Instance) && !s.Covers(v.name, v.instance)
	})
	return err
}

// ownStore returns a reader that shows only what the page is about.
func (v *serviceView) ownStore() *tracker.Reader {
	own := tracker.Visibility{Services: []string{v.name}}
	if v.instance != "" {
		own = tracker.Visibility{Instances: []tracker.ServiceInstance{{Service: v.name, Instance: v.instance}}}
	}
	return v.store().Limited(own)
}

// loadErrors reads the most frequent errors of the last 7 days.
func (v *serviceView) loadErrors(ctx context.Context) (err error) {
	from := tracker.PeriodHour.Start(v.now.Add(-7 * 24 * time.Hour))
	v.errors, err = v.loadErrorGroups(ctx, v.ownStore(), tracker.PeriodHour, from, 6*time.Hour, "service:"+query.Quote(v.name, false), v.instanceTerm())
	return err
}

func (v *serviceView) loadHolds(ctx context.Context) error {
	store := v.store()
	if v.instance != "" {
		store = v.ownStore()
	}
	var err error
	if v.holds, err = store.Holds(ctx, v.name, "", false, 20); err != nil {
		return err
	}
	for _, hold := range v.holds {
		if hold.Status != tracker.HoldOpen {
			continue
		}
		if v.heldRows[hold.ID], err = v.store().HeldRows(ctx, hold.ID, 0, 20); err != nil {
			return err
		}
	}
	return nil
}

// loadActions adds up the statistics of the last 7 days and the open jobs, by kind.
func (v *serviceView) loadActions(ctx context.Context) error {
	stats, err := v.store().Stats(ctx, tracker.PeriodHour, v.now.Add(-7*24*time.Hour), v.now.Add(time.Minute))
	if err != nil {
		return err
	}
	open, _, err := v.store().OpenJobs(ctx)
	if err != nil {
		return err
	}
	v.open = open
	v.trend = chart.NewTrend(v.now.Add(-7*24*time.Hour), v.now, 6*time.Hour)
	if v.marks, err = v.readMarks(ctx, v.name, v.trend.From); err != nil {
		return err
	}
	kinds := map[string]*serviceHealth{}
	kindOf := func(typ, action string) *serviceHealth {
		key := typ + "/" + action
		if kinds[key] == nil {
			kinds[key] = &serviceHealth{Service: v.name, Type: typ, Action: action}
		}
		return kinds[key]
	}
	for _, s := range stats {
		if s.Service == v.name && (v.instance == "" || s.Instance == v.instance) {
			kind := kindOf(s.Type, s.Action)
			kind.add(s)
			kind.runs.Merge(s.Runs)
			kind.waits.Merge(s.Waits)
			v.trend.Add(s)
		}
	}
	for _, o := range open {
		if o.Service == v.name && (v.instance == "" || o.Instance == v.instance) {
			kindOf(o.Type, o.Action).addOpen(o)
			v.waiting += o.Queued
			v.auto = refreshWide
		}
	}
	for _, kind := range kinds {
		v.actions = append(v.actions, *kind)
	}
	slices.SortFunc(v.actions, func(a, b serviceHealth) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Action, b.Action))
	})
	return nil
}

func (v *serviceView) loadSchedules(ctx context.Context) error {
	schedules, err := v.store().Schedules(ctx)
	v.allSchedules = schedules
	v.schedules = slices.DeleteFunc(slices.Clone(schedules), func(s tracker.Schedule) bool {
		return s.Service != v.name || (v.instance != "" && s.Instance != v.instance)
	})
	return err
}

// scopeAsked returns the instance for which a pause needs the permission: a pause without an instance
// concerns every instance.
func scopeAsked(instance string) string { return cmp.Or(instance, Every) }

// canPause reports whether the subject may pause and resume what the page shows.
func (v *serviceView) canPause() bool {
	return v.viewer.allowed(PermissionService, v.name, scopeAsked(v.instance))
}

// stateCountText returns a number of rows. Counting stops above nawasync.MaxStateCount.
func stateCountText(p *request, n int64) string {
	if n > nawasync.MaxStateCount {
		return format.Thousands(p, nawasync.MaxStateCount) + "+"
	}
	return format.Thousands(p, n)
}

func (v *serviceView) instanceTabs() []navLink {
	list := []navLink{{name: v.T("All"), url: v.serviceURL(v.name), current: v.instance == ""}}
	for _, instance := range v.instances {
		list = append(list, navLink{name: instance, url: v.url("/services/"+v.name, "instance", instance), current: v.instance == instance})
	}
	return list
}

// kindURL returns the URL of the jobs of a kind that ended in the last 7 days.
func (v *serviceView) kindURL(s serviceHealth, terms ...string) string {
	terms = append(terms, "service:"+s.Service, "type:"+s.Type, "action:"+s.Action, "ended:7d")
	return v.queryURL(append(terms, v.instanceTerm())...)
}

// instanceTerm returns the query term for the instance that the page shows, or "" if it shows the
// whole service.
func (v *serviceView) instanceTerm() string {
	if v.instance == "" {
		return ""
	}
	return "instance:" + query.Quote(v.instance, false)
}

// stateTone returns the CSS class of a snapshot state.
func stateTone(s nawasync.SyncState) string {
	switch {
	case s.Pending():
		return "busy"
	case s == nawasync.StateFailed:
		return "bad"
	case s == nawasync.StateConflict:
		return "odd"
	case s == nawasync.StateMissing:
		return "warn"
	}
	return "calm"
}

// holdStatusText returns the text for the status of a held sync.
func (p *request) holdStatusText(s tracker.HoldStatus) string {
	switch s {
	case tracker.HoldOpen:
		return p.T("waits for a decision")
	case tracker.HoldReleased:
		return p.T("released")
	case tracker.HoldRejected:
		return p.T("rejected")
	case tracker.HoldWithdrawn:
		return p.T("withdrawn: the remote lists the rows again")
	}
	return string(s)
}
