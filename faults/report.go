package main

import (
	"fmt"
	"strings"
	"time"
)

// maxShown is how many violations of one check are printed.
const maxShown = 15

// result is what a run on one database found.
type result struct {
	options
	dialect    string
	begin      time.Time
	faults     []tally
	jobs       []tally // by service and status
	attempts   []tally // that were not a success, by outcome
	executions int
	fenced     int // overlaps in which the engine refused the outcome of the first execution
	late       int // writes at the remote by an execution whose job had started again
	changes    int // changes of objects at the remote
	collisions int // of these with a reset that a frozen worker ran, or during which a worker was frozen
	recoveries []recovery
	drain      time.Duration
	unfinished int64
	violations []violation
}

// summarize counts what happened.
func (r *result) summarize(e *evidence) {
	jobs, attempts := map[string]int{}, map[string]int{}
	for _, j := range e.list {
		jobs[j.Service+" "+string(j.Status)]++
	}
	for _, a := range e.attempts {
		attempts[string(a.Outcome)]++
	}
	r.jobs, r.attempts = sortedTallies(jobs), sortedTallies(attempts)
	r.executions, r.late = len(e.log.Executions), e.log.LateWrites
	for _, o := range e.log.Overlaps {
		if e.fenced(o.First) {
			r.fenced++
		}
	}
	r.changes, r.collisions = e.log.Calls, len(e.log.Collisions)
	r.recoveries = recoveries(e.log)
}

// markdown returns the result as a section of a document.
func (r *result) markdown() string {
	w := &strings.Builder{}
	name := map[string]string{"postgres": "PostgreSQL", "mysql": "MariaDB"}[r.dialect]
	fmt.Fprintf(w, "\n### %s, seed %d, %s of faults, %d workers, %s\n\n", name, r.seed, r.dur, r.workers, r.begin.UTC().Format("2006-01-02"))
	fmt.Fprintf(w, "- Faults: %s\n", join(r.faults))
	fmt.Fprintf(w, "- Jobs: %s\n", join(r.jobs))
	fmt.Fprintf(w, "- Stored attempts: %s\n", join(r.attempts))
	fmt.Fprintf(w, "- %d executions of raw jobs and resets; %d began while a fenced one of the same lane still ran, with %d late writes at the remote\n", r.executions, r.fenced, r.late)
	fmt.Fprintf(w, "- %d changes of objects; %d at the same time as a reset of the object\n", r.changes, r.collisions)
	if r.unfinished > 0 {
		fmt.Fprintf(w, "- %d jobs were not finished %s after the last fault\n\n", r.unfinished, r.drain.Round(time.Second))
	} else {
		fmt.Fprintf(w, "- All jobs were finished %s after the last fault, two syncs included\n\n", r.drain.Round(100*time.Millisecond))
	}
	if len(r.recoveries) > 0 {
		fmt.Fprintln(w, "| Recovery | n | p50 | p95 | p99 | max |\n|---|---|---|---|---|---|")
		for _, x := range r.recoveries {
			fmt.Fprintf(w, "| %s | %d | %s | %s | %s | %s |\n", x.name, len(x.times), x.percentile(0.5), x.percentile(0.95), x.percentile(0.99), x.percentile(1))
		}
		fmt.Fprintln(w)
	}
	if len(r.violations) == 0 {
		fmt.Fprintln(w, "No violations.")
		return w.String()
	}
	fmt.Fprintf(w, "Violations: %d\n\n", len(r.violations))
	shown := map[string]int{}
	for _, v := range r.violations {
		if shown[v.check]++; shown[v.check] <= maxShown {
			fmt.Fprintf(w, "- %s: %s\n", v.check, v.text)
		}
	}
	for _, t := range sortedTallies(shown) {
		if t.n > maxShown {
			fmt.Fprintf(w, "- %s: %d more\n", t.name, t.n-maxShown)
		}
	}
	return w.String()
}

func join(list []tally) string {
	var parts []string
	for _, t := range list {
		parts = append(parts, fmt.Sprintf("%d %s", t.n, t.name))
	}
	return strings.Join(parts, ", ")
}
