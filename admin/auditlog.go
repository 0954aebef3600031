package admin

import (
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/tracker"
)

// activityView is what operators did.
type activityView struct {
	*page
	acts         []tracker.AuditEntry
	older        int64
	subject, act string
}

const activityPage = 50

func (p *page) activity() error {
	q := p.r.URL.Query()
	v := &activityView{page: p, subject: strings.TrimSpace(q.Get("subject")), act: strings.TrimSpace(q.Get("act"))}
	p.title, p.section = p.T("Activity"), "activity"
	var err error
	v.acts, err = p.store().AuditLog(p.r.Context(), tracker.AuditFilter{
		Services: p.viewer.services(), Subject: v.subject, Action: v.act,
		Before: p.number("before"), Limit: activityPage + 1,
	})
	if err != nil {
		return err
	}
	if len(v.acts) > activityPage {
		v.acts = v.acts[:activityPage]
		v.older = v.acts[activityPage-1].ID
	}
	return p.render(activityPageOf(v))
}

func (v *activityView) olderURL() string {
	return v.url("/activity", "subject", v.subject, "act", v.act, "before", strconv.FormatInt(v.older, 10))
}

func (p *page) actOutcome(a tracker.AuditEntry) (sign, word, tone string) {
	switch a.Outcome {
	case tracker.AuditRefused:
		return "⊘", p.T("refused"), "warn"
	case tracker.AuditFailed:
		return "✗", p.T("failed"), "bad"
	}
	return "✓", p.T("done"), "good"
}

func (p *page) actTarget(a tracker.AuditEntry) string {
	return p.url("/target", "service", a.Service, "type", a.Type, "instance", a.Instance, "id", a.TargetID)
}
