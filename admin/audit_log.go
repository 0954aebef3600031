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

// addressText returns how the audit log shows the address of an operator, or the bulk run that acted for one.
func (p *request) addressText(address string) string {
	if id, err := strconv.ParseInt(strings.TrimPrefix(address, runAddressPrefix), 10, 64); err == nil {
		return p.Tf("bulk run %d", id)
	}
	return address
}

// detailText returns how the audit log shows the detail of an action. The engine stores its details in English.
func (p *request) detailText(detail string) string {
	switch detail {
	case "cancellation requested":
		return p.T("cancellation requested")
	case "the job was already deleted":
		return p.T("the job was already deleted")
	case "the job was not deleted":
		return p.T("the job was not deleted")
	}
	if id, err := strconv.ParseInt(strings.TrimPrefix(detail, "job "), 10, 64); err == nil {
		return p.Tf("job %d", id)
	}
	return detail
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
