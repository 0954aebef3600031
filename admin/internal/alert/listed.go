package alert

import (
	"slices"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// checkListed finds scopes of repositories that are listed for longer than a sync of them may take, and were never
// synced.
func checkListed(in Input, p Formatter) (list []Alert) {
	synced := map[tracker.LastSuccess]bool{}
	for _, s := range in.Successes {
		synced[tracker.LastSuccess{Service: s.Service, Type: s.Type, Action: s.Action, Instance: s.Instance}] = true
	}
	for _, l := range in.Listed {
		info, found := in.repository(l.Service, l.Type)
		s := tracker.LastSuccess{Service: l.Service, Type: l.Type, Action: info.Action, Instance: l.Instance}
		if !found || l.Gone() || synced[s] {
			continue
		}
		if s.At = l.ListedAt; in.Now.Before(in.StaleAt(s)) {
			continue
		}
		text := p.Tf("%s has never been synced, although the scope has been listed since %s.", p.ScopeText(l.Service+"/"+l.Type, l.Instance), p.FullTime(l.ListedAt))
		list = append(list, Alert{
			Severity: SeverityWarning, Text: text, Since: l.ListedAt, Effect: p.T("The snapshot lacks the objects of the remote."),
			Advice: p.T("Check the latest syncs."), Next: serviceStep(p, l.Service),
		})
	}
	return list
}

// repository returns the repository of a service and type.
func (in Input) repository(service, typ string) (nawasync.RepositoryInfo, bool) {
	i := slices.IndexFunc(in.Repositories, func(r nawasync.RepositoryInfo) bool { return r.Service == service && r.Type == typ })
	if i < 0 {
		return nawasync.RepositoryInfo{}, false
	}
	return in.Repositories[i], true
}

// follows reports whether the scopes of a repository are the rows of another one.
func (in Input) follows(service, typ string) bool {
	info, found := in.repository(service, typ)
	return found && info.Parent != ""
}

// Gone reports whether the scope of a last success is gone, so that nothing syncs it.
func (in Input) Gone(s tracker.LastSuccess) bool {
	return slices.ContainsFunc(in.Listed, func(l tracker.ListedScope) bool {
		return l.Gone() && l.Service == s.Service && l.Type == s.Type && l.Instance == s.Instance
	})
}
