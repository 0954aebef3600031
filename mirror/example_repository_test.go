package mirror_test

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// vm is a row of the table vms, which mirrors the virtual machines of a cloud.
type vm struct {
	ID   uint64
	Name string `sync:"key"`
	Size string
	nawasync.SyncStatus
}

// A repository is a struct, a table and an adapter. Users' changes are jobs that call the remote; pages read the table.
func Example_repository() {
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}
	db, _, closeAll := enginetest.ExampleServers() // your own database
	defer closeAll()
	statements, _ := mirror.TableStatements[vm]("sqlite") // write them into a migration
	for _, statement := range statements {
		db.Exec(statement)
	}
	cloud := &nawasynctest.FakeRemote[vm]{Key: func(v vm) string { return v.Name }} // an adapter calls an API
	clock := nawasynctest.NewClock(time.Time{})
	engine, _ := nawasync.New(nawasync.Config{DB: db, Now: clock.Now})
	vms, err := mirror.New(engine, mirror.Config[vm]{Service: "cloud", Type: "vm", Remote: cloud, Settle: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(when string) {
		_ = nawasynctest.Drain(ctx, engine, clock) // a program calls engine.Start once, and workers run the jobs
		page, err := vms.List(ctx, nawasync.Query{Sort: "name"})
		fmt.Println(when, len(cloud.Objects()), err)
		for _, v := range page.Items {
			fmt.Println(" ", v.Name, v.Size, v.State)
		}
	}
	_, _ = vms.Create(ctx, vm{Name: "web1", Size: "small"}, by)
	_, _ = vms.Create(ctx, vm{Name: "web2", Size: "small"}, by)
	show("created")
	web1, _ := vms.FindKey(ctx, vm{Name: "web1"}) // a form needs vms.Seen and ParseSeen too
	web2, _ := vms.FindKey(ctx, vm{Name: "web2"})
	_, _ = vms.Update(ctx, web1, func(v *vm) { v.Size = "large" }, by)
	_, _ = vms.Delete(ctx, web2, by)
	show("changed")
	// Output:
	// created 2 <nil>
	//   web1 small synced
	//   web2 small synced
	// changed 1 <nil>
	//   web1 large synced
}

// The rows are compared with the remote every hour, and once when a process of a new release starts.
func Example_schedule() {
	book := &addressBook{phone: map[string]string{"ann@example.org": "555-1"}}
	var contacts nawasync.SyncedRepository[contact]
	_, _, events, stop := enginetest.Example(func(engine *nawasync.Engine, db *gorm.DB) (err error) { // before Start
		createContacts(db)
		if contacts, err = mirror.New(engine, mirror.Config[contact]{Service: "book", Type: "contact", Remote: book}); err != nil {
			return err
		}
		args, err := contacts.SyncArgs(contact{}, "")
		if err != nil {
			return err
		}
		return engine.Schedule(nawasync.Schedule{Name: "contacts", Spec: "@hourly", RunAtStart: true, Args: args})
	})
	defer stop()
	event := <-events
	fmt.Println(event.Job.Action, event.Type, event.Job.TriggeredBy)
	synced, err := contacts.LastSyncedAt(context.Background(), contact{})
	fmt.Println(time.Since(synced) < time.Hour, err)
	// Output:
	// sync succeeded schedule:contacts
	// true <nil>
}
