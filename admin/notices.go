package admin

import (
	"context"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/internal/host"
)

// notices returns what is no problem now, and would make one worse. They are no alerts.
func (p *request) notices(ctx context.Context) []alert.Alert {
	list := []alert.Alert{}
	idle, err := p.h.engine.Internals(host.NewKey()).IdleLimit(ctx)
	if err != nil || idle.Setting == "" {
		return list // a database that does not answer has alerts
	}
	notice := alert.Alert{
		Severity: alert.SeverityNotice,
		Text:     p.Tf("%s does not end transactions that nobody uses.", idle.Server),
		Effect:   p.T("If a process freezes in a transaction, or its machine is lost, the rows that it has locked stay locked, and their jobs wait."),
		Advice:   p.Tf("Set %s for the database user of this application: docs/operations.md says how.", idle.Setting),
	}
	if idle.Limit > 0 {
		notice.Text = p.Tf("%s ends transactions that nobody uses only after %s.", idle.Server, format.Span(p, idle.Limit))
	}
	return append(list, notice)
}
