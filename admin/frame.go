package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/scheduler"
	"github.com/nawasara/nawasync/tracker"
)

// sections are the pages' main places.
func (p *page) sections() []tab {
	if !p.viewer.anywhere(PermissionView) {
		return nil
	}
	return []tab{
		{name: p.T("Jobs"), url: p.url("/jobs"), current: p.section == "jobs"},
		{name: p.T("Health"), url: p.url("/health"), current: p.section == "health"},
		{name: p.T("Services"), url: p.url("/services"), current: p.section == "services"},
		{name: p.T("Bulk"), url: p.url("/bulk"), current: p.section == "bulk"},
		{name: p.T("Activity"), url: p.url("/activity"), current: p.section == "activity"},
	}
}

// flashRole has a mishap read out at once, and anything else when there is time.
func (p *page) flashRole() string {
	if p.flash.Bad {
		return "alert"
	}
	return "status"
}

// sorted are the keys of counts.
func sorted(counts map[string]int64) []string { return slices.Sorted(maps.Keys(counts)) }

func has(list []string, value string) bool { return slices.Contains(list, value) }

func mark(good bool) string {
	if good {
		return "✓"
	}
	return "!"
}

// input is a field of the plain form.
type input struct{ field, name, value string }

func (v *jobsView) inputs() []input {
	names := map[string]string{
		"type": v.T("Type"), "instance": v.T("Instance"), "action": v.T("Action"), "target": v.T("Target"), "by": v.T("By"), "error": v.T("Error contains"), "since": v.T("Created within"),
	}
	var list []input
	for _, field := range formFields[1:] {
		list = append(list, input{field, names[field], v.query.value(field)})
	}
	return list
}

// kept says how long a list goes back.
func (v *jobsView) kept() string {
	days := func(s tracker.Status) int { return int(v.h.engine.Kept(s).Hours() / 24) }
	return v.Tf("Successes are kept %d days, all other endings %d.", days(tracker.Success), days(tracker.Failed))
}

// waitedRan is how long a job waited since it first came due, and its last attempt ran.
func (p *page) waitedRan(j *tracker.Job) string {
	switch {
	case j.StartedAt.IsZero() && j.Status.Terminal():
		return "–"
	case j.StartedAt.IsZero():
		return span(p.now.Sub(j.DueAt)) + ", –"
	case j.Status == tracker.Running:
		return span(j.StartedAt.Sub(j.DueAt)) + ", " + span(p.now.Sub(j.StartedAt)) + "…"
	}
	return span(j.StartedAt.Sub(j.DueAt)) + ", " + span(j.Duration)
}

func (v *jobView) actURL(act string) string { return v.url(fmt.Sprintf("/jobs/%d/%s", v.job.ID, act)) }

// answer is one way to end a conflict.
type answer struct{ act, name, hint, class string }

func (v *jobView) answers() []answer {
	list := []answer{{"resync", v.T("Resync"), v.T("Take what the remote has; nothing is written there."), "main"}}
	if v.job.SnapshotState != nawasync.StatePendingCreate {
		list = append(list,
			answer{"rebase", v.T("Rebase and retry"), v.T("Write what was wanted, if the remote still has what stands here."), ""},
			answer{"overwrite", v.T("Overwrite"), v.T("Write what was wanted, whatever the remote has by now."), "danger"})
	}
	return list
}

// overlay is whether the job is really in Redis.
func (v *jobView) overlay() string {
	switch v.queue {
	case nawasync.QueueWaits:
		return v.T("(its bell is in Redis)")
	case nawasync.QueueMissing:
		return v.T("(its bell is not in Redis; it is rung again within seconds)")
	case nawasync.QueueNotYet:
		return v.T("(not in Redis yet: it is not its time, or not its turn)")
	case nawasync.QueueUnknown:
		return v.T("(this process cannot look into Redis)")
	}
	return ""
}

// milestone is a moment of a job's life.
type milestone struct {
	at          time.Time
	text, after string
	tone        string
}

func (v *jobView) moments() []milestone {
	j := v.job
	list := []milestone{{at: j.CreatedAt, text: v.T("dispatched"), tone: "calm"}}
	if j.DueAt.After(j.CreatedAt.Add(time.Second)) {
		list = append(list, milestone{at: j.DueAt, text: v.T("first due"), tone: "calm"})
	}
	for _, a := range v.attempts {
		list = append(list, milestone{at: a.StartedAt, text: v.Tf("attempt %d", a.Attempt), tone: "calm"},
			milestone{at: a.EndedAt, text: a.Outcome, tone: outcomeTone(a.Outcome)})
	}
	if j.Status == tracker.Running {
		list = append(list, milestone{at: j.StartedAt, text: v.Tf("attempt %d", j.Attempt), tone: "busy"})
	}
	if !j.CancelAt.IsZero() {
		list = append(list, milestone{at: j.CancelAt, text: v.Tf("%s asked for its end", j.CancelBy), tone: "warn"})
	}
	for _, a := range v.acts {
		list = append(list, milestone{at: a.At, text: a.Act + ": " + a.Subject, tone: "calm"})
	}
	if !j.FinishedAt.IsZero() && len(v.attempts) == 0 {
		list = append(list, milestone{at: j.FinishedAt, text: v.status(j.Status), tone: tone(j.Status)})
	}
	if j.Status == tracker.Queued && j.NotBefore.After(v.now) {
		list = append(list, milestone{at: j.NotBefore, text: v.T("next due"), tone: "wait"})
	}
	slices.SortStableFunc(list, func(a, b milestone) int { return a.at.Compare(b.at) })
	for i := 1; i < len(list); i++ {
		list[i].after = "+" + span(list[i].at.Sub(list[i-1].at))
	}
	return list
}

func outcomeTone(outcome string) string {
	if t := tone(tracker.Status(outcome)); t != "" {
		return t
	}
	return "warn" // retry, parked, stopped, reaped
}

// document is one of a job's JSON documents.
type document struct{ name, text, hint string }

func (v *jobView) documents() []document {
	var list []document
	for _, d := range []document{
		{v.T("Arguments"), pretty(v.job.Payload), v.T("As people may see them: what is secret is masked, and shown nowhere.")},
		{v.T("Result"), pretty(v.job.Result), ""},
		{v.T("Progress"), pretty(v.job.Progress), ""},
	} {
		if d.text != "" {
			list = append(list, d)
		}
	}
	return list
}

func quantiles(s serviceHealth) string {
	if s.runs.Count() == 0 {
		return "–"
	}
	return span(s.RunP50) + ", " + span(s.RunP95)
}

// total is one of the figures of the health page.
type total struct {
	name, url   string
	now, before int64
}

func (v *healthView) figures() []total {
	since := "since:" + v.Window
	return []total{
		{v.T("Ended"), v.queryURL(since), v.Totals.Ended, v.Before.Ended},
		{v.T("Succeeded"), v.queryURL("status:success", since), v.Totals.Success, v.Before.Success},
		{v.T("Failed"), v.queryURL("status:failed", since), v.Totals.Failed, v.Before.Failed},
		{v.T("Other endings"), v.queryURL("status:cancelled,conflict,skipped", since), v.Totals.Other, v.Before.Other},
	}
}

func (v *serviceView) instanceTabs() []tab {
	list := []tab{{name: v.T("All"), url: v.url("/services/" + v.name), current: v.instance == ""}}
	for _, instance := range v.instances {
		list = append(list, tab{name: instance, url: v.url("/services/"+v.name, "instance", instance), current: v.instance == instance})
	}
	return list
}

// state is how the service stands, in a sentence.
func (v *serviceView) state() string {
	switch {
	case slices.ContainsFunc(v.scopes, func(s tracker.Scope) bool { return s.Parked }):
		return v.T("Parked: the remote has refused, and the engine waits.")
	case slices.ContainsFunc(v.scopes, func(s tracker.Scope) bool { return s.Instance == "" || s.Instance == v.instance }):
		return v.T("Paused.")
	case len(v.scopes) > 0:
		return v.T("Paused in part.")
	case v.processes == 0:
		return v.T("No live process serves it.")
	case v.processes == 1:
		return v.Tf("One process serves it; %s jobs wait.", thousands(v.waiting))
	}
	return v.Tf("%d processes serve it; %s jobs wait.", v.processes, thousands(v.waiting))
}

func (v *serviceView) pauseText(s tracker.Scope) string {
	switch name := place(s.Service, s.Instance); {
	case s.Parked:
		return v.Tf("%s is parked until %s.", name, v.moment(s.Until))
	case s.Until.Equal(tracker.Forever):
		return v.Tf("%s is paused by %s until somebody resumes it.", name, s.By)
	default:
		return v.Tf("%s is paused by %s until %s.", name, s.By, v.moment(s.Until))
	}
}

func (v *serviceView) kindURL(s serviceHealth, terms ...string) string {
	terms = append(terms, "service:"+s.Service, "type:"+s.Type, "action:"+s.Action)
	if v.instance != "" {
		terms = append(terms, "instance:"+quoted(v.instance, false))
	}
	return v.queryURL(terms...)
}

// nextTick is when a schedule is due after a time; the zero time where its rule cannot
// be read.
func nextTick(s tracker.Schedule, after time.Time) time.Time {
	rule, err := scheduler.Parse(s.Spec, s.Timezone)
	if err != nil {
		return time.Time{}
	}
	return rule.Next(after)
}

func stateTone(s nawasync.SyncState) string {
	switch {
	case s.Pending():
		return "wait"
	case s == nawasync.StateFailed:
		return "bad"
	case s == nawasync.StateConflict, s == nawasync.StateMissing:
		return "warn"
	}
	return "good"
}

func stateWord(s nawasync.SyncState) string { return strings.ReplaceAll(string(s), "_", " ") }
