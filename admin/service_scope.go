package admin

import (
	"context"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// exactPause returns the pause of the service or instance that the page shows, or nil. It ignores
// pauses of a wider or narrower scope.
func (v *serviceView) exactPause() *tracker.Scope {
	for _, s := range v.scopes {
		if s.Instance == v.instance {
			return &s
		}
	}
	return nil
}

// coveringPause returns what stops all jobs that the page shows, or nil.
func (v *serviceView) coveringPause() (found *tracker.Scope) {
	for _, s := range v.scopes { // the narrowest one: they are in the order of their instances
		if s.Covers(v.name, v.instance) {
			found = &s
		}
	}
	return found
}

// pauseText says what is paused or parked.
func (v *serviceView) pauseText(s tracker.Scope) string {
	switch name := v.scopeText(s.Service, s.Instance); {
	case s.Parked:
		s.Reason = "" // stands beside the text
		return alert.ScopeText(s, alertPage{v.request})
	case s.Until.Equal(tracker.Forever):
		return v.Tf("%s is paused by %s until an operator resumes the service.", name, s.By)
	default:
		return v.Tf("%s is paused by %s until %s.", name, s.By, v.fullTime(s.Until))
	}
}

// pauseEffect says what a pause or park affects, and when it ends by itself.
func (v *serviceView) pauseEffect(s tracker.Scope) string {
	text := alert.Waiting(s, v.open, v)
	switch {
	case alert.Unreachable(s):
		text += " " + v.Tf("One job tries again at %s, and the others start once the remote answers.", v.fullTime(s.Until))
	case s.Probes > 0:
		text += " " + v.Tf("One job tries the credentials at %s, and the others start once it succeeds.", v.fullTime(s.Until))
	case !s.RetryAfter.IsZero():
		text += " " + v.Tf("The remote has asked to wait until %s, which Resume does not end.", v.fullTime(s.RetryAfter))
	}
	return text
}

// pauseScopes returns what a pause on the page of an instance can concern: the instance, and the scopes that
// cover it and that the subject may pause.
func (v *serviceView) pauseScopes() (list []string) {
	for _, scope := range sqlkit.ScopesOf(v.instance) {
		if scope == v.instance || scope != "" && v.viewer.allowed(PermissionService, v.name, scope) && v.viewer.viewsScope(v.name, scope) {
			list = append([]string{scope}, list...)
		}
	}
	return list
}

// pauseLabel returns the label of the button that pauses what the form names.
func (v *serviceView) pauseLabel() string {
	if len(v.pauseScopes()) > 1 {
		return v.T("Pause")
	}
	return v.Tf("Pause %s", v.scopeText(v.name, v.instance))
}

// resumedText says that a scope was resumed, and what its jobs wait for nevertheless.
func (p *request) resumedText(ctx context.Context, service, instance string) string {
	scopes, err := p.store().Scopes(ctx)
	name := p.scopeText(service, instance)
	for _, s := range scopes {
		switch {
		case err != nil || s.Service != service || s.Instance != instance:
		case !s.RetryAfter.IsZero():
			return p.Tf("%s has been resumed. Its jobs start at %s, because the remote has asked to wait until then.", name, p.fullTime(s.RetryAfter))
		case alert.Unreachable(s):
			return p.Tf("One job of %s tries to reach the remote now. The others start once the remote answers.", name)
		}
	}
	return p.Tf("%s has been resumed.", name)
}
