package mirror_test

import (
	"context"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// A user has deleted a contact by mistake, and has entered it again in the remote's own interface. An
// operator restores the row, so that what the application stores about the contact is not lost.
func ExampleRestore() {
	book := &addressBook{phone: map[string]string{"ann@example.org": "555-1"}}
	engine, contacts, events, stop := exampleContacts(book)
	defer stop()
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}
	_, _ = contacts.SyncNow(ctx, contact{}, "", by)
	<-events
	ann, _ := contacts.FindKey(ctx, contact{Email: "ann@example.org"})
	_, _ = contacts.Delete(ctx, ann, by)
	<-events
	book.set("ann@example.org", "555-2")

	deleted, _ := contacts.List(ctx, nawasync.Query{States: []nawasync.SyncState{tracker.StateDeleted}})
	row := mirror.DeletedRow{Service: "book", Type: "contact", ID: int64(deleted.Items[0].ID)}
	_, err := mirror.Restore(ctx, engine, row, nawasync.OperatorOptions{By: "user:1", Reason: "deleted by mistake"})
	fmt.Println(err, (<-events).Type)

	restored, _ := contacts.Find(ctx, row.ID)
	fmt.Println(restored.Phone, restored.State)
	// Output:
	// <nil> succeeded
	// 555-2 synced
}
