package migrations_test

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
)

func TestTenProcessesMigrateConcurrently(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		if err := migrations.Down(t.Context(), db.DB); err != nil {
			t.Fatal(err)
		}
		if err := migrations.Check(t.Context(), db.DB); !errors.Is(err, migrations.ErrOldSchema) || !strings.Contains(err.Error(), "migrations.Up(ctx, db)") {
			t.Fatalf("Check of an empty database: error = %v, want ErrOldSchema with the call that migrates", err)
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				own, err := testdb.Open(db.Dialect, db.DSN) // a separate connection pool, as in another process
				if err != nil {
					t.Errorf("open the database: %v", err)
					return
				}
				if err := migrations.Up(t.Context(), own); err != nil {
					t.Errorf("concurrent Up: %v", err)
				}
				if pool, err := own.DB(); err == nil {
					_ = pool.Close()
				}
			})
		}
		wg.Wait()
		if err := migrations.Check(t.Context(), db.DB); err != nil {
			t.Fatalf("Check after Up: %v", err)
		}
		if err := migrations.Up(t.Context(), db.DB); err != nil {
			t.Fatalf("Up of a migrated database: %v", err)
		}
	})
}

func TestEveryDialectHasTheSameFiles(t *testing.T) {
	t.Parallel()
	names := map[string]int{}
	for _, dialect := range []string{"postgres", "mysql", "sqlite"} {
		files, err := fs.ReadDir(migrations.FS, dialect)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			names[file.Name()]++
		}
	}
	for name, n := range names {
		if n != 3 {
			t.Errorf("migration %s exists for %d dialects, want 3", name, n)
		}
	}
}
