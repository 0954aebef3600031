package migrations_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
)

func TestVersion10MigratesUpAgainAfterItWasRestored(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for range 2 {
			for _, name := range []string{
				"00018_park_class.sql", "00017_calls.sql", "00016_feeds.sql", "00015_listed_scopes.sql", "00014_limit_scopes.sql", "00013_own_jobs.sql",
				"00012_operate.sql", "00011_saved_views.sql",
			} {
				text, err := fs.ReadFile(migrations.FS, db.Dialect+"/"+name)
				if err != nil {
					t.Fatal(err)
				}
				_, down, _ := strings.Cut(string(text), "-- +goose Down")
				for statement := range strings.SplitSeq(down, ";") {
					if strings.TrimSpace(statement) == "" {
						continue
					}
					if err := db.Exec(statement).Error; err != nil {
						t.Fatalf("%s: %s: %v", name, statement, err)
					}
				}
			}
			for _, statement := range []string{"DELETE FROM nawasync_migrations WHERE version_id > 10", "UPDATE nawasync_settings SET value = '10' WHERE name = 'schema_version'"} {
				if err := db.Exec(statement).Error; err != nil {
					t.Fatal(err)
				}
			}
			if err := migrations.Check(t.Context(), db.DB); err == nil {
				t.Fatal("Check accepts version 10")
			}
			if err := migrations.Up(t.Context(), db.DB); err != nil {
				t.Fatal(err)
			}
			if err := migrations.Check(t.Context(), db.DB); err != nil {
				t.Fatal(err)
			}
		}
	})
}
