package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// held is a repository of 40 contacts whose sync found 30 of them missing, and is held.
func held() (engine *nawasync.Engine, contacts nawasync.SyncedRepository[contact], hold int64, events chan nawasync.Event, stop func()) {
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

// A person has looked: the objects are really gone.
func ExampleReleaseHold() {
	engine, contacts, hold, events, stop := held()
	defer stop()
	ctx := context.Background()
	_, err := mirror.ReleaseHold(ctx, engine, hold, nawasync.OperatorOptions{By: "user:1", Reason: "the domain was sold"})
	fmt.Println(err, (<-events).Type)
	page, _ := contacts.List(ctx, nawasync.Query{Total: -1})
	fmt.Println(page.Total)
	// Output:
	// held
	// <nil> succeeded
	// 10
}

// A person has looked: the listing lies, and the rows are kept.
func ExampleRejectHold() {
	engine, contacts, hold, _, stop := held()
	defer stop()
	ctx := context.Background()
	fmt.Println(mirror.RejectHold(ctx, engine, hold, nawasync.OperatorOptions{By: "user:1", Reason: "the server lost its list"}))
	page, _ := contacts.List(ctx, nawasync.Query{Total: -1})
	fmt.Println(page.Total)
	_, err := mirror.ReleaseHold(ctx, engine, hold, nawasync.OperatorOptions{By: "user:1"})
	fmt.Println(errors.Is(err, mirror.ErrDecided))
	// Output:
	// held
	// <nil>
	// 40
	// true
}

// How many absent rows are believed without a person.
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

// The statements belong into a migration of yours, after the one that makes the table.
func ExampleStatusColumns() {
	statements, err := mirror.StatusColumns("postgres", "contacts")
	fmt.Println(err)
	fmt.Println(statements[0])
	// Output:
	// <nil>
	// ALTER TABLE contacts ADD COLUMN sync_status VARCHAR(16) NOT NULL DEFAULT 'synced'
}

// An adapter that writes twice in one method asks before the second time whether the job
// is still its own: by then another process may run it.
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
