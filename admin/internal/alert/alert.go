// Package alert derives the alerts of the overview from data that the page has read.
package alert

import (
	"cmp"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// Alert is a problem that an operator should look at.
type Alert struct {
	Severity Severity  `json:"severity"` // SeverityWarning or SeverityCritical; SeverityNotice in a list of notices
	Text     string    `json:"text"`     // the cause
	Since    time.Time `json:"since,omitzero"`
	Effect   string    `json:"effect,omitempty"` // what the problem does to jobs and objects; "" if Text says it
	Advice   string    `json:"advice"`           // what the operator should do
	Next     Next      `json:"-"`
}

// Next is the next step: a link or, for a paused or parked scope, a form that resumes the scope.
type Next struct {
	Label, URL string
	// Resume is the scope that the step resumes. Readers who may not resume it get the link.
	Resume *tracker.Scope
}

// Severity says how serious an alert is.
type Severity int

// The severities of an Alert.
const (
	// SeverityNotice is not a problem, but would make one worse. Find returns none.
	SeverityNotice   Severity = 0
	SeverityWarning  Severity = 1
	SeverityCritical Severity = 2
)

const (
	lateAfter  = 5 * time.Minute  // how long a due job or a schedule's tick may be late
	staleAfter = 26 * time.Hour   // how old the last sync of a table without a schedule may be
	aliveFor   = 20 * time.Second // how long after its last heartbeat a process counts as live
	minEnded   = 20               // with fewer ended jobs a percentage would mislead
	maxAlerts  = 20
)

// Input is the data that alerts are derived from, limited to the services that the reader may view.
type Input struct {
	Now       time.Time
	Open      []tracker.OpenJobs
	Processes []tracker.Process
	// Stuck has the newest jobs past their deadline. Workers are all processes, which say what hinders these jobs,
	// if there are any.
	Stuck        []*tracker.Job
	Workers      []tracker.Process
	Scopes       []tracker.Scope
	Holds        []tracker.Hold
	Schedules    []tracker.Schedule
	Successes    []tracker.LastSuccess
	Repositories []nawasync.RepositoryInfo
	Listed       []tracker.ListedScope
	// Incomplete has the results of the last successful syncs that left something out, by the job's id.
	Incomplete map[int64]nawasync.SyncResult
	Services   []Service
	// Conflicts has the newest unresolved conflicts. The terms of ConflictsQuery find all of them.
	Conflicts      tracker.Results
	ConflictsQuery []string
	// RedisDownSince is when Redis stopped responding to this process, and zero while Redis
	// responds.
	RedisDownSince time.Time
	// Ended is the query term for jobs that ended in the window.
	Ended string
}

// Service has the number of a service's jobs that ended in a window and in the preceding one.
type Service struct {
	Name                      string
	Ended, Success, Failed    int64
	EndedBefore, FailedBefore int64
}

// Formatter translates texts and formats values and links for the page that shows the alerts.
type Formatter interface {
	format.Language
	FullTime(t time.Time) string
	TimeAgo(t time.Time) string
	ScopeText(service, instance string) string
	QueryURL(terms ...string) string
	ServiceURL(service string) string
	JobURL(id int64) string
	WorkersURL() string
}

// Find returns up to 20 alerts, the critical ones first.
func Find(in Input, p Formatter) []Alert {
	found := slices.Concat(
		checkRedis(in, p), checkProcesses(in, p), checkServed(in, p), checkOpen(in, p), checkScopes(in, p), checkHolds(in, p), checkConflicts(in, p),
		checkSchedules(in, p), checkSnapshots(in, p), checkIncomplete(in, p), checkFailures(in, p),
	)
	slices.SortStableFunc(found, func(a, b Alert) int { return cmp.Compare(b.Severity, a.Severity) })
	return found[:min(len(found), maxAlerts)]
}

// Alive returns the processes with a recent heartbeat.
func Alive(list []tracker.Process, now time.Time) []tracker.Process {
	return slices.DeleteFunc(slices.Clone(list), func(p tracker.Process) bool { return now.Sub(p.BeatAt) > aliveFor })
}
