package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/secret"
)

// contact is a row of the local table that mirrors a remote address book.
type contact struct {
	ID    uint64
	Email string `sync:"key"`
	Phone string
	nawasync.SyncStatus
}

// addressBook is the adapter of the remote address book. A real adapter calls an API; this one keeps
// the contacts in a map.
type addressBook struct {
	mu    sync.Mutex
	phone map[string]string
}

func (b *addressBook) List(context.Context, contact, string) iter.Seq2[mirror.Page[contact], error] {
	return func(yield func(mirror.Page[contact], error) bool) {
		b.mu.Lock()
		page := mirror.Page[contact]{Proof: mirror.Proof{Level: mirror.ProofWhole, Total: int64(len(b.phone))}}
		for email, phone := range b.phone {
			page.Items = append(page.Items, contact{Email: email, Phone: phone})
		}
		b.mu.Unlock()
		yield(page, nil)
	}
}

func (b *addressBook) Get(_ context.Context, key contact) (o mirror.Object[contact], err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	phone, found := b.phone[key.Email]
	if !found {
		return o, fault.WithClass(fault.ClassGone, errors.New("no such contact"))
	}
	return mirror.Object[contact]{Value: contact{Email: key.Email, Phone: phone}}, nil
}

func (b *addressBook) set(email, phone string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.phone[email] = phone
}

func (b *addressBook) Create(ctx context.Context, want contact) (mirror.Object[contact], error) {
	b.set(want.Email, want.Phone)
	return b.Get(ctx, want)
}

func (b *addressBook) Update(ctx context.Context, _ mirror.Object[contact], want contact, _ mirror.FieldDiff) (mirror.Object[contact], error) {
	return b.Create(ctx, want)
}

func (b *addressBook) Delete(_ context.Context, key contact) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.phone, key.Email)
	return nil
}

// exampleContacts starts an engine with a repository of contacts. Each job that ends sends an event.
func exampleContacts(book *addressBook) (engine *nawasync.Engine, contacts nawasync.SyncedRepository[contact], events chan nawasync.Event, stop func()) {
	return contactsSealedBy(nil, book)
}

// exampleSealedContacts is exampleContacts with a Sealer, which the tokens of rows need.
func exampleSealedContacts(
	book *addressBook,
) (engine *nawasync.Engine, contacts nawasync.SyncedRepository[contact], events chan nawasync.Event, stop func()) {
	keys, _ := secret.NewKeyring([]byte("a key of 32 random bytes or more")) // a real application reads it from a file
	return contactsSealedBy(keys, book)
}

func contactsSealedBy(
	sealer secret.Sealer,
	book *addressBook,
) (engine *nawasync.Engine, contacts nawasync.SyncedRepository[contact], events chan nawasync.Event, stop func()) {
	engine, _, events, stop = enginetest.ExampleWith(sealer, func(engine *nawasync.Engine, db *gorm.DB) error {
		createContacts(db)
		var err error
		if contacts, err = mirror.New(engine, mirror.Config[contact]{Service: "book", Type: "contact", Remote: book}); err != nil {
			return err
		}
		return nawasync.Register(engine, welcomer{}) // see ExampleRow
	})
	return engine, contacts, events, stop
}

// createContacts creates the table. A real application does so in a migration.
func createContacts(db *gorm.DB) {
	db.Exec("CREATE TABLE contacts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, phone TEXT NOT NULL)")
	statements, _ := mirror.StatusColumns("sqlite", "contacts")
	for _, statement := range statements {
		db.Exec(statement)
	}
}

// The example syncs a table from a remote, changes a row, and then runs into a conflict with a
// change that another user made on the remote.
func ExampleNew() {
	book := &addressBook{phone: map[string]string{"ann@example.org": "555-1"}}
	_, contacts, events, stop := exampleContacts(book)
	defer stop()
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}

	_, _ = contacts.SyncNow(ctx, contact{}, "", by)
	fmt.Println("sync:", (<-events).Type)
	ann, _ := contacts.FindKey(ctx, contact{Email: "ann@example.org"})

	_, _ = contacts.Update(ctx, ann, func(c *contact) { c.Phone = "555-2" }, by)
	fmt.Println("update:", (<-events).Type, book.phone["ann@example.org"])

	// Another user changes the number on the remote. The next update is a conflict, because the
	// remote has a value that the caller has not seen.
	book.set("ann@example.org", "555-3")
	_, _ = contacts.Update(ctx, ann, func(c *contact) { c.Phone = "555-4" }, by)
	event := <-events
	fmt.Println("update:", event.Type, event.Job.Error)
	fmt.Println("remote:", book.phone["ann@example.org"])
	// Output:
	// sync: succeeded
	// update: succeeded 555-2
	// update: conflicted phone changed on the remote after the user read the object; nothing was written
	// remote: 555-3
}
