package admin

import (
	"context"

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
	if err != nil {
		return err
	}
	v.running, v.moreRunning = found.Jobs, found.Older != 0
	v.refreshWhile(refreshList, v.running...)
	return v.ownStore().LoadDetails(ctx, v.running)
}

// byID returns processes by their IDs.
func byID(list []tracker.Process) map[string]tracker.Process {
	out := map[string]tracker.Process{}
	for _, process := range list {
		out[process.ID] = process
	}
	return out
}

// rowText returns what a list says about a job after its action: how far it is while it runs, and otherwise what it
// changes. It is "" if the job does not tell. The job needs tracker.Reader.LoadDetails first.
func (p *request) rowText(j *tracker.Job) string {
	if g := progressOf(j); g != nil {
		return p.noteText(p.amountText(g), g)
	}
	return p.changeText(j)
}

// workerName returns how the pages call a process.
func (p *request) workerName(process tracker.Process) string {
	return p.Tf("%s, PID %d", process.Host, process.PID)
}

// workerURL returns the URL of a process on the page of the workers.
func (p *request) workerURL(id string) string { return p.url("/workers") + "#" + id }
