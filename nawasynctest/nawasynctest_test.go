package nawasynctest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

type rename struct {
	Mailbox  string          `json:"mailbox"`
	To       string          `json:"to"`
	Password nawasync.Secret `json:"password"`
}

func (rename) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "mail", Type: "mailbox", Action: "rename"}
}
func (r rename) Target() nawasync.Target { return nawasync.Target{ID: r.Mailbox} }

type renameJob struct {
	nawasync.AbstractJob[rename]
	sent []rename
}

func (j *renameJob) Execute(ctx context.Context, run *nawasync.Run[rename]) error {
	if run.Args.To == "" {
		return nawasync.Permanent(errors.New("no new name"))
	}
	if run.Args.To == "slow" {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := run.BeginWrite(ctx); err != nil {
		return err
	}
	j.sent = append(j.sent, run.Args)
	run.Logf("renamed with %s", run.Args.Password.Reveal())
	run.SetResult(map[string]string{"to": run.Args.To, "password": run.Args.Password.Reveal()})
	run.Progress(ctx, 1, 1, "done")
	run.OnSuccess(func(tx *gorm.DB) error {
		return tx.Exec("CREATE TABLE renamed (name TEXT)").Error
	})
	return nil
}

func (j *renameJob) Timeout() time.Duration { return 50 * time.Millisecond }

func TestWorkRunsAHandlerAndReturnsItsEffects(t *testing.T) {
	t.Parallel()
	job := &renameJob{}
	got := nawasynctest.Work(t, job, rename{Mailbox: "a", To: "b", Password: nawasync.NewSecret("hunter22")})
	if got.Err != nil || got.Class != "" || !got.BeganWrite {
		t.Fatalf("Work = %+v, want success after BeginWrite", got)
	}
	if len(job.sent) != 1 || job.sent[0].Password.Reveal() != "hunter22" || job.sent[0].To != "b" {
		t.Errorf("the handler ran %d times with %+v, want once with the arguments and the password", len(job.sent), job.sent)
	}
	if !strings.Contains(got.Log, "renamed with ***") || string(got.Result) != `{"password":"***","to":"b"}` ||
		!strings.Contains(string(got.Progress), `"done":1`) {
		t.Errorf("log = %q, result = %s, progress = %s; want the password redacted and 1 done", got.Log, got.Result, got.Progress)
	}
	db := nawasynctest.NewDB(t)
	if err := got.OnSuccess(db); err != nil || !db.Migrator().HasTable("renamed") {
		t.Errorf("OnSuccess: error = %v, want none and the table renamed", err)
	}
}

func TestWorkReturnsTheClassOfAFailureAndAppliesTheTimeout(t *testing.T) {
	t.Parallel()
	if got := nawasynctest.Work(t, &renameJob{}, rename{Mailbox: "a"}); got.Class != fault.ClassPermanent || got.BeganWrite {
		t.Errorf("Work without a new name = %+v, want a permanent failure before BeginWrite", got)
	}
	if got := nawasynctest.Work(t, &renameJob{}, rename{Mailbox: "a", To: "slow"}); got.Class != fault.ClassTimeout {
		t.Errorf("Work of a slow handler = %+v, want a timeout", got)
	}
}

// fatalRecorder records the message with which a helper fails a test, and panics to stop the helper.
type fatalRecorder struct {
	testing.TB
	message string
}

func (f *fatalRecorder) Helper() {}

func (f *fatalRecorder) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	panic(f)
}

func TestRequireDispatchedReturnsTheJobOrFailsWithAListOfJobs(t *testing.T) {
	t.Parallel()
	engine := nawasynctest.NewEngine(t, func(c *nawasync.Config) {
		c.Sealer, _ = secret.NewKeyring([]byte(strings.Repeat("k", 32)))
	})
	args := rename{Mailbox: "a", To: "b", Password: nawasync.NewSecret("hunter22")}
	job, err := engine.Dispatch(t.Context(), args, nawasync.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if found := nawasynctest.RequireDispatched(t, engine, args); found.ID != job.ID {
		t.Errorf("RequireDispatched returned job %d, want %d", found.ID, job.ID)
	}
	recorder := &fatalRecorder{TB: t}
	func() {
		defer func() { _ = recover() }()
		nawasynctest.RequireDispatched(recorder, engine, rename{Mailbox: "a", To: "c"})
	}()
	if !strings.Contains(recorder.message, `"to\":\"b\"`) || strings.Contains(recorder.message, "hunter22") {
		t.Errorf("failure message = %q, want the arguments of the other job without its password", recorder.message)
	}
}

func TestNewEngineRunsJobsWithoutServers(t *testing.T) {
	t.Parallel()
	events := make(chan nawasync.Event, 1)
	engine := nawasynctest.NewEngine(t, func(c *nawasync.Config) {
		c.Sealer, _ = secret.NewKeyring([]byte(strings.Repeat("k", 32)))
		c.OnEvent = func(_ context.Context, e nawasync.Event) { events <- e }
	})
	for _, err := range []error{nawasync.Register(engine, &renameJob{}), engine.Start(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := engine.Dispatch(t.Context(), rename{Mailbox: "a", To: "b"}, nawasync.Options{}); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Job.Status != tracker.StatusSuccess {
		t.Errorf("job = %+v, want success", e.Job)
	}
}

// failArgs are the arguments of a job whose handler returns the error with the given name.
type failArgs struct{ Name string }

func (failArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "mail", Type: "mailbox", Action: "fail"}
}
func (a failArgs) Target() nawasync.Target { return nawasync.Target{ID: a.Name} }

type failJob struct {
	nawasync.AbstractJob[failArgs]
	errs map[string]error
}

func (j *failJob) Execute(_ context.Context, run *nawasync.Run[failArgs]) error {
	return j.errs[run.Args.Name]
}

func TestWorkReturnsTheOutcomeThatAnEngineRecords(t *testing.T) {
	t.Parallel()
	cause := errors.New("boom")
	job := &failJob{errs: map[string]error{
		"success": nil, "skip": nawasync.Skip("nothing to do"), "conflict": nawasync.Conflict("changed", nawasync.ConflictDetail{}),
		"later": nawasync.RetryAfter(time.Hour, cause), "permanent": nawasync.Permanent(cause), "plain": cause,
		"gone": fault.WithClass(fault.ClassGone, cause), "limited": fault.WithClass(fault.ClassRateLimited, cause), "lease": nawasync.ErrLeaseLost,
		"held": fault.WithClass(fault.ClassHeld, cause), "unknown": fault.WithClass(fault.ClassUnknownOutcome, cause),
	}}
	engine := nawasynctest.NewEngine(t, func(c *nawasync.Config) { c.DB = nawasynctest.NewDB(t) })
	if err := nawasync.Register(engine, job); err != nil {
		t.Fatal(err)
	}
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name := range job.errs {
		if name == "limited" || name == "success" {
			continue // limited would park the other jobs, and success leaves no attempt to compare with
		}
		dispatched, err := engine.Dispatch(t.Context(), failArgs{name}, nawasync.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var attempts []tracker.Attempt
		for deadline := time.Now().Add(time.Minute); len(attempts) == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if attempts, err = engine.Reader().Attempts(t.Context(), dispatched); err != nil {
				t.Fatal(err)
			}
		}
		if got := nawasynctest.Work(t, job, failArgs{name}).Outcome; len(attempts) == 0 || got != attempts[0].Outcome {
			t.Errorf("%s: outcome of Work = %s, want the outcome of the engine's attempts %+v", name, got, attempts)
		}
	}
	for name, want := range map[string]tracker.Outcome{"limited": tracker.OutcomeParked, "success": tracker.OutcomeSuccess} {
		if got := nawasynctest.Work(t, job, failArgs{name}).Outcome; got != want {
			t.Errorf("%s: outcome of Work = %s, want %s", name, got, want)
		}
	}
}
