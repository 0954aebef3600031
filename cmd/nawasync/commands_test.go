package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

func TestMigrateStatusTellsByItsExitCodeWhatIsMissing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "test.db")
	w := &world{t: t, dsn: "sqlite:" + file}
	for _, args := range [][]string{{"migrate", "status"}, {"jobs", "list"}, {"migrate", "down", "-yes"}} {
		if code, _, stderr := w.run(args...); code != exitFailed || !strings.Contains(stderr, "only nawasync migrate up creates") {
			t.Errorf("%v without a file: exit code %d: %s", args, code, stderr)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a file was created for a name that may be wrong")
	}
	w.noError(os.WriteFile(file, nil, 0o600))
	code, stdout, stderr := w.run("migrate", "status", "-json")
	if code != exitOldSchema || !strings.Contains(stdout, `"version":0`) || !strings.Contains(stderr, `"exit":5`) ||
		!strings.Contains(stderr, "run nawasync migrate up") {
		t.Errorf("without tables: exit code %d, want %d: %s%s", code, exitOldSchema, stdout, stderr)
	}
	w.succeed("migrate", "up")
	if got := decoded[schema](w, "migrate", "status"); !got.Current || got.Version != got.Needed || got.Version == 0 {
		t.Errorf("after migrate up: %+v", got)
	}
	if code, _, stderr := w.run("migrate", "down"); code != exitUsage || !strings.Contains(stderr, "-yes") {
		t.Errorf("migrate down without -yes: exit code %d: %s", code, stderr)
	}
	if got := decoded[schema](w, "migrate", "down", "-yes"); got.Current || got.Version != 0 {
		t.Errorf("after migrate down: %+v", got)
	}
}

func TestJobsAreListedShownRetriedAndCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.failed("a.example")
	type list struct {
		Jobs   []tracker.Job `json:"jobs"`
		Before int64         `json:"before"`
	}
	failed := decoded[list](w, "jobs", "list", "-status", "failed,conflict", "-service", "dns", "-since", "1h")
	if got := failed; len(got.Jobs) != 1 || fmt.Sprint(got.Jobs[0].ID) != id {
		t.Errorf("the list has %+v, want job %s", got, id)
	}
	if got := decoded[list](w, "jobs", "list", "-status", "success"); got.Jobs == nil || len(got.Jobs) != 0 {
		t.Errorf("the list of successes is %+v, want an empty one", got.Jobs)
	}
	if text := w.succeed("jobs", "list"); !strings.Contains(text, "dns/zone/rename") || strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("the list for people is %q, want no control characters", text)
	}
	if text := w.succeed("jobs", "show", id); !strings.Contains(text, "name  is taken (password known: true)") || !strings.Contains(text, "long long .") ||
		!strings.Contains(text, "attempt 1") || !strings.Contains(text, "1 of") || strings.Contains(text, "…") {
		t.Errorf("the job is shown as\n%s", text)
	}
	if text := w.succeed("jobs", "list", "-service", "other"); text != "no job matches\n" {
		t.Errorf("an empty list is %q", text)
	}
	type result struct {
		ID  int64       `json:"id"`
		Job tracker.Job `json:"job"`
	}
	retried := decoded[[]result](w, "jobs", "retry", "-by", "user:9", id)
	if len(retried) != 1 || fmt.Sprint(retried[0].Job.RetryOf) != id || retried[0].Job.TriggeredBy != "user:9" {
		t.Errorf("the retry is %+v", retried)
	}
	open := fmt.Sprint(retried[0].Job.ID)
	code, stdout, stderr := w.run("jobs", "retry", open, id, "99999")
	if code != exitNotFound || !strings.Contains(stderr, "job "+open+": ") || !strings.Contains(stderr, "job 99999: ") ||
		!strings.Contains(stderr, "2 of 3 jobs") || !strings.Contains(stdout, "is retried as job "+open) {
		t.Errorf("a retry of an open job, a failed one and none: exit code %d, want %d: %s%s", code, exitNotFound, stdout, stderr)
	}
	if code, _, stderr := w.run("jobs", "retry", open); code != exitRefused || strings.Count(stderr, "job "+open) != 1 {
		t.Errorf("a retry of an open job: exit code %d, want %d: %s", code, exitRefused, stderr)
	}
	if text := w.succeed("jobs", "cancel", open); text != "job "+open+" is cancelled\n" {
		t.Errorf("cancel prints %q", text)
	}
	if code, _, _ := w.run("jobs", "cancel", open); code != exitRefused {
		t.Errorf("a second cancellation: exit code %d, want %d", code, exitRefused)
	}
	if code, _, _ := w.run("jobs", "show", "99999"); code != exitNotFound {
		t.Errorf("an unknown job: exit code %d, want %d", code, exitNotFound)
	}
	sealed := decoded[[]result](w, "jobs", "retry", id) // without the key: the worker opens the arguments
	w.drain()
	if job, err := w.engine.Reader().Get(t.Context(), sealed[0].Job.ID); err != nil || !strings.Contains(job.Error, "password known: true") {
		t.Errorf("the retried job ended with %+v: %v", job, err)
	}
	entries, err := w.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{})
	w.noError(err)
	if len(entries) == 0 || entries[len(entries)-1].Subject != "user:9" {
		t.Errorf("the audit log has %+v, want the retry by user:9", entries)
	}
}

// A sync of the command is the one that the repository would dispatch: it coalesces with that.
func TestSyncIsDispatchedAsTheRepositoryDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if code, _, stderr := w.run("sync", "now", "dns/zone", "-instance", "main"); code != exitNotFound || !strings.Contains(stderr, "no sync of it is stored") {
		t.Errorf("before the first sync: exit code %d, want %d: %s", code, exitNotFound, stderr)
	}
	_, err := w.repo.SyncNow(t.Context(), zone{Account: "main"}, "", nawasync.Options{})
	w.noError(err)
	w.drain()
	for typ, want := range map[string]string{"dns/zone": `there were jobs of "main"`, "dns/zones": "there were jobs of dns/zone"} {
		if code, _, stderr := w.run("sync", "now", typ, "-instance", "mian"); code != exitNotFound || !strings.Contains(stderr, want) {
			t.Errorf("a sync of %s with a mistake: exit code %d, want %d with %q: %s", typ, code, exitNotFound, want, stderr)
		}
	}
	type result struct {
		Job tracker.Job `json:"job"`
	}
	plan := decoded[result](w, "sync", "plan", "dns/zone", "-instance", "main").Job
	now := decoded[result](w, "sync", "now", "dns/zone", "-instance", "main").Job
	own, err := w.repo.SyncNow(t.Context(), zone{Account: "main"}, "", nawasync.Options{})
	w.noError(err)
	if own.ID != now.ID || !own.Coalesced || now.Queue != "syncs" || now.MaxAttempts != 5 {
		t.Errorf("the command dispatched %+v, and the repository job %d; want one job", now, own.ID)
	}
	w.drain()
	for _, id := range []int64{plan.ID, now.ID} {
		job, err := w.engine.Reader().Get(t.Context(), id)
		w.noError(err)
		if job.Status != tracker.StatusSuccess || !strings.Contains(string(job.Result), `"listed":1`) {
			t.Errorf("%s is %s with %s: %s", job.Action, job.Status, job.Result, job.Error)
		}
	}
}

func TestPauseStopsAScopeUntilResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.failed("a.example")
	if text := w.succeed("pause", "dns/main", "-for", "30m", "-reason", "maintenance"); strings.Contains(text, "note:") {
		t.Errorf("a pause of an instance with jobs prints %q", text)
	}
	scopes, err := w.engine.Reader().Scopes(t.Context())
	w.noError(err)
	if len(scopes) != 1 || scopes[0].Service != "dns" || scopes[0].Instance != "main" {
		t.Errorf("the pauses are %+v, want dns/main", scopes)
	}
	if text := w.succeed("pause", "dns/mian"); !strings.Contains(text, "there has been no job of dns/mian") {
		t.Errorf("a pause with a mistake prints %q", text)
	}
	w.succeed("resume", "dns/mian")
	if code, _, stderr := w.run("resume", "dns/mian"); code != exitNotFound || !strings.Contains(stderr, "these are: dns/main") {
		t.Errorf("a resume with a mistake: exit code %d, want %d: %s", code, exitNotFound, stderr)
	}
	w.succeed("resume", "dns/main", "-json")
	if code, _, _ := w.run("resume", "dns/main"); code != exitNotFound {
		t.Errorf("a second resume: exit code %d, want %d", code, exitNotFound)
	}
}
