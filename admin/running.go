package admin

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// maxRunningShown is how many running jobs a page lists.
const maxRunningShown = 20

// runningSearch finds the running jobs.
func runningSearch(limit int) tracker.Search {
	return tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldStatus, Values: []string{string(tracker.StatusRunning)}}}, Limit: limit}
}

// loadRunning reads what the service runs now.
func (v *serviceView) loadRunning(ctx context.Context) error {
	found, err := v.ownStore().Search(ctx, runningSearch(maxRunningShown))
	v.running, v.moreRunning = found.Jobs, found.Older != 0
	v.refreshWhile(refreshList, v.running...)
	return err
}

// byID returns processes by their IDs.
func byID(list []tracker.Process) map[string]tracker.Process {
	out := map[string]tracker.Process{}
	for _, process := range list {
		out[process.ID] = process
	}
	return out
}

// progress is how far a running job is. Total is 0 if the job has not said how much there is.
type progress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Note  string `json:"note"`
}

// progressOf returns the progress of a job, or nil if the job has reported none.
func progressOf(j *tracker.Job) *progress {
	var found progress
	if len(j.Progress) == 0 || json.Unmarshal(j.Progress, &found) != nil {
		return nil
	}
	if strings.HasPrefix(found.Note, "{") { // for the handler itself
		found.Note = ""
	}
	return &found
}

// progressText returns a progress in words.
func (p *request) progressText(g *progress) string {
	text := format.Thousands(p, g.Done)
	if g.Total > 0 {
		text = p.Tf("%s of %s", format.Thousands(p, g.Done), format.Thousands(p, g.Total))
	}
	if g.Note == "" {
		return text
	}
	return text + ", " + format.Cut(g.Note, 120)
}

// rowText returns what a list says about a job after its action: how far it is while it runs, and otherwise what it
// changes. It is "" if the job does not tell. The job needs tracker.Reader.LoadDetails first.
func (p *request) rowText(j *tracker.Job) string {
	if g := progressOf(j); g != nil && j.Status == tracker.StatusRunning {
		return p.progressText(g)
	}
	return p.changeText(j)
}

// workerName returns how the pages call a process.
func (p *request) workerName(process tracker.Process) string {
	return p.Tf("%s, PID %d", process.Host, process.PID)
}

// workerURL returns the URL of a process on the page of the workers.
func (p *request) workerURL(id string) string { return p.url("/workers") + "#" + id }
