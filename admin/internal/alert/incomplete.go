package alert

import (
	"github.com/nawasara/nawasync/admin/internal/format"
)

// checkIncomplete finds syncs that succeeded and left something out.
func checkIncomplete(in Input, p Formatter) (list []Alert) {
	for _, s := range in.Successes {
		result, found := in.Incomplete[s.JobID]
		if !found {
			continue
		}
		scope := p.ScopeText(s.Service+"/"+s.Type, s.Instance)
		add := func(text, effect, advice string) {
			list = append(list, Alert{
				Severity: SeverityWarning, Text: text, Since: s.At, Effect: effect, Advice: advice, Next: Next{Label: p.T("Show the sync"), URL: p.JobURL(s.JobID)},
			})
		}
		if result.Refused > 0 {
			add(p.Tf("The last sync of %s could not store all objects. Not stored: %s, for example %s", scope, format.Thousands(p, result.Refused), first(result.Refusals)),
				p.T("The other objects are in sync."), p.T("Fix the objects that the job names on the remote, or the columns of the table."))
		}
		if result.Collided > 0 {
			add(p.Tf("Rows of %s stand for the same object as another row: %s, for example %s", scope, format.Thousands(p, result.Collided), first(result.Collisions)),
				p.T("Syncs leave these rows as they are."), p.T("Move what refers to the rows that the job names, then delete these rows."))
		}
		if result.PurgeRefused > 0 {
			add(p.Tf("The database keeps deleted rows of %s: %s, for example %s", scope, format.Thousands(p, result.PurgeRefused), first(result.PurgeRefusals)),
				p.T("The rows stay hidden in the table."), p.T("Remove what refers to the rows that the job names, or restore their objects."))
		}
	}
	return list
}

// first returns the first of some texts.
func first(list []string) string {
	if len(list) == 0 {
		return "…"
	}
	return format.FirstLine(list[0])
}
