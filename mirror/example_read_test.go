package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync"
)

// A list page shows what the user has asked for while the job still waits, and says so.
func Example_wishes() {
	book := &addressBook{phone: map[string]string{"ann@example.org": "555-1", "ben@example.org": "555-2"}}
	_, contacts, events, stop := exampleContacts(book)
	defer stop()
	ctx, later := context.Background(), nawasync.Options{By: "user:7", Delay: time.Hour}
	_, _ = contacts.SyncNow(ctx, contact{}, "", nawasync.Options{})
	<-events
	ann, _ := contacts.FindKey(ctx, contact{Email: "ann@example.org"})
	_, _ = contacts.Update(ctx, ann, func(c *contact) { c.Phone = "555-9" }, later)

	page, _ := contacts.List(ctx, nawasync.Query{Sort: "email", Wishes: true})
	for _, c := range page.Items {
		text := c.Phone
		if wish := page.Wishes[int64(c.ID)]; wish.Fields["phone"] != 0 {
			text += " (pending)"
		}
		fmt.Println(c.Email, text)
	}
	// The rows of Find and FindKey are the stored ones. LayWishes does the same for them.
	ann, _ = contacts.FindKey(ctx, contact{Email: "ann@example.org"})
	rows := []contact{ann}
	wishes, err := contacts.LayWishes(ctx, rows)
	fmt.Println(rows[0].Phone, len(wishes), err)
	// Output:
	// ann@example.org 555-9 (pending)
	// ben@example.org 555-2
	// 555-9 1 <nil>
}

// A list page offers a sync only if none is open, and otherwise says how far it is.
func Example_openSync() {
	_, contacts, _, stop := exampleContacts(&addressBook{})
	defer stop()
	ctx := context.Background()
	show := func() {
		job, err := contacts.OpenSync(ctx, contact{})
		switch {
		case errors.Is(err, nawasync.ErrNotFound):
			fmt.Println("Sync now")
		case err == nil:
			progress, _ := job.ProgressValues()
			fmt.Println("syncing:", job.Status, progress.Done, "of", progress.Total)
		}
	}
	show()
	_, _ = contacts.SyncNow(ctx, contact{}, "", nawasync.Options{Delay: time.Hour})
	show()
	// Output:
	// Sync now
	// syncing: queued 0 of 0
}

// A process that only serves pages has a worker find out what a sync would do.
func Example_plan() {
	book := &addressBook{phone: map[string]string{"ann@example.org": "555-1", "ben@example.org": "555-2"}}
	_, contacts, events, stop := exampleContacts(book)
	defer stop()
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}
	_, _ = contacts.SyncNow(ctx, contact{}, "", by)
	<-events
	book.set("ann@example.org", "555-9")
	book.set("cem@example.org", "555-3")

	job, _ := contacts.PlanNow(ctx, contact{}, "", by)
	<-events
	plan, err := contacts.PlanOf(ctx, contact{}, job.ID)
	fmt.Println(plan.Created, "new,", plan.Updated, "changed,", plan.Missing, "missing", err)
	for _, c := range plan.Planned {
		fmt.Printf("%s %s %s %s\n", c.TargetID, c.Kind, c.Fields["phone"].From, c.Fields["phone"].To)
	}
	// Output:
	// 1 new, 1 changed, 0 missing <nil>
	// ann@example.org drifted "555-1" "555-9"
	// cem@example.org appeared
}
