package admin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/testdb"
)

// A job past its deadline is not always one whose handler goes on.
func TestStuckJobSaysWhyItsOutcomeIsNotWritten(t *testing.T) {
	t.Parallel()
	const (
		ignores  = "Its handler ignores cancellation"
		stuck    = "Jobs of whm/mailbox/update past their deadline: 1."
		hindered = "Jobs of whm/mailbox/update past their deadline whose outcome cannot be written: 1."
		since    = " since 2026-03-04 11:59:20"
	)
	trouble := func(code, text, jobs string) string {
		return fmt.Sprintf(`[{"code":%q,"since":"2026-03-04T11:59:20Z","text":%q,"jobs":%s}]`, code, text, jobs)
	}
	for name, c := range map[string]struct {
		worker, troubles string
		silent           time.Duration
		page, alert      string
		reported         string // what another alert says
	}{
		"its handler goes on": {worker: "p1", page: ignores, alert: stuck},
		"a row is locked": {
			worker: "p1", troubles: trouble("locked", "the outcome of job 1 cannot be written: row 17 of boxes is locked", "[1]"),
			page: "The handler has returned, and the outcome of the job cannot be written. Another transaction has locked row 17 of boxes" + since, alert: hindered,
			reported: "Process p1: the outcome of job 1 cannot be written: row 17 of boxes is locked. It has waited for 40 s.",
		},
		"a row is locked, and that of another job longer": {
			worker: "p1", troubles: trouble("locked", "the outcome of job 7 cannot be written: row 17 of boxes is locked", "[7,1]"),
			page: "The handler has returned, and the outcome of the job cannot be written. Another transaction has locked its row.", alert: hindered,
		},
		"its process has died": {worker: "p0", page: "Process p0, which ran the job, has died. Another process puts the job back", alert: hindered},
		"its process has died, and its row is locked": {
			worker: "p0", troubles: trouble("locked", "job 1 of process p0, which died, cannot go back to the queue: job 1 is locked", "[1]"),
			page: "Process p0, which ran the job, has died, and the job cannot go back to the queue. Another transaction has locked job 1" + since, alert: hindered,
			reported: "Job 1 of process p0, which died, cannot go back to the queue: job 1 is locked. It has waited for 40 s.",
		},
		"its process is silent": {worker: "p1", silent: 10 * time.Second, page: "Process p1, which runs the job, has written no heartbeat for 10 s.", alert: hindered},
		"the database does not answer": {
			worker: "p1", troubles: trouble("blocked", "", "null"),
			page: "The outcome of the job may wait: Claims and outcomes of process p1 have not reached the database for 40 s.", alert: hindered,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newClockedSite(t, testdb.SQLite(t))
			w.process("whm/mailbox/update")
			w.exec("UPDATE nawasync_processes SET id = 'p1', beat_at = ?, troubles = ?", w.now().Add(-c.silent).UnixMicro(), c.troubles)
			job := w.dispatch(chore{ID: "a"})
			w.exec("UPDATE nawasync_jobs SET status = 'running', running_lane = open_lane, wake_at = NULL, worker = ?, started_at = ?, deadline_at = ? WHERE id = ?",
				c.worker, w.now().Add(-time.Minute).UnixMicro(), w.now().Add(-time.Second).UnixMicro(), job.ID)
			if c.reported != "" { // the other processes report it too
				w.exec("INSERT INTO nawasync_processes (id, host, pid, beat, beat_at, started_at, kinds, queues, troubles) VALUES ('p2', 'two', 2, 1, ?, ?, '[]', '[]', ?)",
					w.now().UnixMicro(), w.now().UnixMicro(), strings.Replace(c.troubles, "the outcome of job 1", "the outcome of job 9", 1))
			}
			page := strings.ReplaceAll(w.jobPage("viewer", job.ID), "\u00a0", " ")
			if !strings.Contains(page, c.page) || c.page != ignores && strings.Contains(page, ignores) {
				t.Errorf("the page does not say %q:\n%s", c.page, page)
			}
			found := w.alerts()
			if found[c.alert] != 2 || c.alert == hindered && found[stuck] != 0 || c.reported != "" && found[c.reported] != 2 {
				t.Errorf("the alerts are %v", found)
			}
			if c.worker == "p0" && c.reported != "" && len(found) != 2 {
				t.Errorf("each process reports the same job: %v", found)
			}
		})
	}
}
