package nawasync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
)

// suspend holds the arguments of the job that the examples dispatch.
type suspend struct {
	Account string `json:"account"`
}

func (suspend) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "account", Action: "suspend"}
}

func (a suspend) Target() nawasync.Target { return nawasync.Target{ID: a.Account} }

// suspendJob is the handler of suspend. It fails for the account root.
type suspendJob struct{ nawasync.AbstractJob[suspend] }

func (suspendJob) Execute(_ context.Context, run *nawasync.Run[suspend]) error {
	if run.Args.Account == "root" {
		return nawasync.Permanent(errors.New("root cannot be suspended"))
	}
	return nil
}

// exampleEngine returns a started engine that runs suspendJob. The channel receives its events.
func exampleEngine() (engine *nawasync.Engine, db *gorm.DB, events chan nawasync.Event, stop func()) {
	return enginetest.Example(func(engine *nawasync.Engine, _ *gorm.DB) error { return nawasync.Register(engine, suspendJob{}) })
}

// This example starts an engine and runs one job. ExampleServers is a helper of the examples:
// use your own Redis client, and a database with the schema of package migrations.
func ExampleNew() {
	ctx := context.Background()
	db, client, closeServers := enginetest.ExampleServers()
	defer closeServers()

	events := make(chan nawasync.Event, 1)
	engine, err := nawasync.New(nawasync.Config{DB: db, Redis: client, OnEvent: func(_ context.Context, e nawasync.Event) { events <- e }})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := nawasync.Register(engine, suspendJob{}); err != nil {
		fmt.Println(err)
		return
	}
	if err := engine.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = engine.Stop(ctx) }()

	if _, err := engine.Dispatch(ctx, suspend{Account: "ann"}, nawasync.Options{By: "user:7"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println((<-events).Type)
	// Output: succeeded
}

// Register accepts each kind once, and only before Start. A process that only dispatches
// jobs needs no handlers.
func ExampleRegister() {
	db, _, closeServers := enginetest.ExampleServers()
	defer closeServers()
	engine, _ := nawasync.New(nawasync.Config{DB: db})
	fmt.Println(nawasync.Register(engine, suspendJob{}))
	fmt.Println(errors.Is(nawasync.Register(engine, suspendJob{}), nawasync.ErrRegistered))
	fmt.Println(engine.Services())
	// Output:
	// <nil>
	// true
	// [whm]
}

func ExampleEngine_Dispatch() {
	engine, _, events, stop := exampleEngine()
	defer stop()
	job, err := engine.Dispatch(context.Background(), suspend{Account: "ann"}, nawasync.Options{By: "user:7"})
	if err != nil {
		fmt.Println(err)
		return
	}
	event := <-events
	fmt.Println(job.Status, "then", event.Job.Status, "for", event.Job.TargetID, "by", event.Job.TriggeredBy)
	// Output: queued then success for ann by user:7
}

// The job is added only if the transaction commits. Engine.Transaction also wakes the workers
// right after the commit.
func ExampleEngine_DispatchTx() {
	engine, db, events, stop := exampleEngine()
	defer stop()
	_ = db.Transaction(func(tx *gorm.DB) error {
		_, err := engine.DispatchTx(context.Background(), tx, suspend{Account: "never"}, nawasync.Options{})
		return errors.Join(err, errors.New("an error rolls the transaction back"))
	})
	_ = engine.Transaction(context.Background(), func(tx *gorm.DB) error {
		_, err := engine.DispatchTx(context.Background(), tx, suspend{Account: "bob"}, nawasync.Options{})
		return err
	})
	fmt.Println((<-events).Job.TargetID)
	// Output: bob
}

// DispatchMany adds all of the jobs or, if it returns an error, none of them.
// DispatchManyTx does the same in the caller's transaction.
func ExampleEngine_DispatchMany() {
	engine, _, events, stop := exampleEngine()
	defer stop()
	jobs, err := engine.DispatchMany(context.Background(), []nawasync.Args{suspend{"ann"}, suspend{"bob"}}, nawasync.Options{Source: nawasync.SourceAPI})
	fmt.Println(len(jobs), err)
	fmt.Println((<-events).Type, (<-events).Type)
	// Output:
	// 2 <nil>
	// succeeded succeeded
}

// The job runs every night at 02:00 in Berlin, or up to a minute later. Schedules must be
// registered before Start.
func ExampleEngine_Schedule() {
	ctx := context.Background()
	db, client, closeServers := enginetest.ExampleServers()
	defer closeServers()
	engine, _ := nawasync.New(nawasync.Config{DB: db, Redis: client})
	nightly := nawasync.Schedule{
		Name: "whm-nightly", Spec: "0 2 * * *", Timezone: "Europe/Berlin", Jitter: time.Minute,
		Args: suspend{Account: "all"},
	}
	fmt.Println(engine.Schedule(nightly))

	if err := engine.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = engine.Stop(ctx) }()
	fmt.Println(errors.Is(engine.Schedule(nightly), nawasync.ErrStarted))
	// Output:
	// <nil>
	// true
}

func ExampleMask() {
	fmt.Printf("%s\n", nawasync.Mask([]byte(`{"user":"ann","password":"hunter2","url":"https://ann:hunter2@example.org/?token=abc"}`)))
	// Output: {"user":"ann","password":"***","url":"https://***@example.org/?token=***"}
}

func ExampleNewSecret() {
	secret := nawasync.NewSecret("hunter2")
	text, _ := json.Marshal(map[string]any{"password": secret})
	fmt.Printf("%v %s %d\n", secret, text, len(secret.Reveal()))
	// Output: *** {"password":"***"} 7
}

// A repository calls these methods when a job on the row is dispatched and when it ends.
// A test can call them to put a row into a given state.
func ExampleSyncStatus() {
	var row nawasync.SyncStatus
	row.MarkPending(nawasync.StatePendingUpdate, 42)
	fmt.Println(row.State, *row.SyncJobID, row.IsPending())
	row.MarkFailed("the server refused it")
	fmt.Println(row.State, row.SyncError, row.HasFailed())
	row.MarkConflict("the quota has changed on the remote")
	fmt.Println(row.State, row.HasFailed())
	row.MarkSynced(time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC))
	fmt.Println(row.State, row.LastSyncedAt.Format(time.Kitchen), row.IsSynced())
	// Output:
	// pending_update 42 true
	// failed the server refused it true
	// conflict true
	// synced 10:00AM true
}
