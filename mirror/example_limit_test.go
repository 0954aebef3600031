package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/mirror"
)

// exampleZones starts an engine with a repository of records in zones of accounts.
func exampleZones(remote mirror.Remote[zoned]) (zones nawasync.SyncedRepository[zoned], events chan nawasync.Event, stop func()) {
	_, _, events, stop = enginetest.Example(func(engine *nawasync.Engine, db *gorm.DB) (err error) {
		db.Exec("CREATE TABLE zoned (id INTEGER PRIMARY KEY AUTOINCREMENT, " + zonedColumns + ")")
		statements, _ := mirror.StatusColumns("sqlite", "zoned")
		for _, statement := range statements {
			db.Exec(statement)
		}
		zones, err = mirror.New(engine, mirror.Config[zoned]{Service: "dns", Type: "record", Remote: remote})
		return err
	})
	return zones, events, stop
}

// The remote limits the calls of an account, whichever of its zones they are for.
func ExampleLimitRemote() {
	limited := &zonedRemote{before: func(string, zoned) error {
		return fault.WithClass(fault.ClassRateLimited, errors.New("HTTP 429"))
	}}
	zones, events, stop := exampleZones(namedZoned{limited, func(scope zoned) zoned { return zoned{Account: scope.Account} }})
	defer stop()
	_, _ = zones.SyncNow(context.Background(), zoned{Account: "acme", Zone: "example.org"}, "", nawasync.Options{})
	event := <-events
	fmt.Println(event.Type, event.Scope.Instance)
	fmt.Println(event.Scope.Covers("dns", "acme/example.net"), event.Scope.Covers("dns", "acme2/example.net"))
	// Output:
	// parked acme
	// true false
}

// A remote that answers 403 to an expired token says so when it is asked for the token itself.
func ExampleCredentialRemote() {
	forbidden := &zonedRemote{before: func(string, zoned) error {
		return fault.WithClass(fault.ClassForbidden, errors.New("HTTP 403"))
	}}
	zones, events, stop := exampleZones(checkedZoned{forbidden, func(zoned) error { return errors.New("the token has expired") }})
	defer stop()
	_, _ = zones.SyncNow(context.Background(), zoned{Account: "acme", Zone: "example.org"}, "", nawasync.Options{})
	event := <-events
	fmt.Println(event.Type, event.Scope.Instance, strings.Contains(event.Scope.Reason, "the token has expired"))
	// Output: parked acme true
}
