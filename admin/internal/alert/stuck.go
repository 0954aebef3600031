package alert

import (
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// Hindrance returns why the outcome of a running job is not written, as far as the processes tell, or "" if they
// tell nothing: then its handler runs. processes are all processes.
func Hindrance(job *tracker.Job, processes []tracker.Process, now time.Time, p Formatter) string {
	if job.Worker == "" {
		return ""
	}
	i := slices.IndexFunc(processes, func(process tracker.Process) bool { return process.ID == job.Worker })
	for _, process := range processes {
		for _, trouble := range process.Troubles {
			if trouble.Code == tracker.TroubleLocked && slices.Contains(trouble.Jobs, job.ID) {
				return lockedJobText(job, trouble, i < 0, p)
			}
		}
	}
	if i < 0 {
		return p.Tf("Process %s, which ran the job, has died. Another process puts the job back into the queue, as soon as no transaction has locked its row.", job.Worker)
	}
	if age := now.Sub(processes[i].BeatAt); age > frozenAfter {
		return p.Tf("Process %s, which runs the job, has written no heartbeat for %s. Its jobs go to other processes after 15 seconds.", job.Worker, format.Span(p, age))
	}
	for _, trouble := range processes[i].Troubles {
		if trouble.Code == tracker.TroubleBlocked || trouble.Code == tracker.TroublePool {
			return p.Tf("The outcome of the job may wait: %s", troubleAlert(Input{Now: now}, p, processes[i], trouble).Text)
		}
	}
	return ""
}

// lockedJobText says which row keeps the outcome of a job from being written. A trouble tells that of its first job.
func lockedJobText(job *tracker.Job, trouble tracker.Trouble, dead bool, p Formatter) string {
	text := p.T("The handler has returned, and the outcome of the job cannot be written.")
	if dead {
		text = p.Tf("Process %s, which ran the job, has died, and the job cannot go back to the queue.", job.Worker)
	}
	if locked, ok := parseLocked(trouble.Text); ok && locked.job == job.ID {
		text += " " + p.Tf("Another transaction has locked %s since %s.", locked.row, p.FullTime(trouble.Since))
	} else {
		text += " " + p.T("Another transaction has locked its row.")
	}
	return text + " " + p.T("The lock ends with that transaction, or when the database closes its connection.")
}

// stuckAlerts reports the jobs of a kind that are past their deadline: those whose outcome cannot be written, and
// those whose handler goes on.
func stuckAlerts(in Input, p Formatter, o tracker.OpenJobs) (list []Alert) {
	var hindered int64
	for _, job := range in.Stuck {
		if job.Service == o.Service && job.Type == o.Type && job.Action == o.Action && job.Instance == o.Instance && Hindrance(job, in.Workers, in.Now, p) != "" {
			hindered++
		}
	}
	kind := kindText(o.Service, o.Type, o.Action)
	next := Next{Label: p.T("Show stuck jobs"), URL: p.QueryURL("is:stuck", "service:"+o.Service)}
	if hindered > 0 {
		list = append(list, Alert{
			Severity: SeverityCritical,
			Text:     p.Tf("Jobs of %s past their deadline whose outcome cannot be written: %s.", kind, format.Thousands(p, hindered)),
			Effect:   p.T("Later jobs of the same objects wait."),
			Advice:   p.T("Open one of the jobs to see which row is locked, or which process has died. docs/operations.md says what to do when a row stays locked."),
			Next:     next,
		})
	}
	if o.Stuck > hindered {
		list = append(list, Alert{
			Severity: SeverityCritical,
			Text:     p.Tf("Jobs of %s past their deadline: %s.", kind, format.Thousands(p, o.Stuck-hindered)),
			Effect:   p.T("Each of these jobs occupies a slot of its worker."),
			Advice:   p.T("The handlers ignore cancellation. Restart the worker."),
			Next:     next,
		})
	}
	return list
}
