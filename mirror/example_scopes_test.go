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

// newExampleSites returns the repositories of zones and of their records, and a function that runs the jobs.
func newExampleSites(remote *siteRemote) (zones nawasync.SyncedRepository[siteZone], records nawasync.SyncedRepository[siteRecord], drain, stop func()) {
	db, _, stop := enginetest.ExampleServers()
	createExampleTable(db, "site_zones", siteZoneColumns)
	createExampleTable(db, "site_records", siteRecordColumns)
	clock := nawasynctest.NewClock(time.Time{})
	engine, err := nawasync.New(nawasync.Config{DB: db, Now: clock.Now})
	if err == nil {
		zones, err = mirror.New(engine, mirror.Config[siteZone]{Service: "dns", Type: "zone", Remote: siteZoneRemote{remote}, Settle: -1})
	}
	if err == nil {
		records, err = mirror.New(engine, mirror.Config[siteRecord]{
			Service: "dns", Type: "record", Remote: siteRecordRemote{remote}, Settle: -1,
			Scopes: mirror.ScopesOf(zones, func(z siteZone) siteRecord { return siteRecord{Account: z.Account, Zone: z.Name} }),
		})
	}
	if err != nil {
		fmt.Println(err)
	}
	return zones, records, func() {
		if err := nawasynctest.Drain(context.Background(), engine, clock); err != nil {
			fmt.Println(err)
		}
		clock.Advance(time.Hour)
	}, stop
}

func createExampleTable(db *gorm.DB, table, columns string) {
	db.Exec("CREATE TABLE " + table + " (id INTEGER PRIMARY KEY AUTOINCREMENT, " + columns + ")")
	statements, _ := mirror.StatusColumns("sqlite", table)
	for _, statement := range statements {
		db.Exec(statement)
	}
}

// The zones of an account are the scopes of its records. A new zone is synced without a call of the host, and the
// rows of a zone that is gone are hidden.
func ExampleScopesOf() {
	remote := newSiteRemote("example.com", "example.org")
	zones, records, drain, stop := newExampleSites(remote)
	defer stop()
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}
	show := func(when string) {
		drain()
		fmt.Print(when, ":")
		for record, err := range records.All(ctx, nawasync.Query{}) {
			fmt.Print(" ", record.RID)
			if err != nil {
				fmt.Println(err)
			}
		}
		fmt.Println()
	}
	_, _ = zones.SyncNow(ctx, siteZone{Account: "acme"}, "", by)
	show("two zones")
	remote.add("example.net")
	_, _ = records.SyncNow(ctx, siteRecord{}, "", by) // all scopes, the zones first
	show("a new zone")
	remote.drop("example.org")
	for range 2 {
		_, _ = zones.SyncNow(ctx, siteZone{Account: "acme"}, "", by)
		drain()
	}
	show("a zone is gone")
	// Output:
	// two zones: example.com-a example.org-a
	// a new zone: example.com-a example.org-a example.net-a
	// a zone is gone: example.com-a example.net-a
}

// A record moves to another zone. It gets a new row, and the host finds the old one.
func ExampleMovedFrom() {
	remote := newSiteRemote("example.com", "example.org")
	zones, records, drain, stop := newExampleSites(remote)
	defer stop()
	ctx, by := context.Background(), nawasync.Options{By: "user:7"}
	_, _ = zones.SyncNow(ctx, siteZone{Account: "acme"}, "", by)
	drain()
	remote.records["example.org"]["example.com-a"] = remote.records["example.com"]["example.com-a"]
	delete(remote.records["example.com"], "example.com-a")
	for range 2 {
		_, _ = records.SyncNow(ctx, siteRecord{}, "", by)
		drain()
	}
	now, _ := records.FindKey(ctx, siteRecord{Account: "acme", Zone: "example.org", RID: "example.com-a"})
	before, err := mirror.MovedFrom(ctx, records, now)
	fmt.Println(before.Zone, before.State, err)
	// Output: example.com deleted <nil>
}
