package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// exampleHold starts an engine with 40 contacts and a held sync. The sync found 30 contacts missing
// and deleted none of them, because that is more than the limit.
func exampleHold() (engine *nawasync.Engine, contacts nawasync.SyncedRepository[contact], holdID int64, events chan nawasync.Event, stop func()) {
	book := &addressBook{phone: map[string]string{}}
	for i := range 40 {
		book.phone[fmt.Sprintf("%02d@example.org", i)] = "555"
	}
	engine, contacts, events, stop = exampleContacts(book)
	ctx := context.Background()
	_, _ = contacts.SyncNow(ctx, contact{}, "", nawasync.Options{})
	<-events
	for i := range 30 {
		_ = book.Delete(ctx, contact{Email: fmt.Sprintf("%02d@example.org", i)})
	}
	_, _ = contacts.SyncNow(ctx, contact{}, "", nawasync.Options{})
	event := <-events
	fmt.Println(event.Type)
	var result nawasync.SyncResult
	_ = json.Unmarshal(event.Job.Result, &result)
	return engine, contacts, result.Held, events, stop
}

// An operator has checked that the contacts no longer exist on the remote, and releases the held
// sync. A new sync has the 30 rows confirmed by a job, which deletes them.
func ExampleReleaseHold() {
	engine, contacts, holdID, events, stop := exampleHold()
	defer stop()
	ctx := context.Background()
	_, err := mirror.ReleaseHold(ctx, engine, holdID, nawasync.OperatorOptions{By: "user:1", Reason: "the domain was sold"})
	fmt.Println(err)
	for range 2 {
		event := <-events
		fmt.Println(event.Job.Action, event.Type)
	}
	page, _ := contacts.List(ctx, nawasync.Query{Total: -1})
	fmt.Println(page.Total)
	// Unordered output:
	// held
	// <nil>
	// sync succeeded
	// confirm succeeded
	// 10
}

// An operator has found that the listing was incomplete, and rejects the held sync. All rows are
// kept. A second decision on the same held sync returns ErrDecided.
func ExampleRejectHold() {
	engine, contacts, holdID, _, stop := exampleHold()
	defer stop()
	ctx := context.Background()
	fmt.Println(mirror.RejectHold(ctx, engine, holdID, nawasync.OperatorOptions{By: "user:1", Reason: "the server lost its list"}))
	page, _ := contacts.List(ctx, nawasync.Query{Total: -1})
	fmt.Println(page.Total)
	_, err := mirror.ReleaseHold(ctx, engine, holdID, nawasync.OperatorOptions{By: "user:1"})
	fmt.Println(errors.Is(err, mirror.ErrDecided))
	// Output:
	// held
	// <nil>
	// 40
	// true
}

// DefaultLimit returns how many missing rows a sync may delete without the decision of an operator.
func ExampleDefaultLimit() {
	for _, known := range []int64{10, 100, 1_000, 100_000} {
		fmt.Println(known, mirror.DefaultLimit(known))
	}
	// Output:
	// 10 10
	// 100 30
	// 1000 300
	// 100000 10200
}

// Add the statements to a migration of your application, after the one that creates the table.
func ExampleStatusColumns() {
	statements, err := mirror.StatusColumns("postgres", "contacts")
	fmt.Println(err)
	fmt.Println(statements[0])
	fmt.Println(statements[1])
	// Output:
	// <nil>
	// ALTER TABLE contacts ADD COLUMN identity BYTEA NOT NULL
	// ALTER TABLE contacts ADD COLUMN sync_status VARCHAR(16) NOT NULL DEFAULT 'synced'
}

// This method of an adapter writes twice, so it calls BeginWrite before the second write. If the job
// has lost its lease, BeginWrite returns an error, and the method must not write: another process
// may already run the job.
func ExampleBeginWrite() {
	setPhone := func(ctx context.Context) error {
		fmt.Println("remove the old number")
		if err := mirror.BeginWrite(ctx); err != nil {
			return err
		}
		fmt.Println("add the new number")
		return nil
	}
	fmt.Println(setPhone(context.Background()))
	// Output:
	// remove the old number
	// add the new number
	// <nil>
}
