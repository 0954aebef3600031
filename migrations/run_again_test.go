package migrations_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
)

// On SQLite two processes may both run a file; Up says that the files can run again without harm.
func TestFileThatRunsAgainKeepsTheVersion(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	for _, name := range []string{"00009_forms.sql", "00011_saved_views.sql"} {
		text, err := fs.ReadFile(migrations.FS, "sqlite/"+name)
		if err != nil {
			t.Fatal(err)
		}
		_, up, _ := strings.Cut(string(text), "-- +goose Up")
		up, _, _ = strings.Cut(up, "-- +goose Down")
		if err := db.Exec(up).Error; err != nil {
			t.Fatal(err)
		}
		if err := migrations.Up(t.Context(), db.DB); err != nil {
			t.Fatal(err)
		}
		if err := migrations.Check(t.Context(), db.DB); err != nil {
			t.Errorf("after %s ran again, and Up: %v", name, err)
		}
	}
}
