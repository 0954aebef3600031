package nawasync_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestDispatchedJobRunsToSuccess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error {
			run.Logf("writing %d", run.Args.N)
			run.SetResult(map[string]int{"n": run.Args.N})
			return nil
		}}))
		h.start(e)
		job := waitStatus(t, e, dispatch(t, e, note{ID: "a", N: 7}).ID, tracker.Success)
		if string(job.Result) != `{"n":7}` || job.TriggeredBy != "user:7" || job.Attempt != 1 {
			t.Fatalf("%+v", job)
		}
		attempts, err := e.Store().Attempts(t.Context(), job)
		ok(t, err)
		if len(attempts) != 1 || !strings.Contains(attempts[0].Log, "writing 7") {
			t.Fatalf("%+v", attempts)
		}
	})
}

func TestRolledBackJobNeverRunsAndCommittedOneDoes(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		var ran atomic.Int64
		ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error {
			ran.Add(1)
			if run.Args.N == 1 {
				t.Error("a rolled back job ran")
			}
			return nil
		}}))
		h.start(e)
		err := e.Transaction(t.Context(), func(tx *gorm.DB) error {
			_, err := e.DispatchTx(t.Context(), tx, note{ID: "a", N: 1}, nawasync.Options{})
			ok(t, err)
			return errBoom
		})
		if !errors.Is(err, errBoom) {
			t.Fatal(err)
		}
		var kept *tracker.Job
		ok(t, db.Transaction(func(tx *gorm.DB) (err error) {
			kept, err = e.DispatchTx(t.Context(), tx, note{ID: "a", N: 2}, nawasync.Options{})
			return err
		}))
		waitStatus(t, e, kept.ID, tracker.Success)
		page, err := e.Store().Search(t.Context(), tracker.Search{}, 0, 0, 10)
		ok(t, err)
		if len(page.Jobs) != 1 || ran.Load() != 1 {
			t.Fatalf("%d rows, %d runs", len(page.Jobs), ran.Load())
		}
	})
}

func TestFailureIsRetriedUntilItsAttemptsAreUsedUp(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		events := make(chan nawasync.Event, 10)
		e := h.engine(func(c *nawasync.Config) { c.OnEvent = func(_ context.Context, ev nawasync.Event) { events <- ev } })
		ok(t, nawasync.Register(e, &handler[note]{backoff: 10 * time.Millisecond, fn: func(_ context.Context, run *nawasync.Run[note]) error {
			if run.LastAttempt() != (run.Attempt() == 3) {
				t.Errorf("attempt %d: last is %v", run.Attempt(), run.LastAttempt())
			}
			return errBoom
		}}))
		h.start(e)
		job := waitStatus(t, e, dispatch(t, e, note{ID: "a"}).ID, tracker.Failed)
		if job.Attempt != 3 || job.Epoch != 2 || job.Error != "boom" || job.ErrorClass != "error" {
			t.Fatalf("%+v", job)
		}
		attempts, err := e.Store().Attempts(t.Context(), job)
		ok(t, err)
		if len(attempts) != 3 || attempts[0].Outcome != "retry" || attempts[2].Outcome != "failed" {
			t.Fatalf("%+v", attempts)
		}
		if ev := <-events; ev.Type != nawasync.EventFinalFailed || ev.Job.ID != job.ID {
			t.Fatalf("%+v", ev)
		}
	})
}

func TestOutcomesEndAsTheySay(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		outcomes := map[string]struct {
			err    error
			status tracker.Status
			class  string
		}{
			"skip":      {nawasync.Skip("nothing to do"), tracker.Skipped, ""},
			"conflict":  {nawasync.Conflict("somebody else was faster", nawasync.ConflictDetail{Base: 1, Desired: 2, Remote: 3}), tracker.Conflict, "conflict"},
			"permanent": {nawasync.Permanent(errBoom), tracker.Failed, "permanent"},
			"config":    {fault.WithClass(fault.Config, errBoom), tracker.Failed, "config"},
			"gone":      {fault.WithClass(fault.Gone, errBoom), tracker.Failed, "gone"},
			"ok":        {nil, tracker.Success, ""},
		}
		ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error { return outcomes[run.Args.ID].err }}))
		h.start(e)
		ids := map[string]int64{}
		for name := range outcomes {
			ids[name] = dispatch(t, e, note{ID: name}).ID
		}
		for name, want := range outcomes {
			job := waitStatus(t, e, ids[name], want.status)
			if job.ErrorClass != want.class || job.Attempt != 1 {
				t.Errorf("%s: %+v", name, job)
			}
			if name == "conflict" && string(job.Diff) != `{"base":1,"desired":2,"remote":3}` {
				t.Errorf("diff %s", job.Diff)
			}
		}
	})
}

func TestPanicTimeoutAndBadArgumentsAreFailuresAndTheProcessLivesOn(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		ok(t, nawasync.Register(e, &handler[note]{backoff: time.Millisecond, timeout: 50 * time.Millisecond, fn: func(ctx context.Context, run *nawasync.Run[note]) error {
			switch run.Args.ID {
			case "panic":
				panic("at the disco")
			case "slow":
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), nawasync.ErrTimeout) {
					t.Errorf("cause %v", context.Cause(ctx))
				}
				return ctx.Err()
			}
			return nil
		}}))
		bad := dispatch(t, e, note{ID: "bad"})
		ok(t, db.Exec("UPDATE nawasync_jobs SET payload = ? WHERE id = ?", `{"id": 5}`, bad.ID).Error)
		h.start(e)
		// A foreign task in our queue is dropped.
		panicked := waitStatus(t, e, dispatch(t, e, note{ID: "panic"}).ID, tracker.Failed)
		if panicked.ErrorClass != "panic" || panicked.Error != "panic: at the disco" || panicked.Attempt != 3 {
			t.Errorf("%+v", panicked)
		}
		attempts, err := e.Store().Attempts(t.Context(), panicked)
		ok(t, err)
		if len(attempts) != 3 || !strings.Contains(attempts[0].Stack, "engine_test.go") {
			t.Errorf("%+v", attempts)
		}
		if job := waitStatus(t, e, dispatch(t, e, note{ID: "slow"}).ID, tracker.Failed); job.ErrorClass != "timeout" {
			t.Errorf("%+v", job)
		}
		if job := waitStatus(t, e, bad.ID, tracker.Failed); job.ErrorClass != "undecodable" || job.Attempt != 1 {
			t.Errorf("%+v", job)
		}
		waitStatus(t, e, dispatch(t, e, note{ID: "fine"}).ID, tracker.Success)
	})
}

func TestCancelEndsQueuedJobsAtOnceAndRunningOnesSoon(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		started := make(chan struct{}, 10)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(ctx context.Context, run *nawasync.Run[note]) error {
			started <- struct{}{}
			if run.Args.N == 0 {
				return nil
			}
			<-ctx.Done()
			if run.Args.N == 2 {
				return nil
			}
			return context.Cause(ctx)
		}}))
		h.start(e)
		running := dispatch(t, e, note{ID: "a", N: 1})
		behind := dispatch(t, e, note{ID: "a", N: 1})
		last := dispatch(t, e, note{ID: "a"})
		<-started
		cancelled, err := e.Cancel(t.Context(), behind.ID, "user:9")
		ok(t, err)
		if cancelled.Status != tracker.Cancelled || cancelled.CancelBy != "user:9" {
			t.Fatalf("%+v", cancelled)
		}
		asked, err := e.Cancel(t.Context(), running.ID, "user:9")
		ok(t, err)
		if asked.Status != tracker.Running || asked.CancelAt.IsZero() {
			t.Fatalf("%+v", asked)
		}
		if job := waitStatus(t, e, running.ID, tracker.Cancelled); job.CancelBy != "user:9" || job.Attempt != 1 {
			t.Fatalf("%+v", job)
		}
		waitStatus(t, e, last.ID, tracker.Success)
		stubborn := dispatch(t, e, note{ID: "b", N: 2})
		<-started
		<-started
		_, err = e.Cancel(t.Context(), stubborn.ID, "")
		ok(t, err)
		waitStatus(t, e, stubborn.ID, tracker.Success)
		if _, err := e.Cancel(t.Context(), stubborn.ID, ""); !errors.Is(err, nawasync.ErrEnded) {
			t.Fatal(err)
		}
	})
}

func TestStopRequeuesWhatHeedsItsContextUnburnt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		ok(t, e.Stop(t.Context())) // before Start
		e = h.engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		started := make(chan struct{}, 1)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(ctx context.Context, _ *nawasync.Run[note]) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}}))
		h.start(e)
		job := dispatch(t, e, note{ID: "a"})
		<-started
		stopped := make(chan error, 2)
		for range 2 {
			go func() { stopped <- e.Stop(context.Background()) }()
		}
		ok(t, errors.Join(<-stopped, <-stopped))
		row, err := e.Store().Get(t.Context(), job.ID)
		ok(t, err)
		if row.Status != tracker.Queued || row.Attempt != 0 || row.Epoch != 1 {
			t.Fatalf("%+v", row)
		}
		processes, err := e.Store().Processes(t.Context())
		ok(t, err)
		if len(processes) != 0 {
			t.Fatalf("%+v", processes)
		}
		second := h.engine(nil)
		ok(t, nawasync.Register(second, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		h.start(second)
		waitStatus(t, second, job.ID, tracker.Success)
	})
}

func TestStopEndsAJobWhoseClaimWasOnItsWay(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		claiming, proceed := make(chan struct{}), make(chan struct{})
		var once sync.Once
		hold := func(tx *gorm.DB) {
			if strings.Contains(tx.Statement.SQL.String(), "running_lane = lane") {
				once.Do(func() {
					close(claiming)
					<-proceed
				})
			}
		}
		ok(t, db.Callback().Row().Before("gorm:row").Register("test:hold", hold))
		ok(t, db.Callback().Raw().Before("gorm:raw").Register("test:hold", hold))
		e := h.engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		var ran atomic.Int64
		ok(t, nawasync.Register(e, &handler[note]{fn: func(ctx context.Context, _ *nawasync.Run[note]) error {
			ran.Add(1)
			<-ctx.Done()
			return context.Cause(ctx)
		}}))
		h.start(e)
		job := dispatch(t, e, note{ID: "a"})
		<-claiming
		stopped := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			stopped <- e.Stop(ctx)
		}()
		eventually(t, 20*time.Second, "interrupted", func() bool { return strings.Contains(h.log.String(), "the contexts of running jobs end") })
		close(proceed)
		ok(t, <-stopped)
		row, err := e.Store().Get(t.Context(), job.ID)
		ok(t, err)
		// A claim held up for so long may also lose against a deadlock: then nothing ran.
		if row.Status != tracker.Queued || row.Attempt != 0 || int64(row.Epoch) != ran.Load() {
			t.Fatalf("%d runs, %+v", ran.Load(), row)
		}
	})
}

func TestOnSuccessCommitsWithTheVerdictOrUndoesIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		ok(t, db.Exec("CREATE TABLE effects (n INT)").Error)
		e := h.engine(nil)
		ok(t, nawasync.Register(e, &handler[note]{backoff: time.Millisecond, fn: func(_ context.Context, run *nawasync.Run[note]) error {
			run.OnSuccess(func(tx *gorm.DB) error {
				if err := tx.Exec("INSERT INTO effects (n) VALUES (?)", run.Args.N).Error; err != nil {
					return err
				}
				if run.Args.ID == "bad" {
					return errBoom
				}
				_, err := e.DispatchTx(context.Background(), tx, other{ID: "next"}, nawasync.Options{})
				return err
			})
			return nil
		}}))
		followed := make(chan struct{}, 1)
		ok(t, nawasync.Register(e, &handler[other]{fn: func(context.Context, *nawasync.Run[other]) error { followed <- struct{}{}; return nil }}))
		h.start(e)
		good := dispatch(t, e, note{ID: "good", N: 1})
		bad := dispatch(t, e, note{ID: "bad", N: 2})
		waitStatus(t, e, good.ID, tracker.Success)
		if job := waitStatus(t, e, bad.ID, tracker.Failed); !strings.Contains(job.Error, "OnSuccess failed") || job.Attempt != 3 {
			t.Fatalf("%+v", job)
		}
		<-followed
		var effects []int
		ok(t, db.Raw("SELECT n FROM effects").Scan(&effects).Error)
		if len(effects) != 1 || effects[0] != 1 {
			t.Fatalf("effects %v", effects)
		}
	})
}

type other struct {
	ID string `json:"id"`
}

func (other) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "other", Action: "write"}
}
func (o other) Target() nawasync.Target { return nawasync.Target{ID: o.ID} }

func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(func(c *nawasync.Config) { c.MaxQueued = 2 })
		long := strings.Repeat("x", 256)
		for name, c := range map[string]struct {
			args nawasync.Args
			o    nawasync.Options
			want string
		}{
			"empty target":     {note{}, nawasync.Options{}, "Target.ID is empty"},
			"long target":      {note{ID: long}, nawasync.Options{}, "Target.ID has 256 bytes, over the limit of 255"},
			"long instance":    {note{ID: "a", Instance: long[:65]}, nawasync.Options{}, "limit of 64"},
			"NUL in target":    {note{ID: "a\x00b"}, nawasync.Options{}, "contains a NUL"},
			"UTF-8 in target":  {note{ID: "a\xff"}, nawasync.Options{}, "not valid UTF-8"},
			"negative delay":   {note{ID: "a"}, nawasync.Options{Delay: -1}, "negative"},
			"long By":          {note{ID: "a"}, nawasync.Options{By: long}, "limit of 255"},
			"empty service":    {anyKind{}, nawasync.Options{}, "service is empty"},
			"empty type":       {anyKind{Service: "s", Action: "a"}, nawasync.Options{}, "type is empty"},
			"empty action":     {anyKind{Service: "s", Type: "t"}, nawasync.Options{}, "action is empty"},
			"long service":     {anyKind{Service: long[:51], Type: "t", Action: "a"}, nawasync.Options{}, "service has 51 bytes, over the limit of 50"},
			"long type":        {anyKind{Service: "s", Type: long[:51], Action: "a"}, nawasync.Options{}, "type has 51 bytes, over the limit of 50"},
			"long action":      {anyKind{Service: "s", Type: "t", Action: long[:51]}, nawasync.Options{}, "action has 51 bytes, over the limit of 50"},
			"large arguments":  {anyKind{Service: "s", Type: "t", Action: "a", Data: strings.Repeat("x", 1<<20)}, nawasync.Options{}, "over the limit of 1048576"},
			"NUL in arguments": {anyKind{Service: "s", Type: "t", Action: "a", Data: "\x00"}, nawasync.Options{}, "contain a NUL"},
			"bytes in args":    {anyKind{Service: "s", Type: "t", Action: "a", Data: "\xff"}, nawasync.Options{}, "not valid UTF-8"},
			"secret, no key":   {anyKind{Service: "s", Type: "t", Action: "a", Password: "hunter22"}, nawasync.Options{}, "Config.Sealer is nil"},
		} {
			_, err := e.Dispatch(t.Context(), c.args, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		dispatch(t, e, note{ID: "a"})
		dispatch(t, e, note{ID: "b"})
		if _, err := e.Dispatch(t.Context(), note{ID: "c"}, nawasync.Options{}); !errors.Is(err, nawasync.ErrBacklogFull) {
			t.Error(err)
		}
		page, err := e.Store().Search(t.Context(), tracker.Search{}, 0, 0, 10)
		ok(t, err)
		if len(page.Jobs) != 2 {
			t.Fatalf("%d rows", len(page.Jobs))
		}
	})
}

type anyKind struct {
	Service, Type, Action string
	Data                  string
	Password              string `json:"password,omitempty"`
}

func (a anyKind) Kind() nawasync.Kind {
	return nawasync.Kind{Service: a.Service, Type: a.Type, Action: a.Action}
}
func (anyKind) Target() nawasync.Target { return nawasync.Target{ID: "x"} }

func TestRetryDispatchesANewRowUnlessALaterJobSucceeded(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		var broken atomic.Bool
		broken.Store(true)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error {
			if broken.Load() {
				return nawasync.Permanent(errBoom)
			}
			return nil
		}}))
		h.start(e)
		first := waitStatus(t, e, dispatch(t, e, note{ID: "a", N: 3}).ID, tracker.Failed)
		broken.Store(false)
		again, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{By: "user:1"})
		ok(t, err)
		done := waitStatus(t, e, again.ID, tracker.Success)
		var payload note
		ok(t, json.Unmarshal(done.Payload, &payload))
		if done.RetryOf != first.ID || done.TriggerSource != "retry" || payload.N != 3 {
			t.Fatalf("%+v", done)
		}
		if _, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrSuperseded) {
			t.Fatal(err)
		}
		forced, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{Force: true})
		ok(t, err)
		waitStatus(t, e, forced.ID, tracker.Success)
		n, err := e.Forget(t.Context(), "notes", "note", nawasync.Target{ID: "a"})
		ok(t, err)
		gone, err := e.Store().Get(t.Context(), first.ID)
		ok(t, err)
		if n != 3 || gone.Payload != nil || gone.Error != "" || gone.Status != tracker.Failed {
			t.Fatalf("%d %+v", n, gone)
		}
		if _, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatal(err)
		}
	})
}
