package admin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// T returns the text in the reader's language, or the text itself. messages.txt lists all texts that are passed to T
// and Tf; a test keeps the list complete.
func (p *request) T(text string) string { return p.language.T(text) }

// Tf is T for a format string.
func (p *request) Tf(format string, args ...any) string { return fmt.Sprintf(p.T(format), args...) }

// plural returns the text one if n is 1, and otherwise the text many formatted with n. messages.txt
// lists both.
func (p *request) plural(n int64, one, many string) string {
	if n == 1 {
		return p.T(one)
	}
	return p.Tf(many, format.Thousands(p, n))
}

// jobCount returns a number of jobs with its unit.
func (p *request) jobCount(n int64) string { return p.plural(n, "1 job", "%s jobs") }

// message returns a message of package query in the reader's language.
func (p *request) message(t query.Message) string {
	args := slices.Clone(t.Args)
	for i, arg := range args {
		if inner, ok := arg.(query.Message); ok {
			args[i] = p.message(inner)
		}
	}
	return p.Tf(t.Format, args...)
}

func (p *request) status(s tracker.Status) string { return format.Status(p, s) }

// stateWord returns the word for the state of a job.
func (p *request) stateWord(j *tracker.Job) string {
	switch {
	case j.Status == tracker.StatusRunning && !j.CancelAt.IsZero():
		return p.T("cancelling…")
	case j.Status == tracker.StatusRunning && j.Stuck(p.now):
		return p.T("stuck")
	case j.Status == tracker.StatusQueued && j.Attempt > 0:
		return p.T("retrying")
	}
	return p.status(j.Status)
}

// sourceText returns the text for what dispatched a job.
func (p *request) sourceText(source string) string {
	switch nawasync.Source(source) {
	case nawasync.SourceManual:
		return p.T("manual")
	case nawasync.SourceScheduled:
		return p.T("scheduled")
	case nawasync.SourceEvent:
		return p.T("event")
	case nawasync.SourceAPI:
		return p.T("API")
	case nawasync.SourceRetry:
		return p.T("retry")
	}
	return source
}

// actionName returns the name of an operator's action as the audit log shows it. The application may have added
// entries with other actions.
func (p *request) actionName(action string) string {
	if bulk, found := strings.CutPrefix(action, "bulk "); found {
		return p.Tf("bulk %s", p.actionName(bulk))
	}
	switch action {
	case "retry":
		return p.T("retry")
	case "cancel":
		return p.T("cancel")
	case "delete":
		return p.T("delete")
	case "restore":
		return p.T("restore")
	case "restore_row":
		return p.T("restore row")
	case "keep_theirs":
		return p.T("keep theirs")
	case "accept":
		return p.T("accept")
	case "apply_mine":
		return p.T("apply mine")
	case "overwrite":
		return p.T("overwrite")
	case "pause":
		return p.T("pause")
	case "resume":
		return p.T("resume")
	case "sync":
		return p.T("sync")
	case "plan":
		return p.T("plan sync")
	case "release":
		return p.T("release")
	case "reject":
		return p.T("reject")
	case "forget":
		return p.T("forget")
	case "pause_schedule":
		return p.T("pause schedule")
	case "resume_schedule":
		return p.T("resume schedule")
	case tracker.DeployAction:
		return p.T("new version")
	case "run_schedule":
		return p.T("run schedule")
	case "export_audit_log":
		return p.T("export audit log")
	}
	return strings.ReplaceAll(action, "_", " ")
}

// tone returns the CSS class of a status.
func tone(s tracker.Status) string {
	return map[tracker.Status]string{
		tracker.StatusQueued: "wait", tracker.StatusRunning: "busy", tracker.StatusSuccess: "good", tracker.StatusFailed: "bad",
		tracker.StatusConflict: "odd", tracker.StatusSkipped: "calm",
		tracker.StatusCancelled: "calm",
	}[s]
}

// outcome returns the text for the outcome of an attempt.
func (p *request) outcome(outcome tracker.Outcome) string {
	switch outcome {
	case tracker.OutcomeRetry:
		return p.T("failed, will be retried")
	case tracker.OutcomeRetryAfter:
		return p.T("will be retried later, as the handler requested")
	case tracker.OutcomeStopped:
		return p.T("stopped: worker process shut down")
	case tracker.OutcomeParked:
		return p.T("parked")
	case tracker.OutcomeDatabase:
		return p.T("database unreachable, will be retried")
	case tracker.OutcomeReaped:
		return p.T("worker process died")
	}
	return p.status(tracker.Status(outcome))
}

// state returns the text for the state of a snapshot row.
func (p *request) state(s nawasync.SyncState) string {
	switch s {
	case nawasync.StateSynced:
		return p.T("synced")
	case nawasync.StatePendingCreate:
		return p.T("being created")
	case nawasync.StatePendingUpdate:
		return p.T("being updated")
	case nawasync.StatePendingDelete:
		return p.T("being deleted")
	case nawasync.StateFailed:
		return p.T("failed")
	case nawasync.StateConflict:
		return p.T("conflict")
	case nawasync.StateMissing:
		return p.T("missing")
	case tracker.StateDeleted:
		return p.T("deleted")
	}
	return string(s)
}

// fullTime formats a time in the reader's zone, with its offset.
func (p *request) fullTime(t time.Time) string {
	return t.In(p.zone).Format("2006-01-02 15:04:05 -07:00")
}

// shortTime formats a time in the reader's zone, without the date if it is today.
func (p *request) shortTime(t time.Time) string {
	t = t.In(p.zone)
	if now := p.now.In(p.zone); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

// windowName returns the name of a time window, which a query writes as 24h.
func (p *request) windowName(window string) string {
	switch window {
	case "15m":
		return p.T("15m")
	case "1h":
		return p.T("1h")
	case "24h":
		return p.T("24h")
	case "7d":
		return p.T("7d")
	case "30d":
		return p.T("30d")
	}
	return window
}

// timeAgo returns how long ago a time was, or how far in the future it is.
func (p *request) timeAgo(t time.Time) string {
	d := p.now.Sub(t)
	switch {
	case d < -time.Second:
		return p.Tf("in %s", format.Span(p, -d))
	case d < time.Second:
		return p.T("just now")
	case d < 10*time.Second:
		d = d.Truncate(time.Second)
	}
	return p.Tf("%s ago", format.Span(p, d))
}

// sortedKeys returns the keys of counts in order.
func sortedKeys[K cmp.Ordered](counts map[K]int64) []K { return slices.Sorted(maps.Keys(counts)) }

func contains(list []string, value string) bool { return slices.Contains(list, value) }

// flashRole returns the ARIA role of the flash. Screen readers announce an "alert" at once and a
// "status" when they are idle.
func (p *request) flashRole() string {
	if p.flash.Bad {
		return "alert"
	}
	return "status"
}
