package mirror_test

import (
	"context"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// conflict is a repository in which a change of ann's phone to 555-4 has met somebody
// else's, to 555-3.
func conflict(book *addressBook) (engine *nawasync.Engine, job int64, events chan nawasync.Event, stop func()) {
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

// The row takes over what the remote has.
func ExampleKeepTheirs() {
	book := &addressBook{}
	engine, id, events, stop := conflict(book)
	defer stop()
	_, err := mirror.KeepTheirs(context.Background(), engine, id, nawasync.OperatorOptions{By: "user:7"})
	fmt.Println(err, (<-events).Type, book.phone["ann@example.org"])
	// Output:
	// conflicted
	// <nil> succeeded 555-3
}

// The change is applied to what the remote had at the conflict, unless that has changed
// again.
func ExampleApplyMine() {
	book := &addressBook{}
	engine, id, events, stop := conflict(book)
	defer stop()
	_, err := mirror.ApplyMine(context.Background(), engine, id, nawasync.OperatorOptions{By: "user:7"})
	fmt.Println(err, (<-events).Type, book.phone["ann@example.org"])
	// Output:
	// conflicted
	// <nil> succeeded 555-4
}

// The change is applied whatever the remote has by now.
func ExampleOverwrite() {
	book := &addressBook{}
	engine, id, events, stop := conflict(book)
	defer stop()
	book.set("ann@example.org", "555-5")
	_, err := mirror.Overwrite(context.Background(), engine, id, nawasync.OperatorOptions{By: "user:7"})
	fmt.Println(err, (<-events).Type, book.phone["ann@example.org"])
	// Output:
	// conflicted
	// <nil> succeeded 555-4
}
