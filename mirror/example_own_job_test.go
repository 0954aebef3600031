package mirror_test

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
)

// welcome are the arguments of a job of the host: it welcomes a contact. A job of the repository's service and type
// gets the target of the row's jobs, so the arguments need none.
type welcome struct{ Text string }

func (welcome) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "book", Type: "contact", Action: "welcome"}
}
func (welcome) Target() nawasync.Target { return nawasync.Target{} }

// welcomer runs these jobs.
type welcomer struct {
	nawasync.AbstractJob[welcome]
}

func (welcomer) Execute(ctx context.Context, run *nawasync.Run[welcome]) error {
	row, err := mirror.Row[contact](ctx) // as it is now
	if err != nil {
		return err
	}
	if err := run.BeginWrite(ctx); err != nil { // before each write to a remote
		return err
	}
	fmt.Printf("%s, %s!\n", run.Args.Text, row.Email)
	return nil
}

// One form creates a contact and welcomes it: both jobs are dispatched in one transaction, and the second runs after
// the first has created the contact. While it waits and runs, and if it fails, the row says so.
//
// The output is unordered, because events are sent after the commit: the second job may greet before the event of the
// first arrives.
func ExampleRow() {
	book := &addressBook{phone: map[string]string{}}
	engine, contacts, events, stop := exampleContacts(book)
	defer stop()
	ctx, o := context.Background(), nawasync.Options{By: "user:7", MarkRow: true}
	err := engine.Transaction(ctx, func(tx *gorm.DB) error {
		in := contacts.WithTx(tx)
		job, err := in.Create(ctx, contact{Email: "ann@example.org", Phone: "555-1"}, o)
		if err != nil {
			return err
		}
		row, err := in.Find(ctx, job.SnapshotRow)
		if err != nil {
			return err
		}
		_, err = in.Dispatch(ctx, row, welcome{"Hello"}, o)
		return err
	})
	fmt.Println(err)
	for range 2 {
		event := <-events
		fmt.Println(event.Job.Action, event.Type, event.Job.TargetID)
	}
	// Unordered output:
	// <nil>
	// create succeeded ann@example.org
	// Hello, ann@example.org!
	// welcome succeeded ann@example.org
}

// A repository dispatches a job when it has created an object, in the transaction that ends the creation.
func ExampleDone() {
	book := &addressBook{phone: map[string]string{}}
	var contacts nawasync.SyncedRepository[contact]
	_, _, events, stop := enginetest.Example(func(engine *nawasync.Engine, db *gorm.DB) (err error) {
		createContacts(db)
		contacts, err = mirror.New(engine, mirror.Config[contact]{
			Service: "book", Type: "contact", Remote: book, MaxAttempts: 5,
			OnSuccess: func(ctx context.Context, done mirror.Done[contact]) error {
				if done.Job.Action != "create" {
					return nil
				}
				_, err := contacts.WithTx(done.Tx).Dispatch(ctx, done.Row, welcome{"Hi"}, nawasync.Options{By: done.Job.TriggeredBy})
				return err
			},
		})
		if err != nil {
			return err
		}
		return nawasync.Register(engine, welcomer{})
	})
	defer stop()
	_, _ = contacts.Create(context.Background(), contact{Email: "bob@example.org"}, nawasync.Options{By: "user:7"})
	for range 2 {
		event := <-events
		fmt.Println(event.Job.Action, event.Type, event.Job.MaxAttempts)
	}
	// Unordered output:
	// create succeeded 5
	// Hi, bob@example.org!
	// welcome succeeded 3
}
