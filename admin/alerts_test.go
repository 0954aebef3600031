package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/mailboxes"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// clockedSite is a site with a clock that the test sets.
type clockedSite struct {
	*site
	clock *atomic.Int64
}

func newClockedSite(t *testing.T, db *testdb.Database) *clockedSite {
	t.Helper()
	w := &clockedSite{clock: &atomic.Int64{}}
	w.clock.Store(time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixMicro())
	w.site = newSiteOf(t, db, "", func(c *nawasync.Config) { c.Now = w.now }, nil)
	mailboxes.New(t, w.engine, db.DB)
	return w
}

func (w *clockedSite) now() time.Time          { return time.UnixMicro(w.clock.Load()) }
func (w *clockedSite) advance(d time.Duration) { w.clock.Add(d.Microseconds()) }

func (w *clockedSite) exec(statement string, args ...any) {
	w.t.Helper()
	noError(w.t, w.db.Exec(statement, args...).Error)
}

// alerts returns the texts of the overview's alerts, with their severities.
func (w *clockedSite) alerts() map[string]int {
	w.t.Helper()
	var got struct {
		Healthy bool `json:"healthy"`
		Alerts  []struct {
			Severity int    `json:"severity"`
			Text     string `json:"text"`
			Advice   string `json:"advice"`
		} `json:"alerts"`
	}
	noError(w.t, json.Unmarshal([]byte(w.get("viewer", "/health.json?window=1h").body), &got))
	found := map[string]int{}
	critical := false
	for i, a := range got.Alerts {
		found[strings.ReplaceAll(a.Text, "\u00a0", " ")] = a.Severity
		critical = critical || a.Severity > 1
		if a.Advice == "" || (i > 0 && a.Severity > got.Alerts[i-1].Severity) {
			w.t.Errorf("%+v has no advice, or comes after an alert of lower severity", a)
		}
	}
	if got.Healthy == critical {
		w.t.Errorf("healthy is %v with the alerts %v", got.Healthy, found)
	}
	return found
}

func (w *clockedSite) process(kinds ...string) {
	w.t.Helper()
	noError(w.t, enginetest.Store(w.engine).AddProcess(w.t.Context(), tracker.Process{
		ID: fmt.Sprint("p", w.now().UnixMicro()), Host: "one", Kinds: kinds,
		Queues: []string{"default"},
	}))
}

func (w *clockedSite) schedule(name, spec string, last time.Time) {
	w.t.Helper()
	noError(w.t, enginetest.Store(w.engine).SeeSchedule(w.t.Context(), tracker.Schedule{
		Name: name, Service: "whm", Type: "box", Action: "sync", Instance: "main",
		Spec: spec, Timezone: "UTC",
	}, last))
}

func (w *clockedSite) ended(outcome tracker.Status, jobs int, at time.Time) {
	w.t.Helper()
	w.exec("INSERT INTO nawasync_stats (period, bucket, service, type, action, instance, outcome, jobs, waits, runs) VALUES ('minute', ?, 'whm', 'mailbox', 'update', 'main', ?, ?, '', '')", at.Truncate(time.Minute).UnixMicro(), outcome, jobs)
}

// Each alert is shown as long as its cause exists.
func TestOverviewShowsAnAlertUntilItsCauseIsFixed(t *testing.T) {
	t.Parallel()
	const main = "whm/box on main"
	for name, c := range map[string]struct {
		arrange  func(w *clockedSite)
		text     string
		severity int
		fix      func(w *clockedSite)
	}{
		"no process handles a kind": {
			func(w *clockedSite) { w.dispatch(chore{ID: "a"}) },
			"No running process handles whm/mailbox/update. Queued jobs: 1.", 2,
			func(w *clockedSite) { w.process("whm/mailbox/update") },
		},
		"the only process has died": {
			func(w *clockedSite) {
				w.process("whm/mailbox/update")
				w.dispatch(chore{ID: "a"})
				w.advance(time.Minute)
			},
			"No running process handles whm/mailbox/update. Queued jobs: 1.", 2,
			func(w *clockedSite) { w.process("whm/mailbox/update") },
		},
		"a job waits long": {
			func(w *clockedSite) {
				w.dispatch(chore{ID: "a"})
				w.advance(6 * time.Minute)
				w.process("whm/mailbox/update")
			},
			"A job of whm/mailbox/update has been waiting for 6 min.", 1,
			func(w *clockedSite) { _, _ = w.engine.Cancel(w.t.Context(), 1, nawasync.OperatorOptions{By: "ann"}) },
		},
		"a job is stuck": {
			func(w *clockedSite) {
				w.process("whm/mailbox/update")
				job := w.dispatch(chore{ID: "a"})
				w.exec("UPDATE nawasync_jobs SET status = 'running', running_lane = open_lane, wake_at = NULL, started_at = ?, deadline_at = ? WHERE id = ?",
					w.now().UnixMicro(), w.now().Add(-time.Second).UnixMicro(), job.ID)
			},
			"Jobs of whm/mailbox/update past their deadline: 1.", 2,
			func(w *clockedSite) {
				w.exec("UPDATE nawasync_jobs SET deadline_at = ?", w.now().Add(time.Minute).UnixMicro())
			},
		},
		"a process is frozen": {
			func(w *clockedSite) {
				w.process("whm/mailbox/update")
				w.exec("UPDATE nawasync_processes SET id = 'p1'")
				w.advance(10 * time.Second)
			},
			"Process p1 has written no heartbeat for 10 s. It has died, is frozen, or cannot reach the database.", 2,
			func(w *clockedSite) { w.exec("DELETE FROM nawasync_processes") },
		},
		"an outcome meets a locked row": {
			func(w *clockedSite) {
				w.process("whm/mailbox/update")
				w.exec("UPDATE nawasync_processes SET id = 'p1', troubles = ?",
					`[{"code":"locked","since":"2026-03-04T11:59:20Z","text":"the outcome of job 3 cannot be written: row 17 of boxes is locked"}]`)
			},
			"Process p1: the outcome of job 3 cannot be written: row 17 of boxes is locked. It has waited for 40 s.", 2,
			func(w *clockedSite) { w.exec("UPDATE nawasync_processes SET troubles = NULL") },
		},
		"a person has paused": {
			func(w *clockedSite) {
				noError(w.t, w.engine.Pause(w.t.Context(), "whm", "", nawasync.PauseOptions{By: "ann", Reason: "the rack moves"}))
			},
			"whm is paused by ann: the rack moves", 1,
			func(w *clockedSite) { _, _ = w.engine.Resume(w.t.Context(), "whm", "", nawasync.OperatorOptions{}) },
		},
		"the engine has parked": {
			func(w *clockedSite) {
				noError(w.t, enginetest.Store(w.engine).Pause(w.t.Context(), tracker.Scope{
					Service: "whm", Instance: "main", Parked: true, Until: w.now().Add(time.Hour),
					Reason: "401 Unauthorized",
				}))
			},
			"whm on main is parked until 2026-03-04 13:00:00 +00:00: 401 Unauthorized", 2,
			func(w *clockedSite) { w.advance(61 * time.Minute) },
		},
		"a schedule is orphaned": {
			func(w *clockedSite) {
				w.schedule("nightly", "0 2 * * *", w.now())
				w.advance(6 * time.Minute)
			},
			"Schedule nightly is orphaned: no process has registered the schedule since 2026-03-04 12:00:00 +00:00.", 1,
			func(w *clockedSite) { w.schedule("nightly", "0 2 * * *", w.now()) },
		},
		"a schedule is silent": {
			func(w *clockedSite) { w.schedule("often", "*/5 * * * *", w.now().Add(-11*time.Minute)) },
			"Schedule often is late: no job was dispatched at 2026-03-04 11:50:00 +00:00.", 2,
			func(w *clockedSite) { w.exec("UPDATE nawasync_schedules SET last_tick = ?", w.now().UnixMicro()) },
		},
		"conflicts wait": {
			func(w *clockedSite) {
				w.process("whm/mailbox/update")
				job := w.dispatch(chore{ID: "a"})
				w.exec("UPDATE nawasync_jobs SET status = 'conflict', finished_at = ?, open_lane = NULL, wake_at = NULL WHERE id = ?", w.now().UnixMicro(), job.ID)
			},
			"Unresolved conflicts: 1.", 1,
			func(w *clockedSite) { w.exec("UPDATE nawasync_jobs SET status = 'success'") },
		},
		"a sync could not store an object": {
			func(w *clockedSite) {
				w.process("whm/mailbox/update")
				w.synced(0)
				job := w.dispatch(chore{ID: "a"})
				w.exec("UPDATE nawasync_jobs SET status = 'success', finished_at = ?, open_lane = NULL, wake_at = NULL, result = ? WHERE id = ?", w.now().UnixMicro(),
					`{"listed":400,"refused":1,"refusals":["\"box-7\": value too long"],"created":0}`, job.ID)
				w.exec("UPDATE nawasync_last_success SET job_id = ?", job.ID)
			},
			`The last sync of ` + main + ` could not store all objects. Not stored: 1, for example "box-7": value too long`, 1,
			func(w *clockedSite) { w.exec("UPDATE nawasync_jobs SET result = '{\"listed\":400}'") },
		},
		"a snapshot without a schedule is stale": {
			func(w *clockedSite) { w.synced(-27 * time.Hour) },
			main + " is stale: the last successful sync was 27 h ago.", 1,
			func(w *clockedSite) { w.synced(-25 * time.Hour) },
		},
		"a snapshot with a schedule is stale": {
			func(w *clockedSite) {
				w.schedule("often", "*/5 * * * *", w.now())
				w.synced(-20 * time.Minute)
			},
			main + " is stale: the last successful sync was 20 min ago.", 1,
			func(w *clockedSite) { w.synced(-10 * time.Minute) },
		},
		"a listed scope has never been synced": {
			func(w *clockedSite) { w.listed(-27*time.Hour, 0) },
			main + " has never been synced, although the scope has been listed since 2026-03-03 09:00:00 +00:00.", 1,
			func(w *clockedSite) { w.exec("UPDATE nawasync_listed_scopes SET listed_at = ?", w.now().UnixMicro()) },
		},
		"a listed scope is stale": {
			func(w *clockedSite) {
				w.listed(-48*time.Hour, 0)
				w.synced(-27 * time.Hour)
			},
			main + " is stale: the last successful sync was 27 h ago.", 1,
			func(w *clockedSite) { w.exec("UPDATE nawasync_listed_scopes SET gone_at = ?", w.now().UnixMicro()) },
		},
		"a snapshot has never been synced": {
			func(w *clockedSite) {
				w.schedule("often", "*/5 * * * *", w.now())
				w.exec("UPDATE nawasync_schedules SET last_job = 7, last_tick = ?", w.now().UnixMicro())
				w.advance(11 * time.Minute)
				w.exec("UPDATE nawasync_schedules SET seen_at = ?", w.now().UnixMicro())
			},
			main + " has never been synced, although schedule often has dispatched jobs.", 2,
			func(w *clockedSite) { w.synced(0) },
		},
		"many failures after few": {
			func(w *clockedSite) {
				w.ended(tracker.StatusSuccess, 98, w.now().Add(-90*time.Minute))
				w.ended(tracker.StatusFailed, 2, w.now().Add(-90*time.Minute))
				w.ended(tracker.StatusSuccess, 20, w.now().Add(-time.Minute))
				w.ended(tracker.StatusFailed, 10, w.now().Add(-time.Minute))
			},
			"whm: 33 % of 30 jobs failed; 2.0 % in the previous time range.", 2,
			func(w *clockedSite) { w.exec("UPDATE nawasync_stats SET jobs = 2 WHERE outcome = 'failed'") },
		},
		"as many failures as before": {
			func(w *clockedSite) {
				w.ended(tracker.StatusSuccess, 70, w.now().Add(-90*time.Minute))
				w.ended(tracker.StatusFailed, 30, w.now().Add(-90*time.Minute))
				w.ended(tracker.StatusSuccess, 20, w.now().Add(-time.Minute))
				w.ended(tracker.StatusFailed, 10, w.now().Add(-time.Minute))
			},
			"whm: 33 % of 30 jobs failed; 30 % in the previous time range.", 1,
			func(w *clockedSite) { w.advance(2 * time.Hour) },
		},
		"few jobs without a success": {
			func(w *clockedSite) { w.ended(tracker.StatusFailed, 3, w.now().Add(-time.Minute)) },
			"whm: none of the last 3 jobs succeeded.", 2,
			func(w *clockedSite) { w.ended(tracker.StatusSuccess, 1, w.now()) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newClockedSite(t, testdb.SQLite(t))
			if before := w.alerts(); len(before) != 0 {
				t.Fatalf("alerts without a cause: %v", before)
			}
			c.arrange(w)
			if found := w.alerts(); found[c.text] != c.severity {
				t.Errorf("alerts are %v, want %q with severity %d", found, c.text, c.severity)
			}
			c.fix(w)
			if found := w.alerts(); found[c.text] != 0 {
				t.Errorf("alerts after the fix: %v", found)
			}
		})
	}
}

// synced sets when the snapshot was last synced.
func (w *clockedSite) synced(ago time.Duration) {
	w.t.Helper()
	w.exec("DELETE FROM nawasync_last_success")
	w.exec("INSERT INTO nawasync_last_success (service, type, action, instance, job_id, finished_at) VALUES ('whm', 'box', 'sync', 'main', 1, ?)",
		w.now().Add(ago).UnixMicro())
}

// listed makes the scope main of whm/box one that is listed since a time, and gone since another one if that is not 0.
func (w *clockedSite) listed(since time.Duration, gone int64) {
	w.t.Helper()
	w.exec("INSERT INTO nawasync_listed_scopes (service, type, instance, parent_id, listed_at, gone_at, retired_job, retired_at) VALUES ('whm', 'box', 'main', 1, ?, ?, 0, 0)",
		w.now().Add(since).UnixMicro(), gone)
}

func TestOverviewReportsARedisThatDoesNotRespond(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	w := &clockedSite{clock: &atomic.Int64{}}
	w.clock.Store(time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixMicro())
	dial := redisClient(t).Options().Dialer
	w.site = newSiteOf(t, testdb.SQLite(t), "", func(c *nawasync.Config) {
		c.Now = w.now
		c.Redis = redis.NewClient(&redis.Options{MaxRetries: -1, Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			if down.Load() {
				return nil, errors.New("connection refused")
			}
			return dial(ctx, network, address)
		}})
	}, nil)
	const text = "Redis has been unreachable for "
	if found := w.alerts(); !strings.Contains(fmt.Sprint(found), text) {
		t.Errorf("alerts %v, want that Redis is unreachable", found)
	}
	w.advance(2 * time.Minute)
	if found := w.alerts(); found[text+"2 min."] != 2 {
		t.Errorf("alerts %v, want that Redis has been unreachable for 2 min", found)
	}
	down.Store(false)
	w.advance(10 * time.Second)
	if found := w.alerts(); strings.Contains(fmt.Sprint(found), "Redis") {
		t.Errorf("alerts %v, want none about Redis", found)
	}
}
