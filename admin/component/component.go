// Package component holds templ components that a host's own pages reuse: a row's
// sync badge, the line that says when a list was last synced, a link to a job, what was
// done to an object. They
// bring classes (nawasync-badge, nawasync-good, -wait, -bad, …) and no styles.
package component

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

func stateClass(state nawasync.SyncState) string {
	switch {
	case state.Pending():
		return "nawasync-wait"
	case state == nawasync.StateFailed, state == nawasync.StateConflict:
		return "nawasync-bad"
	case state == nawasync.StateMissing:
		return "nawasync-missing"
	}
	return "nawasync-good"
}

func stateSign(state nawasync.SyncState) string {
	switch {
	case state.Pending():
		return "…"
	case state == nawasync.StateFailed:
		return "✗"
	case state == nawasync.StateConflict:
		return "≠"
	case state == nawasync.StateMissing:
		return "?"
	}
	return "✓"
}

func stateWord(s nawasync.SyncStatus) string {
	switch s.State {
	case nawasync.StatePendingCreate:
		return "being created"
	case nawasync.StatePendingUpdate:
		return "being changed"
	case nawasync.StatePendingDelete:
		return "being deleted"
	case nawasync.StateSynced:
		return "in sync"
	case nawasync.StateMissing, nawasync.StateFailed, nawasync.StateConflict:
	}
	return strings.ReplaceAll(string(s.State), "_", " ")
}

// StatusSign goes with the word of a job's status, for who sees no colours; "" for a
// status that is none.
func StatusSign(s tracker.Status) string {
	return map[tracker.Status]string{
		tracker.StatusQueued: "◷", tracker.StatusRunning: "▶", tracker.StatusSuccess: "✓", tracker.StatusFailed: "✗",
		tracker.StatusConflict: "≠", tracker.StatusSkipped: "–", tracker.StatusCancelled: "⊘",
	}[s]
}

// event is one line of a timeline.
type event struct {
	at   time.Time
	id   int64 // of the job, or of the sync
	job  *tracker.Job
	what string
}

func timeline(jobs []*tracker.Job, changes []tracker.Change) (list []event) {
	for _, job := range jobs {
		list = append(list, event{at: job.CreatedAt, id: job.ID, job: job})
	}
	for _, c := range changes {
		what := string(c.Kind)
		var fields map[string]json.RawMessage
		if json.Unmarshal(c.Fields, &fields) == nil && len(fields) > 0 {
			what += ": " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
		}
		list = append(list, event{at: c.At, id: c.JobID, what: what})
	}
	slices.SortStableFunc(list, func(a, b event) int { return b.at.Compare(a.at) })
	return list
}

// problem is what is wrong with a row; while a job is at it that is an old story.
func problem(s nawasync.SyncStatus) string {
	if s.IsPending() {
		return ""
	}
	return s.SyncError
}

// timeAgo is how long ago, in the largest unit that says something.
func timeAgo(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
