package mirror_test

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// dnsRecord has a content that only makes sense with its type, and a priority that nobody may change.
type dnsRecord struct {
	ID       uint64
	Name     string `sync:"key"`
	Type     string `sync:"group=data"`
	Content  string `sync:"group=data"`
	Priority int64  `sync:"exact"`
	nawasync.SyncStatus
}

// Another client turns a record into an A record, while a user writes the name of a host into it: the fields of
// a group conflict together. The remote raises the priority 5 to 10 and says so in its answer, which would be
// accepted without the tag exact.
func Example_groupAndExact() {
	remote := &nawasynctest.FakeRemote[dnsRecord]{
		Key: func(r dnsRecord) string { return r.Name },
		Store: func(r dnsRecord, _ bool) dnsRecord {
			r.Priority = max(10, r.Priority)
			return r
		},
	}
	remote.Put(dnsRecord{Name: "www", Type: "CNAME", Content: "old.example.org", Priority: 20})
	var records nawasync.SyncedRepository[dnsRecord]
	_, _, events, stop := enginetest.Example(func(engine *nawasync.Engine, db *gorm.DB) (err error) {
		db.Exec("CREATE TABLE dns_records (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, type TEXT NOT NULL, content TEXT NOT NULL, priority BIGINT NOT NULL)")
		statements, _ := mirror.StatusColumns("sqlite", "dns_records")
		for _, statement := range statements {
			db.Exec(statement)
		}
		records, err = mirror.New(engine, mirror.Config[dnsRecord]{Service: "dns", Type: "record", Remote: remote, Settle: -1})
		return err
	})
	defer stop()
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}
	_, _ = records.SyncNow(ctx, dnsRecord{}, "", by)
	<-events
	seen, _ := records.FindKey(ctx, dnsRecord{Name: "www"})

	remote.Put(dnsRecord{Name: "www", Type: "A", Content: "old.example.org", Priority: 20})
	_, _ = records.Update(ctx, seen, func(r *dnsRecord) { r.Content = "new.example.org" }, by)
	fmt.Println((<-events).Job.Error)

	remote.Put(dnsRecord{Name: "www", Type: "CNAME", Content: "old.example.org", Priority: 20})
	_, _ = records.Update(ctx, seen, func(r *dnsRecord) { r.Priority = 5 }, by)
	fmt.Println((<-events).Job.Error)
	// Output:
	// type changed on the remote after the user read the object; nothing was written
	// the remote has a different priority than was written: another client changed the value, or the remote stores it in another form
}
