package nawasync_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
)

func TestNewRefusesAnOldSchemaAndSQLiteWithoutWAL(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		checkOldSchema := func() {
			t.Helper()
			_, err := nawasync.New(nawasync.Config{DB: db.DB})
			if !errors.Is(err, migrations.ErrOldSchema) || !strings.Contains(err.Error(), "migrations.Up(ctx, db)") {
				t.Errorf("error %v, want ErrOldSchema and the advice to call migrations.Up", err)
			}
		}
		enginetest.NoError(t, db.Exec("UPDATE nawasync_settings SET value = '0' WHERE name = 'schema_version'").Error)
		checkOldSchema()
		enginetest.NoError(t, migrations.Down(t.Context(), db.DB))
		checkOldSchema()
		if db.Dialect != "sqlite" {
			return
		}
		plain, err := testdb.Open("sqlite", "file:"+t.TempDir()+"/plain.db")
		enginetest.NoError(t, err)
		defer func() {
			if pool, err := plain.DB(); err == nil {
				_ = pool.Close()
			}
		}()
		enginetest.NoError(t, migrations.Up(t.Context(), plain))
		if _, err := nawasync.New(nawasync.Config{DB: plain}); err == nil || !strings.Contains(err.Error(), "journal_mode(WAL)") {
			t.Errorf("error %v, want one that recommends journal_mode(WAL)", err)
		}
	})
}

func TestNewSaysThatSQLitesDriverDoesNotStopStatements(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	for range 20 { // a busy machine can delay a probe
		h.Engine(nil)
		if strings.Contains(h.Log.String(), "driver does not stop a statement") {
			return
		}
	}
	t.Error("the log does not say so")
}
