package admin

import (
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/tracker"
)

// auditView is the data of the audit log page.
type auditView struct {
	*request
	entries         []tracker.AuditEntry
	older           int64 // ID of the last entry on this page if there are older ones, or 0
	subject, action string
}

const auditPageSize = 50

func (p *request) auditLog() error {
	q := p.r.URL.Query()
	v := &auditView{request: p, subject: strings.TrimSpace(q.Get("subject")), action: strings.TrimSpace(q.Get("action"))}
	p.title, p.section = p.T("Audit log"), "audit"
	p.recordLeftOut()
	var err error
	v.entries, err = p.store().AuditLog(p.r.Context(), tracker.AuditFilter{
		Subject: v.subject, Action: v.action,
		Before: p.intParam("before"), Limit: auditPageSize + 1,
	})
	if err != nil {
		return err
	}
	if len(v.entries) > auditPageSize {
		v.entries = v.entries[:auditPageSize]
		v.older = v.entries[auditPageSize-1].ID
	}
	return p.render(auditLogPage(v))
}

func (v *auditView) olderURL() string {
	return v.url("/audit", "subject", v.subject, "action", v.action, "before", strconv.FormatInt(v.older, 10))
}

// auditOutcome returns how the pages show the outcome of an action.
func (p *request) auditOutcome(a tracker.AuditEntry) (sign, word, tone string) {
	switch a.Outcome {
	case tracker.AuditRefused:
		return "⊘", p.T("not permitted"), "warn"
	case tracker.AuditFailed:
		return "✗", p.T("failed"), "bad"
	}
	return "✓", p.T("done"), "good"
}

func (p *request) auditTargetURL(a tracker.AuditEntry) string {
	return p.url("/target", "service", a.Service, "type", a.Type, "instance", a.Instance, "id", a.TargetID)
}
