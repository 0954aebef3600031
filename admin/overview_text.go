package admin

import (
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/format"
)

// scopeText returns the text for a service, or for one of its instances.
func (p *request) scopeText(service, instance string) string {
	if instance == "" {
		return service
	}
	return p.Tf("%s on %s", service, instance)
}

// summarize sets Healthy and Summary.
func (o *overview) summarize(p *request) {
	o.Healthy = !o.lacks(partAlerts) && !slices.ContainsFunc(o.Alerts, func(a alert.Alert) bool { return a.Severity == alert.SeverityCritical })
	switch {
	case o.lacks(partAlerts):
		o.Summary = p.T("The checks for problems could not be made.")
	case len(o.Alerts) > 0:
		o.Summary = p.problemCount(o.Alerts)
	case o.Totals.Ended == 0:
		o.Summary = p.T("No problems. No jobs ended in this time range.")
	default:
		o.Summary = o.noProblems(p)
	}
}

// noProblems says since when no job has failed, as far as the page knows.
func (o *overview) noProblems(p *request) string {
	var grouped int64
	var last time.Time
	for _, g := range o.errors.list {
		grouped += g.Jobs
		if g.Last.After(last) {
			last = g.Last
		}
	}
	switch {
	case o.lacks(partErrors), grouped < o.errors.jobs, o.errors.jobs < o.Totals.Failed: // a later failure may be in none of the groups
		return p.T("No problems.")
	case last.IsZero():
		return p.Tf("No problems. No job failed in the last %s.", o.Window)
	}
	return p.Tf("No problems. No job has failed since %s.", p.shortTime(last))
}

// tone returns the CSS class of the summary.
func (o *overview) tone() string {
	switch {
	case !o.Healthy:
		return "bad"
	case len(o.Alerts) > 0:
		return "warn"
	}
	return "good"
}

// sign returns the icon of the summary, for readers who cannot tell the colours apart.
func (o *overview) sign() string {
	return map[string]string{"bad": "failed", "warn": "alert", "good": "success"}[o.tone()]
}

// severityTone returns the CSS class of an alert.
func severityTone(a alert.Alert) string {
	if a.Severity == alert.SeverityCritical {
		return "bad"
	}
	return "warn"
}

// severityIcon returns the icon of an alert.
func severityIcon(a alert.Alert) string {
	if a.Severity == alert.SeverityCritical {
		return "failed"
	}
	return "alert"
}

// problemCount returns the number of alerts by severity, for example "3 problems: 1 critical, 2 warnings".
func (p *request) problemCount(alerts []alert.Alert) string {
	var critical, warnings int64
	for _, a := range alerts {
		if a.Severity == alert.SeverityCritical {
			critical++
		} else {
			warnings++
		}
	}
	var parts []string
	if critical > 0 {
		parts = append(parts, p.Tf("%s critical", format.Thousands(p, critical)))
	}
	if warnings > 0 {
		parts = append(parts, p.plural(warnings, "1 warning", "%s warnings"))
	}
	return p.plural(critical+warnings, "1 problem", "%s problems") + ": " + strings.Join(parts, ", ")
}

// severityText returns the word for the severity of an alert.
func (p *request) severityText(a alert.Alert) string {
	if a.Severity == alert.SeverityCritical {
		return p.T("Critical")
	}
	return p.T("Warning")
}

// sinceText says since when an alert has had its cause, and how long that is.
func (p *request) sinceText(a alert.Alert) string {
	return p.Tf("since %s (%s)", p.shortTime(a.Since), format.Span(p, p.now.Sub(a.Since)))
}

// mayResume reports whether the next step of an alert is a form that the subject may send.
func (p *request) mayResume(a alert.Alert) bool {
	return a.Next.Resume != nil && p.viewer.allowed(PermissionService, a.Next.Resume.Service, scopeAsked(a.Next.Resume.Instance))
}

// previousText says how many jobs ended in the preceding window.
func (v *overviewView) previousText() string {
	return v.plural(v.Before.Ended, "previously 1 job", "previously %s jobs")
}

func (v *overviewView) windows() []navLink {
	var list []navLink
	for _, w := range timeWindows {
		list = append(list, navLink{name: w.name, url: v.url("/", "window", w.name), current: w.name == v.Window})
	}
	return list
}

// endedTerm returns the query term that finds the jobs that ended in the window.
func (o *overview) endedTerm(p *request) string { return "ended:" + p.timeRange(o.From, time.Time{}) }
