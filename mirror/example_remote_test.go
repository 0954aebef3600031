package mirror_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
)

// exampleBook starts an engine with a repository of contacts, whose remote shows each write at once. The
// remote has one contact, and the repository has been synced.
func exampleBook(book *addressBook, config mirror.Config[contact]) (
	engine *nawasync.Engine, contacts nawasync.SyncedRepository[contact], events chan nawasync.Event, stop func(),
) {
	book.phone = map[string]string{"ann@example.org": "555-1"}
	config.Service, config.Type, config.Settle = "book", "contact", -1
	engine, _, events, stop = enginetest.Example(func(engine *nawasync.Engine, db *gorm.DB) (err error) {
		db.Exec("CREATE TABLE contacts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, phone TEXT NOT NULL)")
		statements, _ := mirror.StatusColumns("sqlite", "contacts")
		for _, statement := range statements {
			db.Exec(statement)
		}
		contacts, err = mirror.New(engine, config)
		return err
	})
	_, _ = contacts.SyncNow(context.Background(), contact{}, "", nawasync.Options{})
	<-events
	return engine, contacts, events, stop
}

// prefixBook is a remote that stores phone numbers with a prefix, and does not answer a write with the
// contact.
type prefixBook struct{ *addressBook }

func (b prefixBook) Update(_ context.Context, _ mirror.Object[contact], want contact, _ mirror.FieldDiff) (mirror.Object[contact], error) {
	b.set(want.Email, "+1 "+want.Phone)
	return mirror.Object[contact]{}, nil
}

// The remote has another number than was written. It may be the remote's form of the number, or that of another
// client: an operator decides, and accepts it.
func ExampleAccept() {
	book := &addressBook{}
	engine, contacts, events, stop := exampleBook(book, mirror.Config[contact]{Remote: prefixBook{book}})
	defer stop()
	ctx := context.Background()
	ann, _ := contacts.FindKey(ctx, contact{Email: "ann@example.org"})
	_, _ = contacts.Update(ctx, ann, func(c *contact) { c.Phone = "555-2" }, nawasync.Options{By: "user:7"})
	event := <-events
	fmt.Println(event.Type)

	_, err := mirror.Accept(ctx, engine, event.Job.ID, nawasync.OperatorOptions{By: "user:1"})
	event = <-events
	fmt.Println(err, event.Type, string(event.Job.Result))
	ann, _ = contacts.Find(ctx, int64(ann.ID))
	fmt.Println(ann.Phone, ann.State)
	// Output:
	// conflicted
	// <nil> succeeded {"adjusted":{"phone":"+1 555-2"},"already":true}
	// +1 555-2 synced
}

// slowBook is a remote that carries an update out some time after it has accepted it.
type slowBook struct {
	*addressBook

	polls atomic.Int64
}

func (b *slowBook) Update(_ context.Context, _ mirror.Object[contact], want contact, _ mirror.FieldDiff) (o mirror.Object[contact], err error) {
	fmt.Println("202 Accepted")
	return o, mirror.Accepted("task/" + want.Phone) // a real remote returns the id of a task
}

// Poll implements mirror.PollingRemote.
func (b *slowBook) Poll(_ context.Context, key contact, handle string) error {
	if b.polls.Add(1) == 1 {
		fmt.Println(handle, "is running")
		return mirror.Accepted(handle)
	}
	fmt.Println(handle, "is done")
	b.set(key.Email, strings.TrimPrefix(handle, "task/"))
	return nil
}

// The update is sent once. The job then asks the remote for its task until the change is carried out.
func ExampleAccepted() {
	book := &addressBook{}
	_, contacts, events, stop := exampleBook(book, mirror.Config[contact]{Remote: &slowBook{addressBook: book}})
	defer stop()
	ctx := context.Background()
	ann, _ := contacts.FindKey(ctx, contact{Email: "ann@example.org"})
	_, _ = contacts.Update(ctx, ann, func(c *contact) { c.Phone = "555-2" }, nawasync.Options{By: "user:7"})
	fmt.Println((<-events).Type)
	ann, _ = contacts.Find(ctx, int64(ann.ID))
	fmt.Println(ann.Phone, ann.State)
	// Output:
	// 202 Accepted
	// task/555-2 is running
	// task/555-2 is done
	// succeeded
	// 555-2 synced
}

// The remote knows addresses in lower case only. With Normalise, what a user enters and what the remote
// stores are equal.
func ExampleConfig_normalise() {
	book := &addressBook{}
	_, contacts, events, stop := exampleBook(book, mirror.Config[contact]{
		Remote:           book,
		Normalise:        func(c *contact) { c.Email = strings.ToLower(strings.TrimSpace(c.Email)) },
		NormaliseVersion: 1,
	})
	defer stop()
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}
	_, err := contacts.Create(ctx, contact{Email: "ANN@example.org", Phone: "555-9"}, by)
	fmt.Println(errors.Is(err, nawasync.ErrExists))

	_, _ = contacts.Create(ctx, contact{Email: " Bob@Example.org ", Phone: "555-2"}, by)
	fmt.Println((<-events).Type)
	bob, _ := contacts.FindKey(ctx, contact{Email: "BOB@example.org"})
	fmt.Println(bob.Email, bob.State)
	// Output:
	// true
	// succeeded
	// bob@example.org synced
}

// pagedBook lists two contacts per call. Its cursor is the last address of a page, and the third call is
// over the rate limit.
type pagedBook struct {
	*addressBook

	calls int
}

func (b *pagedBook) List(ctx context.Context, scope contact, detail string) iter.Seq2[mirror.Page[contact], error] {
	return b.ListFrom(ctx, scope, detail, "")
}

// ListFrom implements mirror.ResumableRemote.
func (b *pagedBook) ListFrom(_ context.Context, _ contact, _, cursor string) iter.Seq2[mirror.Page[contact], error] {
	return func(yield func(mirror.Page[contact], error) bool) {
		fmt.Printf("list from %q\n", cursor)
		for {
			page, err := b.page(cursor)
			if !yield(page, err) || err != nil || page.Cursor == "" {
				return
			}
			cursor = page.Cursor
		}
	}
}

// page returns the two contacts after an address.
func (b *pagedBook) page(after string) (page mirror.Page[contact], err error) {
	if b.calls++; b.calls == 3 {
		return page, &fault.Error{Class: fault.ClassRateLimited, RetryAfter: 10 * time.Millisecond, Err: errors.New("the server answered 429")}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	page.Proof.Level = mirror.ProofExhausted
	for email, phone := range b.phone {
		if email > after {
			page.Items = append(page.Items, contact{Email: email, Phone: phone})
		}
	}
	slices.SortFunc(page.Items, func(a, b contact) int { return cmp.Compare(a.Email, b.Email) })
	if len(page.Items) > 2 {
		page.Items = page.Items[:2]
		page.Cursor = page.Items[1].Email
	}
	return page, nil
}

// The rate limit stops a listing, which goes on after the last page.
func ExampleResumableRemote() {
	book := &addressBook{}
	paged := &pagedBook{addressBook: book}
	_, contacts, events, stop := exampleBook(book, mirror.Config[contact]{Remote: paged})
	defer stop()
	for i := range 4 {
		book.set(fmt.Sprintf("%d@example.org", i), "555")
	}
	ctx := context.Background()
	_, _ = contacts.SyncNow(ctx, contact{}, "", nawasync.Options{})
	fmt.Println((<-events).Type)
	page, _ := contacts.List(ctx, nawasync.Query{Total: -1})
	fmt.Println(page.Total)
	// Output:
	// list from ""
	// list from ""
	// list from "1@example.org"
	// succeeded
	// 5
}
