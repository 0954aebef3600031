package admin

import (
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/tracker"
)

// auditView is what operators did.
type auditView struct {
	*request
	entries         []tracker.AuditEntry
	older           int64
	subject, action string
}

const auditPageSize = 50

func (p *request) auditLog() error {
	q := p.r.URL.Query()
	v := &auditView{request: p, subject: strings.TrimSpace(q.Get("subject")), action: strings.TrimSpace(q.Get("act"))}
	p.title, p.section = p.T("Activity"), "activity"
	var err error
	v.entries, err = p.store().AuditLog(p.r.Context(), tracker.AuditFilter{
		Services: p.viewer.services(), Subject: v.subject, Action: v.action,
		Before: p.number("before"), Limit: auditPageSize + 1,
	})
	if err != nil {
		return err
	}
	if len(v.entries) > auditPageSize {
		v.entries = v.entries[:auditPageSize]
		v.older = v.entries[auditPageSize-1].ID
	}
	return p.render(activityPageOf(v))
}

func (v *auditView) olderURL() string {
	return v.url("/activity", "subject", v.subject, "act", v.action, "before", strconv.FormatInt(v.older, 10))
}

func (p *request) auditOutcome(a tracker.AuditEntry) (sign, word, tone string) {
	switch a.Outcome {
	case tracker.AuditRefused:
		return "⊘", p.T("refused"), "warn"
	case tracker.AuditFailed:
		return "✗", p.T("failed"), "bad"
	}
	return "✓", p.T("done"), "good"
}

func (p *request) auditTarget(a tracker.AuditEntry) string {
	return p.url("/target", "service", a.Service, "type", a.Type, "instance", a.Instance, "id", a.TargetID)
}
