package alert

import (
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// checkScopes finds paused and parked scopes.
func checkScopes(in Input, p Formatter) (list []Alert) {
	for _, s := range in.Scopes {
		one := Alert{
			Severity: SeverityWarning, Text: ScopeText(s, p), Since: s.Since, Effect: Waiting(s, in.Open, p),
			Advice: p.T("Fix the cause, then resume the service."),
			Next:   Next{Label: p.T("Show the service"), URL: p.ServiceURL(s.Service), Resume: &s},
		}
		switch {
		case !s.RetryAfter.IsZero() && s.Parked && s.Probes == 0:
			one.Severity, one.Next.Resume = SeverityCritical, nil
			one.Advice = p.T("The remote has asked for this wait, which Resume does not end. The jobs then start by themselves.")
		case Unreachable(s):
			one.Severity = SeverityCritical
			one.Advice = p.Tf("Check that the remote runs and that the workers can reach it. One job tries again at %s, or when you resume; the others start once the remote answers.",
				p.FullTime(s.Until))
		case s.Probes > 0:
			one.Severity = SeverityCritical
			one.Advice = p.Tf("Renew the credentials, then resume. Otherwise one job tries them at %s, and the others start once it succeeds.", p.FullTime(s.Until))
		case s.Parked:
			one.Severity = SeverityCritical
		}
		list = append(list, one)
	}
	return list
}

// Unreachable reports whether a scope is parked because its remote cannot be reached.
func Unreachable(s tracker.Scope) bool {
	return s.Probes > 0 && s.ErrorClass == string(fault.ClassUnavailable)
}

// ScopeText says what is paused or parked, by whom or until when, and why if the reader may know.
func ScopeText(s tracker.Scope, p Formatter) string {
	name, reason := p.ScopeText(s.Service, s.Instance), format.FirstLine(s.Reason)
	switch {
	case Unreachable(s) && reason == "":
		return p.Tf("%s has been unreachable since %s.", name, p.FullTime(s.Since))
	case Unreachable(s):
		return p.Tf("%s has been unreachable since %s: %s", name, p.FullTime(s.Since), reason)
	case s.Probes > 0 && reason == "":
		return p.Tf("%s is parked because the remote refuses the credentials.", name)
	case s.Probes > 0:
		return p.Tf("%s is parked because the remote refuses the credentials: %s", name, reason)
	case s.Parked && reason == "": // the reader may not see all that the reason may name
		return p.Tf("%s is parked until %s.", name, p.FullTime(s.Until))
	case s.Parked:
		return p.Tf("%s is parked until %s: %s", name, p.FullTime(s.Until), reason)
	case reason == "":
		return p.Tf("%s is paused by %s.", name, s.By)
	}
	return p.Tf("%s is paused by %s: %s", name, s.By, s.Reason)
}

// Waiting says what a paused or parked scope affects: how many jobs wait, and in how many instances.
func Waiting(s tracker.Scope, open []tracker.OpenJobs, p format.Language) string {
	var jobs int64
	instances := map[string]bool{}
	for _, o := range open {
		if o.Queued > 0 && s.Covers(o.Service, o.Instance) {
			jobs += o.Queued
			instances[o.Instance] = true
		}
	}
	if len(instances) < 2 {
		return p.Tf("Queued jobs that wait: %s. Running jobs continue.", format.Thousands(p, jobs))
	}
	return p.Tf("Queued jobs that wait: %s, in %s instances. Running jobs continue.", format.Thousands(p, jobs), format.Thousands(p, len(instances)))
}
