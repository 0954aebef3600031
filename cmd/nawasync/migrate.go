package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/migrations"
)

// schema is what migrate prints.
type schema struct {
	Version int  `json:"version"` // 0 if there is none
	Needed  int  `json:"needed"`
	Current bool `json:"current"`
}

// runMigrate is nawasync migrate up, down and status.
func runMigrate(ctx context.Context, c *call) error {
	o := c.connect()
	o.create = c.command == "migrate up"
	sure := c.command != "migrate down"
	if !sure {
		c.flags.BoolVar(&sure, "yes", false, "drop all tables of nawasync, with all jobs, the audit log and policies")
	}
	if _, err := c.parse(0, 0); err != nil {
		return err
	}
	if !sure {
		return usagef("migrate down drops all tables of nawasync with their data: say -yes to do that")
	}
	db, closeDB, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	switch c.command {
	case "migrate up":
		err = migrations.Up(ctx, db)
	case "migrate down":
		err = migrations.Down(ctx, db)
	}
	if err != nil {
		return err
	}
	checked := migrations.Check(ctx, db)
	if checked != nil && !errors.Is(checked, migrations.ErrOldSchema) {
		return checked
	}
	s := schema{Version: versionOf(ctx, db), Needed: migrations.Version, Current: checked == nil}
	if err := c.print(s, func(w io.Writer) {
		if s.Version == 0 {
			fmt.Fprintf(w, "there are no tables of nawasync; this release needs version %d of the schema\n", s.Needed)
			return
		}
		fmt.Fprintf(w, "the schema has version %d; this release needs %d\n", s.Version, s.Needed)
	}); err != nil {
		return err
	}
	if c.command == "migrate status" {
		return checked // the exit code says whether migrations are missing
	}
	return nil
}

// versionOf returns the version of the schema, or 0 if there is none.
func versionOf(ctx context.Context, db *gorm.DB) (version int) {
	if err := db.WithContext(ctx).Raw("SELECT CAST(value AS DECIMAL) FROM nawasync_settings WHERE name = 'schema_version'").Scan(&version).Error; err != nil {
		return 0
	}
	return version
}
