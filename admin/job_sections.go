package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

func (v *jobView) actionURL(action string) string {
	return v.url(fmt.Sprintf("/jobs/%d/%s", v.job.ID, action))
}

// milestone is an entry in a job's timeline.
type milestone struct {
	at    time.Time
	text  string
	after string // the time since the previous milestone, such as "+3 s"
	tone  string
	// Of an operator's action: what the audit log says of it.
	detail, reason string
}

func (v *jobView) milestones() []milestone {
	j := v.job
	list := []milestone{{at: j.CreatedAt, text: v.T("dispatched"), tone: "calm"}}
	if j.DueAt.After(j.CreatedAt.Add(time.Second)) {
		list = append(list, milestone{at: j.DueAt, text: v.T("first due"), tone: "calm"})
	}
	for i, a := range v.attempts {
		if i == 0 {
			list = append(list, milestone{at: a.StartedAt, text: v.T("first attempt"), tone: "calm"})
		}
	}
	if j.Status == tracker.StatusRunning {
		list = append(list, milestone{at: j.StartedAt, text: v.Tf("attempt %d", j.Attempt), tone: "busy"})
	}
	if !j.CancelAt.IsZero() {
		list = append(list, milestone{at: j.CancelAt, text: v.Tf("cancellation requested by %s", j.CancelBy), tone: "warn"})
	}
	for _, a := range v.entries {
		_, word, tone := v.auditOutcome(a)
		m := milestone{at: a.At, text: v.actionName(a.Action) + ": " + a.Subject, tone: "calm", detail: v.detailText(a.Detail), reason: a.Reason}
		if a.Outcome != tracker.AuditDone {
			m.tone, m.detail = tone, strings.TrimSpace(word+" "+v.detailText(a.Detail))
		}
		list = append(list, m)
	}
	if !j.FinishedAt.IsZero() {
		list = append(list, milestone{at: j.FinishedAt, text: v.status(j.Status), tone: tone(j.Status)})
	}
	if j.Status == tracker.StatusQueued && j.NotBefore.After(v.now) {
		list = append(list, milestone{at: j.NotBefore, text: v.T("next due"), tone: "wait"})
	}
	slices.SortStableFunc(list, func(a, b milestone) int { return a.at.Compare(b.at) })
	for i := 1; i < len(list); i++ {
		list[i].after = "+" + format.Span(v, list[i].at.Sub(list[i-1].at))
	}
	return list
}

func outcomeTone(outcome tracker.Outcome) string {
	if t := tone(tracker.Status(outcome)); t != "" {
		return t
	}
	return "warn" // the outcomes that are not a job status: retry, parked, stopped, reaped
}

// outcomeIcon returns the icon of an attempt's outcome.
func outcomeIcon(outcome tracker.Outcome) string {
	if tone(tracker.Status(outcome)) != "" {
		return string(outcome)
	}
	return string(tracker.StatusQueued) // the job went back to the queue
}

// document is a JSON document of a job, indented for reading.
type document struct{ name, text, hint string }

func (v *jobView) documents() []document {
	var list []document
	for _, d := range []document{
		{v.T("Arguments"), prettyJSON(v.job.Payload), v.T("Secrets are masked. No page shows them.")},
		{v.T("Result"), prettyJSON(v.job.Result), ""},
	} {
		if d.text != "" {
			list = append(list, d)
		}
	}
	return list
}
