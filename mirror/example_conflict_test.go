package mirror_test

import (
	"context"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// exampleConflict starts an engine with a job in conflict: the job was to change the phone number
// 555-1 to 555-4, but another user had already changed it to 555-3 on the remote.
func exampleConflict(book *addressBook) (engine *nawasync.Engine, jobID int64, events chan nawasync.Event, stop func()) {
	book.phone = map[string]string{"ann@example.org": "555-1"}
	engine, contacts, events, stop := exampleContacts(book)
	ctx := context.Background()
	_, _ = contacts.SyncNow(ctx, contact{}, "", nawasync.Options{})
	<-events
	ann, _ := contacts.FindKey(ctx, contact{Email: "ann@example.org"})
	book.set("ann@example.org", "555-3")
	_, _ = contacts.Update(ctx, ann, func(c *contact) { c.Phone = "555-4" }, nawasync.Options{By: "user:7"})
	event := <-events
	fmt.Println(event.Type)
	return engine, event.Job.ID, events, stop
}

// KeepTheirs drops the change of the job and copies the remote's value, 555-3, into the row.
func ExampleKeepTheirs() {
	book := &addressBook{}
	engine, jobID, events, stop := exampleConflict(book)
	defer stop()
	_, err := mirror.KeepTheirs(context.Background(), engine, jobID, nawasync.OperatorOptions{By: "user:7"})
	fmt.Println(err, (<-events).Type, book.phone["ann@example.org"])
	// Output:
	// conflicted
	// <nil> succeeded 555-3
}

// ApplyMine writes the job's value, 555-4, because the remote still has the value that caused the
// conflict. If the remote had changed again, the new job would end with another conflict.
func ExampleApplyMine() {
	book := &addressBook{}
	engine, jobID, events, stop := exampleConflict(book)
	defer stop()
	_, err := mirror.ApplyMine(context.Background(), engine, jobID, nawasync.OperatorOptions{By: "user:7"})
	fmt.Println(err, (<-events).Type, book.phone["ann@example.org"])
	// Output:
	// conflicted
	// <nil> succeeded 555-4
}

// Overwrite writes the job's value, 555-4, although the remote has changed again since the conflict.
func ExampleOverwrite() {
	book := &addressBook{}
	engine, jobID, events, stop := exampleConflict(book)
	defer stop()
	book.set("ann@example.org", "555-5")
	_, err := mirror.Overwrite(context.Background(), engine, jobID, nawasync.OperatorOptions{By: "user:7"})
	fmt.Println(err, (<-events).Type, book.phone["ann@example.org"])
	// Output:
	// conflicted
	// <nil> succeeded 555-4
}
