package admin

import (
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

func (v *jobView) actionURL(action string) string {
	return v.url(fmt.Sprintf("/jobs/%d/%s", v.job.ID, action))
}

// conflictAnswer is one way to resolve a conflict. Class is the CSS class of its button. An answer that writes to
// the remote has the text of a box to tick.
type conflictAnswer struct{ action, name, hint, class, confirm string }

// answers returns the ways to resolve the job's conflict. If a creation found an
// object of another client, that object is the only possible answer.
func (v *jobView) answers() []conflictAnswer {
	list := []conflictAnswer{{"keep_theirs", v.T("Keep theirs"), v.T("Copies the remote's values into the snapshot and drops the requested change."), "main", ""}}
	if v.job.Overwritable() {
		list = append(list,
			conflictAnswer{"apply_mine", v.T("Apply mine on top"), v.T("Applies the requested change if the remote still has the values shown above."), "", v.T("Yes, write to the remote")},
			conflictAnswer{
				"overwrite", v.T("Overwrite"), v.T("Writes the requested values, whatever the remote has now."), "danger",
				v.T("Yes, overwrite the remote's values"),
			})
	}
	if values, err := v.job.ConflictValues(); err == nil && values.Answers.Accept {
		list = slices.Insert(list, 1, conflictAnswer{
			"accept", v.T("Accept"), v.T("Takes the remote's values for the requested ones, for example because the remote stores them in another form. Other requested fields are still written."), "", v.T("Yes, write the other fields"),
		})
	}
	return list
}

// milestone is an entry in a job's timeline.
type milestone struct {
	at    time.Time
	text  string
	after string // the time since the previous milestone, such as "+3 s"
	tone  string
}

func (v *jobView) milestones() []milestone {
	j := v.job
	list := []milestone{{at: j.CreatedAt, text: v.T("dispatched"), tone: "calm"}}
	if j.DueAt.After(j.CreatedAt.Add(time.Second)) {
		list = append(list, milestone{at: j.DueAt, text: v.T("first due"), tone: "calm"})
	}
	for _, a := range v.attempts {
		list = append(list, milestone{at: a.StartedAt, text: v.Tf("attempt %d", a.Attempt), tone: "calm"},
			milestone{at: a.EndedAt, text: v.outcome(a.Outcome), tone: outcomeTone(a.Outcome)})
	}
	if j.Status == tracker.StatusRunning {
		list = append(list, milestone{at: j.StartedAt, text: v.Tf("attempt %d", j.Attempt), tone: "busy"})
	}
	if !j.CancelAt.IsZero() {
		list = append(list, milestone{at: j.CancelAt, text: v.Tf("cancellation requested by %s", j.CancelBy), tone: "warn"})
	}
	for _, a := range v.entries {
		list = append(list, milestone{at: a.At, text: v.actionName(a.Action) + ": " + a.Subject, tone: "calm"})
	}
	if !j.FinishedAt.IsZero() && len(v.attempts) == 0 {
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

// document is a JSON document of a job, indented for reading.
type document struct{ name, text, hint string }

func (v *jobView) documents() []document {
	var list []document
	for _, d := range []document{
		{v.T("Arguments"), prettyJSON(v.job.Payload), v.T("Secrets are masked. No page shows them.")},
		{v.T("Result"), prettyJSON(v.job.Result), ""},
		{v.T("Progress"), prettyJSON(v.job.Progress), ""},
	} {
		if d.text != "" {
			list = append(list, d)
		}
	}
	return list
}
