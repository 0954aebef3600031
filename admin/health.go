package admin

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// health is how everything stands, as the page, /health.json and /metrics show it.
type health struct {
	At        time.Time       `json:"at"`
	Window    string          `json:"window"`
	Verdict   string          `json:"verdict"`
	Healthy   bool            `json:"healthy"`
	Attention []attention     `json:"attention"`
	Totals    totals          `json:"totals"`
	Before    totals          `json:"before"` // the same length of time before
	Services  []serviceHealth `json:"services"`
	Errors    []errorGroup    `json:"errors"`
	MoreOpen  bool            `json:"more_open,omitempty"` // open jobs were too many to count them all
	recent    []*tracker.Job
}

// attention is something that a person should look at.
type attention struct {
	Severity int       `json:"severity"` // 2 is broken, 1 is doubtful
	Text     string    `json:"text"`
	Since    time.Time `json:"since,omitzero"`
	url      string
	do       string
}

type totals struct {
	Ended   int64 `json:"ended"`
	Success int64 `json:"success"`
	Failed  int64 `json:"failed"`
	Other   int64 `json:"other"` // conflict, skipped, cancelled
}

func (t *totals) add(s tracker.Stat) {
	t.Ended += s.Jobs
	switch s.Outcome {
	case tracker.Success:
		t.Success += s.Jobs
	case tracker.Failed:
		t.Failed += s.Jobs
	default:
		t.Other += s.Jobs
	}
}

// serviceHealth is a service, or one kind of its jobs.
type serviceHealth struct {
	Service string `json:"service"`
	Type    string `json:"type,omitempty"`
	Action  string `json:"action,omitempty"`
	totals
	RunP50  time.Duration `json:"run_p50_ns"`
	RunP95  time.Duration `json:"run_p95_ns"`
	WaitP95 time.Duration `json:"wait_p95_ns"`
	Queued  int64         `json:"queued"`
	Running int64         `json:"running"`
	Stuck   int64         `json:"stuck"`
	Oldest  time.Time     `json:"oldest_queued,omitzero"`
	Synced  time.Time     `json:"last_success,omitzero"`
	strip   strip
	runs    tracker.Histogram
	waits   tracker.Histogram
}

// healthWindows are those of the health page, each with the statistics that it counts,
// and those that its percentiles are of: reading many histograms takes long.
var healthWindows = []struct {
	name            string
	length          time.Duration
	period, coarser tracker.Period
	step            time.Duration // of the bars
}{
	{"15m", 15 * time.Minute, tracker.Minute, tracker.Minute, time.Minute},
	{"1h", time.Hour, tracker.Minute, tracker.Minute, time.Minute},
	{"24h", 24 * time.Hour, tracker.Hour, tracker.Hour, time.Hour},
	{"7d", 7 * 24 * time.Hour, tracker.Hour, tracker.Day, 6 * time.Hour},
	{"30d", 30 * 24 * time.Hour, tracker.Day, tracker.Day, 24 * time.Hour},
}

// The limits above which something wants attention.
const (
	lateAfter    = 5 * time.Minute // a due job waits
	staleAfter   = 26 * time.Hour  // a table was synced
	aliveFor     = 20 * time.Second
	enough       = 20 // ended jobs, below which a share says nothing
	maxAttention = 20
	maxErrors    = 500 // failed jobs that are grouped by their error
)

type healthView struct {
	*page
	health
}

func (p *page) health() error {
	p.title, p.section = p.T("Health"), "health"
	found, err := p.measure(p.r.Context())
	if err != nil {
		return err
	}
	return p.render(healthPage(&healthView{p, *found}))
}

func (p *page) healthJSON() error {
	found, err := p.measure(p.r.Context())
	if err != nil {
		return err
	}
	return p.json(found)
}

// measure reads everything that the health page shows.
func (p *page) measure(ctx context.Context) (*health, error) {
	window := healthWindows[2]
	for _, w := range healthWindows {
		if p.r.URL.Query().Get("window") == w.name {
			window = w
		}
	}
	out := &health{At: p.now, Window: window.name, Attention: []attention{}, Services: []serviceHealth{}, Errors: []errorGroup{}}
	from := p.now.Add(-window.length)
	stats, err := p.mine(p.store().StatTotals(ctx, window.period, from.Add(-window.length).Truncate(window.step), p.now.Add(time.Minute), window.step))
	if err != nil {
		return nil, err
	}
	times, err := p.mine(p.store().Stats(ctx, window.coarser, from, p.now.Add(time.Minute)))
	if err != nil {
		return nil, err
	}
	open, more, err := p.store().Open(ctx)
	if err != nil {
		return nil, err
	}
	out.MoreOpen = more
	open = slices.DeleteFunc(open, func(o tracker.OpenJobs) bool { return !p.viewer.may(PermissionView, o.Service) })
	byService := map[string]*serviceHealth{}
	of := func(name string) *serviceHealth {
		if byService[name] == nil {
			byService[name] = &serviceHealth{Service: name}
		}
		return byService[name]
	}
	for _, name := range p.viewer.sees() {
		of(name)
	}
	// A bucket that began before the window counts into it: buckets are not cut.
	for _, s := range stats {
		if s.Bucket.Before(from.Truncate(window.step)) {
			out.Before.add(s)
			continue
		}
		out.Totals.add(s)
		of(s.Service).add(s)
	}
	for _, s := range times {
		of(s.Service).runs.Merge(s.Runs)
		of(s.Service).waits.Merge(s.Waits)
	}
	for _, o := range open {
		of(o.Service).open(o)
	}
	successes, err := p.store().LastSuccesses(ctx)
	if err != nil {
		return nil, err
	}
	successes = slices.DeleteFunc(successes, func(s tracker.LastDone) bool { return !p.viewer.may(PermissionView, s.Service) })
	for _, s := range successes {
		if service := of(s.Service); s.At.After(service.Synced) {
			service.Synced = s.At
		}
	}
	for _, service := range byService {
		service.RunP50, service.RunP95, service.WaitP95 = service.runs.Quantile(0.5), service.runs.Quantile(0.95), service.waits.Quantile(0.95)
		out.Services = append(out.Services, *service)
	}
	slices.SortFunc(out.Services, func(a, b serviceHealth) int { return cmp.Compare(a.Service, b.Service) })
	if err := p.look(ctx, out, open, successes); err != nil {
		return nil, err
	}
	failed, err := p.store().Errors(ctx, p.viewer.services(), from, maxErrors)
	if err != nil {
		return nil, err
	}
	out.Errors = p.group(failed)
	out.recent = recent(failed, 10)
	out.judge(p)
	for i := range out.Services {
		out.Services[i].strip = sparkline(stats, out.Services[i].Service, from, p.now, window.step)
	}
	return out, nil
}

func (s *serviceHealth) open(o tracker.OpenJobs) {
	s.Queued += o.Queued
	s.Running += o.Running
	s.Stuck += o.Stuck
	if !o.Oldest.IsZero() && (s.Oldest.IsZero() || o.Oldest.Before(s.Oldest)) {
		s.Oldest = o.Oldest
	}
}

// alive are the processes that beat.
func alive(list []tracker.Process, now time.Time) []tracker.Process {
	return slices.DeleteFunc(slices.Clone(list), func(p tracker.Process) bool { return now.Sub(p.BeatAt) > aliveFor })
}

// look ranks what wants attention.
func (p *page) look(ctx context.Context, out *health, open []tracker.OpenJobs, successes []tracker.LastDone) error {
	for _, part := range []func(context.Context) ([]attention, error){
		func(ctx context.Context) ([]attention, error) { return p.lookAtOpen(ctx, open) },
		p.lookAtScopes, p.lookAtHolds, p.lookAtSchedules, p.lookAtConflicts,
	} {
		found, err := part(ctx)
		if err != nil {
			return err
		}
		out.Attention = append(out.Attention, found...)
	}
	out.Attention = append(out.Attention, p.lookAtSnapshots(successes)...)
	for _, s := range out.Services {
		if s.Failed >= 3 && s.Ended >= enough && s.Failed*10 > s.Ended {
			out.Attention = append(out.Attention, attention{
				2, p.Tf("%s of %s jobs of %s failed.", percent(s.Failed, s.Ended), thousands(s.Ended), s.Service),
				time.Time{},
				p.queryURL("status:failed", "service:"+s.Service, "since:"+out.Window), p.T("Look at their errors."),
			})
		}
	}
	slices.SortStableFunc(out.Attention, func(a, b attention) int { return cmp.Compare(b.Severity, a.Severity) })
	out.Attention = out.Attention[:min(len(out.Attention), maxAttention)]
	return nil
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
			list = append(list, attention{2, p.Tf("%s jobs of %s wait, and no live process serves them.", thousands(o.Queued), kind), o.Oldest, query, p.T("Start a worker that registers the kind.")})
		case !o.Oldest.IsZero() && p.now.Sub(o.Oldest) > lateAfter:
			list = append(list, attention{1, p.Tf("A job of %s has waited %s.", kind, span(p.now.Sub(o.Oldest))), o.Oldest, query, p.T("Look at what it waits for.")})
		}
		if o.Stuck > 0 {
			list = append(list, attention{2, p.Tf("%s jobs of %s run past their deadline.", thousands(o.Stuck), kind), time.Time{}, p.queryURL("is:stuck", "service:"+o.Service), p.T("Their handlers ignore their context: restart that worker.")})
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
		text, severity := p.Tf("%s is paused by %s: %s", place(s.Service, s.Instance), s.By, s.Reason), 1
		if s.Parked {
			text, severity = p.Tf("%s is parked until %s: %s", place(s.Service, s.Instance), p.moment(s.Until), firstLine(s.Reason)), 2
		}
		list = append(list, attention{severity, text, s.Since, p.url("/services/" + s.Service), p.T("Mend the cause, then resume it.")})
	}
	return list, err
}

func (p *page) lookAtHolds(ctx context.Context) (list []attention, err error) {
	holds, err := p.store().Holds(ctx, "", "", true, 100)
	for _, hold := range holds {
		if p.viewer.may(PermissionView, hold.Service) {
			text := p.Tf("A sync of %s is held: %s of %s rows were not in the listing.", place(hold.Service+"/"+hold.Type, hold.Instance), thousands(hold.Absent), thousands(hold.Known))
			list = append(list, attention{2, text, hold.CreatedAt, p.url("/services/" + hold.Service), p.T("Release or reject it.")})
		}
	}
	return list, err
}

func (p *page) lookAtSchedules(ctx context.Context) (list []attention, err error) {
	schedules, err := p.store().Schedules(ctx)
	for _, s := range schedules {
		if !p.viewer.may(PermissionView, s.Service) {
			continue
		}
		if s.Orphaned(p.now) {
			list = append(list, attention{1, p.Tf("Schedule %s is orphaned: no process has registered it since %s.", s.Name, p.moment(s.SeenAt)), s.SeenAt, p.url("/services/" + s.Service), p.T("Start the process that registers it.")})
		} else if due := nextTick(s, s.LastTick); !due.IsZero() && p.now.Sub(due) > lateAfter {
			list = append(list, attention{2, p.Tf("Schedule %s is silent: its tick of %s has not come.", s.Name, p.moment(due)), due, p.url("/services/" + s.Service), p.T("Look whether a worker runs, and at its log.")})
		}
	}
	return list, err
}

func (p *page) lookAtSnapshots(successes []tracker.LastDone) (list []attention) {
	tables := p.h.engine.Syncables()
	for _, s := range successes {
		syncs := slices.ContainsFunc(tables, func(t nawasync.Syncable) bool {
			return t.Service == s.Service && t.Type == s.Type && t.Action == s.Action
		})
		if syncs && p.now.Sub(s.At) > staleAfter {
			list = append(list, attention{1, p.Tf("The snapshot of %s is stale: it was last synced %s.", place(s.Service+"/"+s.Type, s.Instance), p.ago(s.At)), s.At, p.url("/services/" + s.Service), p.T("Look at its last syncs.")})
		}
	}
	return list
}

func (p *page) lookAtConflicts(ctx context.Context) ([]attention, error) {
	conflicts, err := p.store().Search(ctx, tracker.Search{Services: p.viewer.services(), Terms: []tracker.Term{
		{Field: tracker.FieldStatus, Values: []string{string(tracker.Conflict)}}, {Field: tracker.FieldRepaired, Not: true},
	}}, 0, 0, 100)
	n := len(conflicts.Jobs)
	if err != nil || n == 0 {
		return nil, err
	}
	count := thousands(n)
	if conflicts.Older != 0 {
		count += "+"
	}
	return []attention{{1, p.Tf("Conflicts that wait for an answer: %s.", count), conflicts.Jobs[n-1].CreatedAt, p.queryURL("status:conflict", "-is:repaired"), p.T("Compare, then answer each.")}}, nil
}

func place(service, instance string) string {
	if instance == "" {
		return service
	}
	return service + " on " + instance
}

// judge is the verdict in a sentence.
func (h *health) judge(p *page) {
	bad := slices.ContainsFunc(h.Attention, func(a attention) bool { return a.Severity > 1 })
	h.Healthy = !bad
	switch {
	case len(h.Services) == 0:
		h.Verdict = p.T("Nothing has run yet.")
	case bad:
		h.Verdict = p.Tf("Something is wrong: %d to look at.", len(h.Attention))
	case len(h.Attention) > 0:
		h.Verdict = p.Tf("It works; %d to look at.", len(h.Attention))
	default:
		h.Verdict = p.T("All is well.")
	}
}

// errorGroup is one error that many jobs have had.
type errorGroup struct {
	Signature string    `json:"signature"`
	Example   string    `json:"example"`
	Class     string    `json:"class"`
	Jobs      int       `json:"jobs"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Services  []string  `json:"services"`
	url       string
}

// What differs between two errors that are one: ids, addresses, numbers, quoted words.
var differing = regexp.MustCompile(`"[^"]*"|'[^']*'|“[^”]*”|[\w.+-]+@[\w.-]+|\b(?:[0-9a-f]{8,}|\d[\d.,:]*)\b|\b[\w-]+(?:\.[\w-]+)+\b`)

func signature(text string) string {
	line := firstLine(text)
	return strings.Join(strings.Fields(differing.ReplaceAllString(line, "…")), " ")
}

// group puts failed jobs together that have the same error, the most frequent first.
func (p *page) group(jobs []*tracker.Job) []errorGroup {
	groups := map[string]*errorGroup{}
	for _, j := range jobs {
		key := signature(j.Error)
		if key == "" {
			continue
		}
		g := groups[key]
		if g == nil {
			g = &errorGroup{Signature: key, Example: firstLine(j.Error), Class: j.ErrorClass, Last: j.FinishedAt}
			groups[key] = g
		}
		g.Jobs++
		g.First = j.FinishedAt
		if !slices.Contains(g.Services, j.Service) {
			g.Services = append(g.Services, j.Service)
		}
	}
	list := []errorGroup{}
	for _, g := range groups {
		part := longest(strings.Split(g.Signature, "…"))
		g.url = p.url("/jobs", "q", query{terms: []term{{field: "status", values: []string{"conflict", "failed"}}, {field: "error", values: []string{part}}}}.String())
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b errorGroup) int {
		return cmp.Or(cmp.Compare(b.Jobs, a.Jobs), cmp.Compare(a.Signature, b.Signature))
	})
	return list[:min(len(list), 10)]
}

func longest(parts []string) string {
	best := ""
	for _, part := range parts {
		if part = strings.TrimSpace(part); len(part) > len(best) {
			best = part
		}
	}
	return best
}

// recent are the last failures, one of each target.
func recent(jobs []*tracker.Job, limit int) (list []*tracker.Job) {
	seen := map[int64]bool{}
	for _, j := range jobs {
		if !seen[j.TargetKey] && len(list) < limit {
			seen[j.TargetKey] = true
			list = append(list, j)
		}
	}
	return list
}

// sparkline is a service's bars.
func sparkline(stats []tracker.Stat, service string, from, to time.Time, step time.Duration) strip {
	begin := from.Truncate(step)
	bars := make([]bar, max(1, min(200, int(to.Sub(begin)/step)+1)))
	for _, s := range stats {
		if i := int(s.Bucket.Sub(begin) / step); s.Service == service && i >= 0 && i < len(bars) && !s.Bucket.Before(begin) {
			if s.Outcome == tracker.Failed || s.Outcome == tracker.Conflict {
				bars[i].bad += s.Jobs
			} else {
				bars[i].good += s.Jobs
			}
		}
	}
	return strip{bars: bars}.scaled()
}

// scaled gives the bars their places.
func (s strip) scaled() strip {
	for _, b := range s.bars {
		s.top = max(s.top, b.good+b.bad)
	}
	width := stripWidth / float64(len(s.bars))
	for i := range s.bars {
		b := &s.bars[i]
		b.x = float64(i) * width
		if s.top > 0 {
			b.h = float64(b.good) / float64(s.top) * (stripHeight - 2)
			b.badH = float64(b.bad) / float64(s.top) * (stripHeight - 2)
		}
		b.y, b.badY = stripHeight-b.h, stripHeight-b.h-b.badH
	}
	return s
}

// change is a figure against the one before.
func (v *healthView) change(now, before int64) string {
	switch {
	case before == 0 && now == 0:
		return v.T("as before")
	case before == 0:
		return v.T("none before")
	}
	return v.Tf("%s before", thousands(before))
}

// share is the rate of success, where there are enough to speak of one.
func (v *healthView) share(s serviceHealth) string {
	switch n := s.Success + s.Failed; {
	case n == 0:
		return v.T("no data")
	case n < enough:
		return v.Tf("%d of %d", s.Success, n)
	default:
		return percent(s.Success, n)
	}
}

func (v *healthView) windows() []tab {
	var list []tab
	for _, w := range healthWindows {
		list = append(list, tab{name: w.name, url: v.url("/health", "window", w.name), current: w.name == v.Window})
	}
	return list
}

func nanos(d time.Duration) string { return fmt.Sprintf("%g", d.Seconds()) }
