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
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestDispatchedJobRunsToSuccess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			run.Logf("writing %d", run.Args.N)
			run.SetResult(map[string]int{"n": run.Args.N})
			return nil
		}}))
		h.Start(e)
		job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "a", N: 7}).ID, tracker.Success)
		if string(job.Result) != `{"n":7}` || job.TriggeredBy != "user:7" || job.Attempt != 1 {
			t.Fatalf("%+v", job)
		}
		attempts, err := e.Reader().Attempts(t.Context(), job)
		enginetest.OK(t, err)
		if len(attempts) != 1 || !strings.Contains(attempts[0].Log, "writing 7") {
			t.Fatalf("%+v", attempts)
		}
	})
}

func TestRolledBackJobNeverRunsAndCommittedOneDoes(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var ran atomic.Int64
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			ran.Add(1)
			if run.Args.N == 1 {
				t.Error("a rolled back job ran")
			}
			return nil
		}}))
		h.Start(e)
		err := e.Transaction(t.Context(), func(tx *gorm.DB) error {
			_, err := e.DispatchTx(t.Context(), tx, enginetest.Note{ID: "a", N: 1}, nawasync.Options{})
			enginetest.OK(t, err)
			return enginetest.ErrBoom
		})
		if !errors.Is(err, enginetest.ErrBoom) {
			t.Fatal(err)
		}
		var kept *tracker.Job
		enginetest.OK(t, db.Transaction(func(tx *gorm.DB) (err error) {
			kept, err = e.DispatchTx(t.Context(), tx, enginetest.Note{ID: "a", N: 2}, nawasync.Options{})
			return err
		}))
		enginetest.WaitStatus(t, e, kept.ID, tracker.Success)
		page, err := e.Reader().Search(t.Context(), tracker.Search{Limit: 10})
		enginetest.OK(t, err)
		if len(page.Jobs) != 1 || ran.Load() != 1 {
			t.Fatalf("%d rows, %d runs", len(page.Jobs), ran.Load())
		}
	})
}

func TestFailureIsRetriedUntilItsAttemptsAreUsedUp(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		events := make(chan nawasync.Event, 10)
		e := h.Engine(func(c *nawasync.Config) { c.OnEvent = func(_ context.Context, ev nawasync.Event) { events <- ev } })
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Wait: 10 * time.Millisecond, Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			if run.LastAttempt() != (run.Attempt() == 3) {
				t.Errorf("attempt %d: last is %v", run.Attempt(), run.LastAttempt())
			}
			return enginetest.ErrBoom
		}}))
		h.Start(e)
		job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "a"}).ID, tracker.Failed)
		if job.Attempt != 3 || job.Epoch != 2 || job.Error != "boom" || job.ErrorClass != "error" {
			t.Fatalf("%+v", job)
		}
		attempts, err := e.Reader().Attempts(t.Context(), job)
		enginetest.OK(t, err)
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
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		outcomes := map[string]struct {
			err    error
			status tracker.Status
			class  string
		}{
			"skip":      {nawasync.Skip("nothing to do"), tracker.Skipped, ""},
			"conflict":  {nawasync.Conflict("somebody else was faster", nawasync.ConflictDetail{Base: 1, Desired: 2, Remote: 3}), tracker.Conflict, "conflict"},
			"permanent": {nawasync.Permanent(enginetest.ErrBoom), tracker.Failed, "permanent"},
			"config":    {fault.WithClass(fault.Config, enginetest.ErrBoom), tracker.Failed, "config"},
			"gone":      {fault.WithClass(fault.Gone, enginetest.ErrBoom), tracker.Failed, "gone"},
			"ok":        {nil, tracker.Success, ""},
		}
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error { return outcomes[run.Args.ID].err }}))
		h.Start(e)
		ids := map[string]int64{}
		for name := range outcomes {
			ids[name] = enginetest.Dispatch(t, e, enginetest.Note{ID: name}).ID
		}
		for name, want := range outcomes {
			job := enginetest.WaitStatus(t, e, ids[name], want.status)
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
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Wait: time.Millisecond, Limit: 50 * time.Millisecond, Do: func(ctx context.Context, run *nawasync.Run[enginetest.Note]) error {
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
		bad := enginetest.Dispatch(t, e, enginetest.Note{ID: "bad"})
		enginetest.OK(t, db.Exec("UPDATE nawasync_jobs SET payload = ? WHERE id = ?", `{"id": 5}`, bad.ID).Error)
		h.Start(e)
		// A foreign task in our queue is dropped.
		panicked := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "panic"}).ID, tracker.Failed)
		if panicked.ErrorClass != "panic" || panicked.Error != "panic: at the disco" || panicked.Attempt != 3 {
			t.Errorf("%+v", panicked)
		}
		attempts, err := e.Reader().Attempts(t.Context(), panicked)
		enginetest.OK(t, err)
		if len(attempts) != 3 || !strings.Contains(attempts[0].Stack, "engine_test.go") {
			t.Errorf("%+v", attempts)
		}
		if job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "slow"}).ID, tracker.Failed); job.ErrorClass != "timeout" {
			t.Errorf("%+v", job)
		}
		if job := enginetest.WaitStatus(t, e, bad.ID, tracker.Failed); job.ErrorClass != "undecodable" || job.Attempt != 1 {
			t.Errorf("%+v", job)
		}
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "fine"}).ID, tracker.Success)
	})
}

func TestCancelEndsQueuedJobsAtOnceAndRunningOnesSoon(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		started := make(chan struct{}, 10)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(ctx context.Context, run *nawasync.Run[enginetest.Note]) error {
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
		h.Start(e)
		running := enginetest.Dispatch(t, e, enginetest.Note{ID: "a", N: 1})
		behind := enginetest.Dispatch(t, e, enginetest.Note{ID: "a", N: 1})
		last := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
		<-started
		cancelled, err := e.Cancel(t.Context(), behind.ID, nawasync.OperatorOptions{By: "user:9"})
		enginetest.OK(t, err)
		if cancelled.Status != tracker.Cancelled || cancelled.CancelBy != "user:9" {
			t.Fatalf("%+v", cancelled)
		}
		asked, err := e.Cancel(t.Context(), running.ID, nawasync.OperatorOptions{By: "user:9"})
		enginetest.OK(t, err)
		if asked.Status != tracker.Running || asked.CancelAt.IsZero() {
			t.Fatalf("%+v", asked)
		}
		if job := enginetest.WaitStatus(t, e, running.ID, tracker.Cancelled); job.CancelBy != "user:9" || job.Attempt != 1 {
			t.Fatalf("%+v", job)
		}
		enginetest.WaitStatus(t, e, last.ID, tracker.Success)
		stubborn := enginetest.Dispatch(t, e, enginetest.Note{ID: "b", N: 2})
		<-started
		<-started
		_, err = e.Cancel(t.Context(), stubborn.ID, nawasync.OperatorOptions{By: ""})
		enginetest.OK(t, err)
		enginetest.WaitStatus(t, e, stubborn.ID, tracker.Success)
		if _, err := e.Cancel(t.Context(), stubborn.ID, nawasync.OperatorOptions{By: ""}); !errors.Is(err, nawasync.ErrEnded) {
			t.Fatal(err)
		}
	})
}

func TestStopRequeuesWhatHeedsItsContextUnburnt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		enginetest.OK(t, e.Stop(t.Context())) // before Start
		e = h.Engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		started := make(chan struct{}, 1)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(ctx context.Context, _ *nawasync.Run[enginetest.Note]) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}}))
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
		<-started
		stopped := make(chan error, 2)
		for range 2 {
			go func() { stopped <- e.Stop(context.Background()) }()
		}
		enginetest.OK(t, errors.Join(<-stopped, <-stopped))
		row, err := e.Reader().Get(t.Context(), job.ID)
		enginetest.OK(t, err)
		if row.Status != tracker.Queued || row.Attempt != 0 || row.Epoch != 1 {
			t.Fatalf("%+v", row)
		}
		processes, err := e.Reader().Processes(t.Context())
		enginetest.OK(t, err)
		if len(processes) != 0 {
			t.Fatalf("%+v", processes)
		}
		second := h.Engine(nil)
		enginetest.OK(t, nawasync.Register(second, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
		h.Start(second)
		enginetest.WaitStatus(t, second, job.ID, tracker.Success)
	})
}

func TestStopEndsAJobWhoseClaimWasOnItsWay(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
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
		enginetest.OK(t, db.Callback().Row().Before("gorm:row").Register("test:hold", hold))
		enginetest.OK(t, db.Callback().Raw().Before("gorm:raw").Register("test:hold", hold))
		e := h.Engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		var ran atomic.Int64
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(ctx context.Context, _ *nawasync.Run[enginetest.Note]) error {
			ran.Add(1)
			<-ctx.Done()
			return context.Cause(ctx)
		}}))
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
		<-claiming
		stopped := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			stopped <- e.Stop(ctx)
		}()
		enginetest.Eventually(t, 20*time.Second, "interrupted", func() bool { return strings.Contains(h.Log.String(), "the contexts of running jobs end") })
		close(proceed)
		enginetest.OK(t, <-stopped)
		row, err := e.Reader().Get(t.Context(), job.ID)
		enginetest.OK(t, err)
		// A claim held up for so long may also lose against a deadlock: then nothing ran.
		if row.Status != tracker.Queued || row.Attempt != 0 || int64(row.Epoch) != ran.Load() {
			t.Fatalf("%d runs, %+v", ran.Load(), row)
		}
	})
}

func TestOnSuccessCommitsWithTheVerdictOrUndoesIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		enginetest.OK(t, db.Exec("CREATE TABLE effects (n INT)").Error)
		e := h.Engine(nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Wait: time.Millisecond, Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			run.OnSuccess(func(tx *gorm.DB) error {
				if err := tx.Exec("INSERT INTO effects (n) VALUES (?)", run.Args.N).Error; err != nil {
					return err
				}
				if run.Args.ID == "bad" {
					return enginetest.ErrBoom
				}
				_, err := e.DispatchTx(context.Background(), tx, other{ID: "next"}, nawasync.Options{})
				return err
			})
			return nil
		}}))
		followed := make(chan struct{}, 1)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[other]{Do: func(context.Context, *nawasync.Run[other]) error { followed <- struct{}{}; return nil }}))
		h.Start(e)
		good := enginetest.Dispatch(t, e, enginetest.Note{ID: "good", N: 1})
		bad := enginetest.Dispatch(t, e, enginetest.Note{ID: "bad", N: 2})
		enginetest.WaitStatus(t, e, good.ID, tracker.Success)
		if job := enginetest.WaitStatus(t, e, bad.ID, tracker.Failed); !strings.Contains(job.Error, "OnSuccess failed") || job.Attempt != 3 {
			t.Fatalf("%+v", job)
		}
		<-followed
		var effects []int
		enginetest.OK(t, db.Raw("SELECT n FROM effects").Scan(&effects).Error)
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
		h := enginetest.New(t, db)
		e := h.Engine(func(c *nawasync.Config) { c.MaxQueued = 2 })
		long := strings.Repeat("x", 256)
		for name, c := range map[string]struct {
			args nawasync.Args
			o    nawasync.Options
			want string
		}{
			"empty target":     {enginetest.Note{}, nawasync.Options{}, "Target.ID is empty"},
			"long target":      {enginetest.Note{ID: long}, nawasync.Options{}, "Target.ID has 256 bytes, over the limit of 255"},
			"long instance":    {enginetest.Note{ID: "a", Instance: long[:65]}, nawasync.Options{}, "limit of 64"},
			"NUL in target":    {enginetest.Note{ID: "a\x00b"}, nawasync.Options{}, "contains a NUL"},
			"UTF-8 in target":  {enginetest.Note{ID: "a\xff"}, nawasync.Options{}, "not valid UTF-8"},
			"negative delay":   {enginetest.Note{ID: "a"}, nawasync.Options{Delay: -1}, "negative"},
			"long By":          {enginetest.Note{ID: "a"}, nawasync.Options{By: long}, "limit of 255"},
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
		enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
		enginetest.Dispatch(t, e, enginetest.Note{ID: "b"})
		if _, err := e.Dispatch(t.Context(), enginetest.Note{ID: "c"}, nawasync.Options{}); !errors.Is(err, nawasync.ErrBacklogFull) {
			t.Error(err)
		}
		page, err := e.Reader().Search(t.Context(), tracker.Search{Limit: 10})
		enginetest.OK(t, err)
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
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var broken atomic.Bool
		broken.Store(true)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error {
			if broken.Load() {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			return nil
		}}))
		h.Start(e)
		first := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "a", N: 3}).ID, tracker.Failed)
		broken.Store(false)
		again, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{By: "user:1"})
		enginetest.OK(t, err)
		done := enginetest.WaitStatus(t, e, again.ID, tracker.Success)
		var payload enginetest.Note
		enginetest.OK(t, json.Unmarshal(done.Payload, &payload))
		if done.RetryOf != first.ID || done.TriggerSource != "retry" || payload.N != 3 {
			t.Fatalf("%+v", done)
		}
		if _, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrSuperseded) {
			t.Fatal(err)
		}
		forced, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{Force: true})
		enginetest.OK(t, err)
		enginetest.WaitStatus(t, e, forced.ID, tracker.Success)
		n, err := e.Forget(t.Context(), tracker.Target{Service: "notes", Type: "note", ID: "a"}, nawasync.OperatorOptions{})
		enginetest.OK(t, err)
		gone, err := e.Reader().Get(t.Context(), first.ID)
		enginetest.OK(t, err)
		if n != 3 || gone.Payload != nil || gone.Error != "" || gone.Status != tracker.Failed {
			t.Fatalf("%d %+v", n, gone)
		}
		if _, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatal(err)
		}
	})
}
