package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// frozenAfter is how old the last heartbeat of a process may be before the process is reported.
const frozenAfter = 8 * time.Second

// checkProcesses reports processes without a recent heartbeat, and what hinders the others.
func checkProcesses(in Input, p Formatter) (list []Alert) {
	orphaned := map[string]bool{} // jobs of dead processes, which each of the others reports
	for _, process := range in.Processes {
		if age := in.Now.Sub(process.BeatAt); age > frozenAfter {
			text := p.Tf("Process %s has written no heartbeat for %s. It has died, is frozen, or cannot reach the database.", process.ID, format.Span(p, age))
			list = append(list, Alert{
				Severity: SeverityCritical, Text: text, Since: process.BeatAt, Effect: p.T("Its jobs go to other processes after 15 seconds."),
				Advice: p.T("Check the process and its machine."), Next: Next{Label: p.T("Show workers"), URL: p.WorkersURL()},
			})
			continue
		}
		for _, trouble := range process.Troubles {
			if trouble.Code == tracker.TroubleRedis && !in.RedisDownSince.IsZero() {
				continue // checkRedis reports it
			}
			if locked, ok := parseLocked(trouble.Text); ok && locked.dead != "" && trouble.Code == tracker.TroubleLocked {
				if orphaned[trouble.Text] {
					continue
				}
				orphaned[trouble.Text] = true
			}
			list = append(list, troubleAlert(in, p, process, trouble))
		}
	}
	return list
}

// Troubles returns what hinders a process, as it said with its last heartbeat.
func Troubles(process tracker.Process, now time.Time, p Formatter) (list []Alert) {
	for _, trouble := range process.Troubles {
		list = append(list, troubleAlert(Input{Now: now}, p, process, trouble))
	}
	return list
}

func troubleAlert(in Input, p Formatter, process tracker.Process, trouble tracker.Trouble) Alert {
	span := format.Span(p, max(time.Second, in.Now.Sub(trouble.Since)))
	a := Alert{Severity: SeverityCritical, Since: trouble.Since, Next: Next{Label: p.T("Show workers"), URL: p.WorkersURL()}}
	switch trouble.Code {
	case tracker.TroubleRedis:
		a.Text = p.Tf("Process %s has not reached Redis for %s.", process.ID, span)
		a.Effect = p.T("Jobs start up to half a second late. None is lost.")
		a.Advice = p.T("Check that Redis runs, and that the process can connect to Redis.")
	case tracker.TroubleBlocked:
		a.Text = p.Tf("Claims and outcomes of process %s have not reached the database for %s.", process.ID, span)
		a.Effect = p.T("The process gives up its jobs after 13 seconds.")
		a.Advice = p.T("Check the database and the network between them.")
	case tracker.TroubleLocked:
		a.Effect = p.T("Other jobs are not affected.")
		a.Advice = p.T("End the transaction that holds the row. It may be one of a dead process, whose connection the database has not closed yet: docs/operations.md says what to do when a row stays locked.")
		switch locked, ok := parseLocked(trouble.Text); {
		case trouble.Text == "": // the reader may not see every job
			a.Text = p.Tf("Process %s has waited for a locked row for %s.", process.ID, span)
		case !ok: // of a newer release
			a.Text = p.Tf("Process %s: %s. It has waited for %s.", process.ID, trouble.Text, span)
		case locked.dead != "":
			a.Text = p.Tf("Job %d of process %s, which died, cannot go back to the queue: %s is locked. It has waited for %s.", locked.job, locked.dead, locked.row, span)
		default:
			text := p.Tf("the outcome of job %d cannot be written: %s is locked", locked.job, locked.row)
			a.Text = p.Tf("Process %s: %s. It has waited for %s.", process.ID, text, span)
		}
	case tracker.TroublePool:
		a.Text = p.Tf("All database connections of process %s have been in use for %s.", process.ID, span)
		a.Effect = p.T("Its jobs cannot start or end.")
		a.Advice = p.T("Raise SetMaxOpenConns to the number of slots and 2 more, or look for handlers that keep a transaction open.")
	case tracker.TroubleClock:
		a.Severity, a.Since = SeverityWarning, time.Time{}
		a.Text = p.Tf("The clock of process %s differs from the database's by %s.", process.ID, trouble.Text)
		a.Effect = p.T("The engine corrects the difference.")
		a.Advice = p.T("Synchronize the machine's clock.")
	default: // of a newer release
		a.Text = p.Tf("Process %s: %s", process.ID, string(trouble.Code)+" "+trouble.Text)
	}
	return a
}

// lockedRow is what the text of a locked row says.
type lockedRow struct {
	job  int64
	row  string // for example "row 17 of boxes"
	dead string // the process that ran the job and died; "" if it lives
}

// parseLocked reads the text of a locked row, which the process has stored in English.
func parseLocked(text string) (l lockedRow, ok bool) {
	head, row, _ := strings.Cut(text, ": ")
	if l.row, ok = strings.CutSuffix(row, " is locked"); !ok {
		return l, false
	}
	if _, err := fmt.Sscanf(head, "the outcome of job %d cannot be written", &l.job); err == nil {
		return l, true
	}
	_, err := fmt.Sscanf(head, "job %d of process %s which died", &l.job, &l.dead)
	l.dead = strings.TrimSuffix(l.dead, ",")
	return l, err == nil
}

// checkServed reports schedules that no running process can work, even if none of their jobs is due
// yet. checkOpen reports kinds with due jobs.
func checkServed(in Input, p Formatter) (list []Alert) {
	alive := Alive(in.Processes, in.Now)
	due := map[string]bool{}
	for _, o := range in.Open {
		due[kindText(o.Service, o.Type, o.Action)] = o.Due > 0
	}
	for _, s := range in.Schedules {
		kind := kindText(s.Service, s.Type, s.Action)
		served := slices.ContainsFunc(alive, func(p tracker.Process) bool { return slices.Contains(p.Kinds, kind) })
		if served || due[kind] {
			continue
		}
		due[kind] = true // report each kind once
		text := p.Tf("No running process handles %s, which schedule %s will dispatch.", kind, s.Name)
		list = append(list, Alert{
			Severity: SeverityWarning, Text: text, Effect: p.T("The jobs of the schedule will wait."),
			Advice: p.T("Start a worker that registers a handler for this kind."), Next: Next{Label: p.T("Show workers"), URL: p.WorkersURL()},
		})
	}
	return list
}

func kindText(service, typ, action string) string { return service + "/" + typ + "/" + action }
