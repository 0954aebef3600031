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

// suspend are the arguments of the examples' job.
type suspend struct {
	Account string `json:"account"`
}

func (suspend) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "account", Action: "suspend"}
}
func (a suspend) Target() nawasync.Target { return nawasync.Target{ID: a.Account} }

type suspendJob struct{ nawasync.AbstractJob[suspend] }

func (suspendJob) Execute(_ context.Context, run *nawasync.Run[suspend]) error {
	if run.Args.Account == "root" {
		return nawasync.Permanent(errors.New("root cannot be suspended"))
	}
	return nil
}

func exampleEngine() (engine *nawasync.Engine, db *gorm.DB, events chan nawasync.Event, stop func()) {
	return enginetest.Example(func(engine *nawasync.Engine, _ *gorm.DB) error { return nawasync.Register(engine, suspendJob{}) })
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

// The job exists if, and only if, the transaction commits.
func ExampleEngine_DispatchTx() {
	engine, db, events, stop := exampleEngine()
	defer stop()
	_ = db.Transaction(func(tx *gorm.DB) error {
		_, err := engine.DispatchTx(context.Background(), tx, suspend{Account: "never"}, nawasync.Options{})
		return errors.Join(err, errors.New("changed my mind"))
	})
	_ = engine.Transaction(context.Background(), func(tx *gorm.DB) error {
		_, err := engine.DispatchTx(context.Background(), tx, suspend{Account: "bob"}, nawasync.Options{})
		return err
	})
	fmt.Println((<-events).Job.TargetID)
	// Output: bob
}

func ExampleEngine_Retry() {
	engine, _, events, stop := exampleEngine()
	defer stop()
	_, _ = engine.Dispatch(context.Background(), suspend{Account: "root"}, nawasync.Options{})
	failed := (<-events).Job
	fmt.Println(failed.Status, failed.ErrorClass, failed.Error)
	again, err := engine.Retry(context.Background(), failed.ID, nawasync.RetryOptions{By: "user:1"})
	fmt.Println(again.RetryOf == failed.ID, err)
	<-events
	// Output:
	// failed permanent root cannot be suspended
	// true <nil>
}

func ExampleEngine_Schedule() {
	engine, _, _, stop := exampleEngine()
	defer stop()
	err := engine.Schedule(nawasync.Schedule{
		Name: "whm-nightly", Spec: "0 2 * * *", Timezone: "Europe/Berlin", Jitter: time.Minute,
		Args: suspend{Account: "all"},
	})
	fmt.Println(errors.Is(err, nawasync.ErrStarted)) // schedules are registered before Start
	// Output: true
}

func ExampleMask() {
	fmt.Printf("%s\n", nawasync.Mask([]byte(`{"user":"ann","password":"hunter2","url":"https://ann:hunter2@example.org/?token=abc"}`)))
	// Output: {"user":"ann","password":"***","url":"https://***@example.org/?token=***"}
}

func ExampleSecret() {
	secret := nawasync.NewSecret("hunter2")
	text, _ := json.Marshal(map[string]any{"password": secret})
	fmt.Printf("%v %s %d\n", secret, text, len(secret.Reveal()))
	// Output: *** {"password":"***"} 7
}
