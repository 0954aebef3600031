// Package alert finds what needs a person, in facts that a page has read.
package alert

import (
	"cmp"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// Alert is something that needs a person.
type Alert struct {
	Severity int       `json:"severity"` // Broken or Doubtful
	Text     string    `json:"text"`     // what is so
	Since    time.Time `json:"since,omitzero"`
	URL      string    `json:"-"`      // where to look
	Advice   string    `json:"advice"` // what to do
}

// The severities of an Alert.
const (
	SeverityWarning  = 1
	SeverityCritical = 2
)

// The limits above which something is an alert.
const (
	lateAfter  = 5 * time.Minute // a due job waits
	staleAfter = 26 * time.Hour  // a table was synced that no schedule syncs
	aliveFor   = 20 * time.Second
	minEnded   = 20 // ended jobs, below which a share says nothing
	maxAlerts  = 20
)

// Facts are what alerts are found in: of the services that the reader may see only.
type Facts struct {
	Now          time.Time
	Open         []tracker.OpenJobs
	Processes    []tracker.Process
	Scopes       []tracker.Scope
	Holds        []tracker.Hold
	Schedules    []tracker.Schedule
	Successes    []tracker.LastSuccess
	Repositories []nawasync.RepositoryInfo
	Services     []Service
	// Conflicts are the first of those that wait for an answer, ConflictsQuery finds all.
	Conflicts      tracker.Results
	ConflictsQuery []string
	// Ended is the query's term for the window of the figures.
	Ended string
}

// Service is how a service's jobs ended in a window, and in the one before.
type Service struct {
	Name                      string
	Ended, Success, Failed    int64
	EndedBefore, FailedBefore int64
}

// Page is what alerts need of the page that shows them.
type Page interface {
	T(text string) string
	Tf(format string, args ...any) string
	Moment(t time.Time) string
	Ago(t time.Time) string
	Place(service, instance string) string
	QueryURL(terms ...string) string
	ServiceURL(service string) string
	JobURL(id int64) string
}

// Find returns the alerts, what is broken first; up to 20.
func Find(f Facts, p Page) []Alert {
	found := slices.Concat(
		checkOpen(f, p), checkScopes(f, p), checkHolds(f, p), checkConflicts(f, p), checkSchedules(f, p), checkSnapshots(f, p), checkFailures(f, p),
	)
	slices.SortStableFunc(found, func(a, b Alert) int { return cmp.Compare(b.Severity, a.Severity) })
	return found[:min(len(found), maxAlerts)]
}

// Alive are the processes that beat.
func Alive(list []tracker.Process, now time.Time) []tracker.Process {
	return slices.DeleteFunc(slices.Clone(list), func(p tracker.Process) bool { return now.Sub(p.BeatAt) > aliveFor })
}
