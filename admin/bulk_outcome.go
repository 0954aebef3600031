package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// maxRunFailures is of how many failures of a bulk run's new jobs the page reads the errors.
const maxRunFailures = 2_000

// runJobs says what became of the jobs that a bulk run has added, and the subject may view.
type runJobs struct {
	counts  map[tracker.Status]int64
	reasons []runReason // why jobs failed, most frequent first
	partial bool        // there are more failures than reasons counts
}

func (r runJobs) total() (n int64) {
	for _, count := range r.counts {
		n += count
	}
	return n
}

// open returns how many of the jobs have not ended.
func (r runJobs) open() int64 {
	return r.counts[tracker.StatusQueued] + r.counts[tracker.StatusRunning]
}

// loadRunJobs reads what became of the jobs of a run.
func (p *request) loadRunJobs(run *tracker.Job) (made runJobs, err error) {
	ctx := ownScan(p.r.Context())
	if made.counts, err = p.store().RunOutcomes(ctx, run.ID); err != nil || made.counts[tracker.StatusFailed] == 0 {
		return made, err
	}
	failed, partial, err := p.runFailures(ctx, run.ID)
	made.reasons, made.partial = reasonsOf(failed), partial
	return made, err
}

// runReason is why some of the jobs of a run failed.
type runReason struct {
	group, example string // the ID of the error group, or "" for jobs without one
	jobs           int64
}

// maxRunReasons is how many reasons a run's page lists.
const maxRunReasons = 10

// reasonsOf groups failed jobs by their error groups.
func reasonsOf(failed []*tracker.Job) []runReason {
	groups := map[string]*runReason{}
	for _, job := range failed {
		if groups[job.ErrorGroup] == nil {
			groups[job.ErrorGroup] = &runReason{group: job.ErrorGroup, example: format.FirstLine(job.Error)}
		}
		groups[job.ErrorGroup].jobs++
	}
	var list []runReason
	for _, reason := range groups {
		list = append(list, *reason)
	}
	slices.SortFunc(list, func(a, b runReason) int {
		return cmp.Or(cmp.Compare(b.jobs, a.jobs), cmp.Compare(a.group, b.group))
	})
	return list
}

// runFailures returns the newest failures among the jobs of a run, at most maxRunFailures.
func (p *request) runFailures(ctx context.Context, run int64) (failed []*tracker.Job, more bool, err error) {
	search := tracker.Search{Terms: []tracker.Term{
		{Field: tracker.FieldRun, Values: []string{strconv.FormatInt(run, 10)}},
		{Field: tracker.FieldStatus, Values: []string{string(tracker.StatusFailed)}},
	}}
	for before := int64(0); ; {
		results, err := p.store().Search(ctx, withLimit(search, before, 500))
		if err != nil {
			return nil, false, err
		}
		failed = append(failed, results.Jobs...)
		if before = results.Older; before == 0 || len(failed) >= maxRunFailures {
			return failed, before != 0, nil
		}
	}
}

// madeParts returns the numbers of the new jobs by what became of them, with links to their lists.
func (v *bulkRun) madeParts() []navLink {
	open := v.made.open()
	var parts []navLink
	add := func(n int64, text string, terms ...string) {
		if n > 0 {
			parts = append(parts, navLink{name: text, url: v.queryURL(append([]string{v.runTerm()}, terms...)...)})
		}
	}
	add(v.made.counts[tracker.StatusSuccess], v.Tf("%s succeeded", format.Thousands(v, v.made.counts[tracker.StatusSuccess])), "status:success")
	add(v.made.counts[tracker.StatusFailed], v.failedText(), "status:failed")
	add(v.made.counts[tracker.StatusConflict], v.Tf("%s in conflict", format.Thousands(v, v.made.counts[tracker.StatusConflict])), "status:conflict")
	add(v.made.counts[tracker.StatusSkipped], v.Tf("%s skipped", format.Thousands(v, v.made.counts[tracker.StatusSkipped])), "status:skipped")
	add(v.made.counts[tracker.StatusCancelled], v.Tf("%s cancelled", format.Thousands(v, v.made.counts[tracker.StatusCancelled])), "status:cancelled")
	add(open, v.Tf("%s waiting or running", format.Thousands(v, open)), "is:open")
	if gone := v.state.Done - v.made.total(); gone > 0 && v.args.Action == "retry" && v.viewer.views() == nil {
		parts = append(parts, navLink{name: v.Tf("%s no longer stored", format.Thousands(v, gone))})
	}
	return parts
}

// failedText says how many of the new jobs failed again, and for how many reasons.
func (v *bulkRun) failedText() string {
	n := format.Thousands(v, v.made.counts[tracker.StatusFailed])
	if reasons := len(v.made.reasons); reasons > 1 && !v.made.partial {
		return v.Tf("%s failed again (%d reasons)", n, reasons)
	}
	return v.Tf("%s failed again", n)
}

func (v *bulkRun) runTerm() string { return fmt.Sprintf("run:%d", v.job.ID) }

// reasonURL returns the URL of the list of the new jobs that failed with an error, or "".
func (v *bulkRun) reasonURL(r runReason) string {
	if r.group == "" {
		return ""
	}
	return v.queryURL(v.runTerm(), "status:failed", groupTerm(r.group))
}
