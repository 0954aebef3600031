// Package component provides templ components for an application's own pages: the sync badge of a
// row, the line that shows when a list was last synced, a link to a job, and the history of a
// target. The components set CSS classes (nawasync-badge, nawasync-good, -wait, -bad, …) but bring
// no styles. WithLanguage chooses their language.
package component

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/language"
	"github.com/nawasara/nawasync/tracker"
)

func stateClass(state nawasync.SyncState) string {
	switch {
	case state.Pending():
		return "nawasync-wait"
	case state == nawasync.StateFailed, state == nawasync.StateConflict:
		return "nawasync-bad"
	case state == nawasync.StateMissing, state == tracker.StateDeleted:
		return "nawasync-missing"
	}
	return "nawasync-good"
}

func stateSign(state nawasync.SyncState) string {
	switch {
	case state.Pending():
		return "◐"
	case state == nawasync.StateFailed:
		return "✗"
	case state == nawasync.StateConflict:
		return "⇄"
	case state == nawasync.StateMissing:
		return "?"
	case state == tracker.StateDeleted:
		return "–"
	}
	return "✓"
}

func stateWord(l *language.Language, s nawasync.SyncStatus) string {
	switch s.State {
	case nawasync.StatePendingCreate:
		return l.T("being created")
	case nawasync.StatePendingUpdate:
		return l.T("being changed")
	case nawasync.StatePendingDelete:
		return l.T("being deleted")
	case nawasync.StateSynced:
		return l.T("in sync")
	case nawasync.StateMissing:
		return l.T("missing")
	case nawasync.StateFailed:
		return l.T("failed")
	case nawasync.StateConflict:
		return l.T("conflict")
	case tracker.StateDeleted:
		return l.T("deleted")
	}
	return strings.ReplaceAll(string(s.State), "_", " ")
}

// StatusSign returns a sign for a job's status. Show it beside the word, for readers who cannot tell
// the colours apart. It returns "" for an unknown status.
func StatusSign(s tracker.Status) string {
	return map[tracker.Status]string{
		tracker.StatusQueued: "○", tracker.StatusRunning: "◐", tracker.StatusSuccess: "✓", tracker.StatusFailed: "✗",
		tracker.StatusConflict: "⇄", tracker.StatusSkipped: "–", tracker.StatusCancelled: "⊘",
	}[s]
}

// event is a line of a timeline: a job, or a change that a sync found.
type event struct {
	at     time.Time
	jobID  int64        // the job, or the sync that found the change
	job    *tracker.Job // nil for a change
	change string       // its kind and its fields
}

func timeline(l *language.Language, jobs []*tracker.Job, changes []tracker.Change) (list []event) {
	for _, job := range jobs {
		list = append(list, event{at: job.CreatedAt, jobID: job.ID, job: job})
	}
	for _, c := range changes {
		text := changeWord(l, c.Kind)
		var fields map[string]json.RawMessage
		if json.Unmarshal(c.Fields, &fields) == nil && len(fields) > 0 {
			text += ": " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
		}
		list = append(list, event{at: c.At, jobID: c.JobID, change: text})
	}
	slices.SortStableFunc(list, func(a, b event) int { return b.at.Compare(a.at) })
	return list
}

func changeWord(l *language.Language, kind tracker.ChangeKind) string {
	switch kind {
	case tracker.ChangeAppeared:
		return l.T("new on the remote")
	case tracker.ChangeDrifted:
		return l.T("changed on the remote")
	case tracker.ChangeVanished:
		return l.T("missing from the listing")
	case tracker.ChangeReturned:
		return l.T("listed again")
	case tracker.ChangeSideEffect:
		return l.T("changed together with a job's change, although nobody asked for it")
	case tracker.ChangeDeleted:
		return l.T("deleted, because the remote no longer has the object")
	case tracker.ChangeMoved:
		return l.T("was in another scope before")
	}
	return string(kind)
}

// problem returns the row's error. It returns "" while a job is pending, because the error is from
// an earlier job.
func problem(s nawasync.SyncStatus) string {
	if s.IsPending() {
		return ""
	}
	return s.SyncError
}

// timeAgo returns how long ago a time was, in a suitable unit.
func timeAgo(l *language.Language, d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return l.T("just now")
	case d < 2*time.Minute:
		return l.Tf("%d seconds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return l.Tf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return l.Tf("%d hours ago", int(d.Hours()))
	}
	return l.Tf("%d days ago", int(d.Hours()/24))
}
