package mirror_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// A list page has filters, a sort, and links to the next and the previous page.
func Example_pages() {
	book := &addressBook{phone: map[string]string{"ann@example.org": "555-1", "bob@example.org": "555-2", "cal@example.org": "777-3", "dan@example.org": "555-4"}}
	_, contacts, events, stop := exampleContacts(book)
	defer stop()
	ctx := context.Background()
	_, _ = contacts.SyncNow(ctx, contact{}, "", nawasync.Options{By: "user:7"})
	<-events

	q := nawasync.Query{Prefix: map[string]string{"phone": "555-"}, Sort: "-phone,email", Limit: 2}
	first, _ := contacts.List(ctx, q)
	q.After = first.Next
	second, _ := contacts.List(ctx, q)
	q.After, q.Before = "", second.Prev
	again, _ := contacts.List(ctx, q)
	for _, page := range []nawasync.ListResult[contact]{first, second, again} {
		var phones []string
		for _, c := range page.Items {
			phones = append(phones, c.Phone)
		}
		fmt.Println(phones)
	}

	_, err := contacts.List(ctx, nawasync.Query{Contains: map[string]any{"phone": "555"}})
	fmt.Println(err)
	// Output:
	// [555-4 555-2]
	// [555-1]
	// [555-4 555-2]
	// invalid argument: Query.Contains, column "phone", which has texts: only lists contain values; use Query.Where
}

// A page that is opened by the id of a row finds only those of the user's own scope.
func Example_findIn() {
	book := &addressBook{phone: map[string]string{"ann@example.org": "555-1"}}
	_, contacts, events, stop := exampleContacts(book)
	defer stop()
	ctx := context.Background()
	_, _ = contacts.SyncNow(ctx, contact{}, "", nawasync.Options{By: "user:7"})
	<-events

	// A struct with scope fields, such as a tenant, needs them here: the row of another tenant is not found.
	ann, err := contacts.FindIn(ctx, contact{}, 1)
	fmt.Println(ann.Email, err)
	_, err = contacts.FindIn(ctx, contact{}, 2)
	fmt.Println(errors.Is(err, nawasync.ErrNotFound))
	// Output:
	// ann@example.org <nil>
	// true
}

// A form carries a token of the row that the user sees. The update behaves as if the handler had kept that row:
// what has changed since then is a conflict.
func Example_seen() {
	book := &addressBook{phone: map[string]string{"ann@example.org": "555-1"}}
	_, contacts, events, stop := exampleSealedContacts(book)
	defer stop()
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}
	_, _ = contacts.SyncNow(ctx, contact{}, "", by)
	<-events

	// The page with the form.
	ann, _ := contacts.FindKey(ctx, contact{Email: "ann@example.org"})
	token, _ := contacts.Seen(ctx, ann, by.By)

	// Meanwhile, another user changes the number, and a sync copies it.
	book.set("ann@example.org", "555-9")
	_, _ = contacts.SyncNow(ctx, contact{}, "", by)
	<-events

	// The handler of the form.
	seen, err := contacts.ParseSeen(ctx, contact{Email: "ann@example.org"}, by.By, token)
	fmt.Println(seen.Phone, err)
	_, _ = contacts.Update(ctx, seen, func(c *contact) { c.Phone = "555-2" }, by)
	event := <-events
	fmt.Println(event.Type, event.Job.Error)

	_, err = contacts.ParseSeen(ctx, contact{Email: "ann@example.org"}, "user:8", token)
	fmt.Println(errors.Is(err, mirror.ErrSeen))
	// Output:
	// 555-9 <nil>
	// conflicted phone changed on the remote after the user read the object; nothing was written
	// true
}
