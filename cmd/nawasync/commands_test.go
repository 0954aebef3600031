package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// zone is a row of the repository of the tests.
type zone struct {
	ID      uint64
	Account string `sync:"scope,limit"`
	Name    string `sync:"key"`
	Plan    string
	nawasync.SyncStatus
}

func (zone) TableName() string { return "zones" }

// rename is a job that fails.
type rename struct {
	Name string `json:"name"`
}

func (rename) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "dns", Type: "zone", Action: "rename"}
}
func (a rename) Target() nawasync.Target { return nawasync.Target{Instance: "main", ID: a.Name} }

type renamer struct{ nawasync.AbstractJob[rename] }

func (renamer) Execute(context.Context, *nawasync.Run[rename]) error {
	return nawasync.Permanent(errors.New("the \x1b[31mname\u202e is taken"))
}

// world is a database with an engine whose jobs drain runs, and the command line that uses the same database.
type world struct {
	t      *testing.T
	dsn    string
	engine *nawasync.Engine
	clock  *nawasynctest.Clock
	repo   nawasync.SyncedRepository[zone]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dsn: "sqlite:" + filepath.Join(t.TempDir(), "test.db"), clock: nawasynctest.NewClock(time.Now().UTC())}
	if out := w.succeed("migrate", "up"); !strings.Contains(out, "the schema has version") {
		t.Fatal(out)
	}
	db, err := gorm.Open(sqlite.Open("file:" + strings.TrimPrefix(w.dsn, "sqlite:") + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate"))
	w.noError(err)
	t.Cleanup(func() {
		pool, _ := db.DB()
		_ = pool.Close()
	})
	statements, err := mirror.TableStatements[zone]("sqlite")
	w.noError(err)
	for _, statement := range statements {
		w.noError(db.Exec(statement).Error)
	}
	w.engine = nawasynctest.NewEngine(t, func(c *nawasync.Config) {
		c.DB, c.Now, c.Queues = db, w.clock.Now, map[string]nawasync.Queue{"syncs": {}, nawasync.DefaultQueue: {}}
	})
	remote := &nawasynctest.FakeRemote[zone]{
		Key: func(z zone) string { return z.Account + "/" + z.Name }, InScope: func(z, scope zone) bool { return z.Account == scope.Account },
	}
	remote.Put(zone{Account: "main", Name: "a.example", Plan: "free"}, zone{Account: "other", Name: "b.example", Plan: "free"})
	w.repo, err = mirror.New(w.engine, mirror.Config[zone]{Service: "dns", Type: "zone", Remote: remote, SyncQueue: "syncs", SyncMaxAttempts: 5, Settle: -1})
	w.noError(err)
	w.noError(nawasync.Register(w.engine, renamer{}))
	return w
}

func (w *world) noError(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) drain() {
	w.t.Helper()
	w.noError(nawasynctest.Drain(w.t.Context(), w.engine, w.clock))
}

// failed dispatches a job that fails, and returns its id as text.
func (w *world) failed(name string) string {
	w.t.Helper()
	job, err := w.engine.Dispatch(w.t.Context(), rename{name}, nawasync.Options{By: "user:7"})
	w.noError(err)
	w.drain()
	return fmt.Sprint(job.ID)
}

// run runs a command line with the database.
func (w *world) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	return execute(w.t, append(args, "-dsn", w.dsn)...)
}

func (w *world) succeed(args ...string) string {
	w.t.Helper()
	code, stdout, stderr := w.run(args...)
	if code != 0 {
		w.t.Fatalf("%v: exit code %d: %s", args, code, stderr)
	}
	return stdout
}

// decoded runs a command line with -json and decodes what it prints.
func decoded[T any](w *world, args ...string) (value T) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.succeed(append(args, "-json")...)), &value); err != nil {
		w.t.Fatalf("%v: %v", args, err)
	}
	return value
}

func TestMigrateStatusTellsByItsExitCodeWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := &world{t: t, dsn: "sqlite:" + filepath.Join(t.TempDir(), "test.db")}
	code, stdout, stderr := w.run("migrate", "status", "-json")
	if code != exitOldSchema || !strings.Contains(stdout, `"version":0`) || !strings.Contains(stderr, `"exit":5`) || !strings.Contains(stderr, "nawasync migrate up") {
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
	if text := w.succeed("jobs", "show", id); !strings.Contains(text, "name  is taken") || !strings.Contains(text, "attempt 1") {
		t.Errorf("the job is shown as\n%s", text)
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
	if code, stdout, stderr := w.run("jobs", "retry", open, id); code != exitRefused || !strings.Contains(stderr, "job "+open) || !strings.Contains(stdout, "is retried as job "+open) {
		t.Errorf("a retry of an open job: exit code %d, want %d: %s%s", code, exitRefused, stdout, stderr)
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
	w.succeed("pause", "dns/main", "-for", "30m", "-reason", "maintenance")
	scopes, err := w.engine.Reader().Scopes(t.Context())
	w.noError(err)
	if len(scopes) != 1 || scopes[0].Service != "dns" || scopes[0].Instance != "main" {
		t.Errorf("the pauses are %+v, want dns/main", scopes)
	}
	w.succeed("resume", "dns/main", "-json")
	if code, _, _ := w.run("resume", "dns/main"); code != exitNotFound {
		t.Errorf("a second resume: exit code %d, want %d", code, exitNotFound)
	}
}

func TestWrongArgumentsAreNamedWithoutPasswords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want string
		args []string
	}{
		{"unknown command", []string{"frobnicate"}},
		{"unknown command", []string{"jobs", "frobnicate"}},
		{"-help lists the flags", []string{"jobs", "list", "-colour"}},
		{"-dsn is missing", []string{"jobs", "list"}},
		{"use sqlite:FILE", []string{"jobs", "list", "-dsn", "oracle://u:hunter2@h/x"}},
		{"use sqlite:FILE", []string{"jobs", "list", "-dsn", "postgres://u:hunter2@h:port/x"}},
		{"use one of", []string{"jobs", "list", "-status", "broken"}},
		{"from 1 to 500", []string{"jobs", "list", "-limit", "501"}},
		{"is not the id of a job", []string{"jobs", "show", "x"}},
		{"too many", []string{"jobs", "show", "1", "2"}},
		{"use SERVICE/TYPE", []string{"sync", "now", "dns", "-dsn", "sqlite:x"}},
		{"use bash, zsh or fish", []string{"completion", "csh"}},
	} {
		if code, _, stderr := execute(t, c.args...); code != exitUsage || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%v: exit code %d, want %d with %q: %s", c.args, code, exitUsage, c.want, stderr)
		}
	}
	code, _, stderr := execute(t, "jobs", "list", "-dsn", "mysql://root:hunter2@127.0.0.1:1/x")
	if code != exitFailed || strings.Contains(stderr, "hunter2") {
		t.Errorf("a database that is away: exit code %d, want %d: %s", code, exitFailed, stderr)
	}
}

func TestCompletionKnowsCommandsAndFlags(t *testing.T) {
	t.Parallel()
	for words, want := range map[string][]string{
		"": {"new", "migrate", "jobs", "pause"}, "jobs": {"list", "show", "retry", "cancel"}, "jobs list": {"-status", "-json", "-dsn"},
		"new": {"service", "-replace"}, "completion": {"bash", "zsh", "fish"},
	} {
		_, out, _ := execute(t, append([]string{"__complete"}, strings.Fields(words)...)...)
		for _, word := range want {
			if !strings.Contains("\n"+out, "\n"+word+"\n") {
				t.Errorf("after %q, %q is missing in %q", words, word, out)
			}
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, _ := execute(t, "completion", shell); code != 0 || !strings.Contains(out, "nawasync __complete") {
			t.Errorf("%s: exit code %d: %s", shell, code, out)
		}
	}
	for _, known := range commands() {
		if code, out, _ := execute(t, append(strings.Fields(known.name), "-help")...); code != 0 || !strings.Contains(out, known.help) || !strings.Contains(out, "-json") {
			t.Errorf("%s -help: exit code %d: %s", known.name, code, out)
		}
	}
}
