package mirror_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// parcel has values that some types of columns do not keep.
type parcel struct {
	ID       uint64
	Depot    string `sync:"scope"`
	Name     string `sync:"key"`
	Modified time.Time
	Weight   float64
	Code     string
	nawasync.SyncStatus
}

func newParcels(t *testing.T, db *testdb.Database, modified, weight, code string, list ...parcel) (*mapRemote[parcel], *mirrored[parcel]) {
	t.Helper()
	h := &enginetest.Harness{DB: db}
	enginetest.ParseTimes(t, h)
	remote := &mapRemote[parcel]{
		objects: map[string]parcel{},
		keyOf:   func(p parcel) string { return p.Name },
		find:    func(_ map[string]parcel, key parcel) string { return key.Name },
	}
	remote.put(list...)
	columns := fmt.Sprintf("depot TEXT NOT NULL, name TEXT NOT NULL, modified %s, weight %s, code %s", modified, weight, code)
	return remote, newMirrored[parcel](t, h.DB, "parcels", columns, remote)
}

var depot = parcel{Depot: "d"}

func sampleParcel() parcel {
	modified := time.Date(2026, 5, 4, 7, 21, 18, 504_123_000, time.FixedZone("WIB", 7*3600))
	return parcel{Depot: "d", Name: "p", Modified: modified, Weight: 0.995, Code: "ab"}
}

type columnCase struct{ column, kind, better string }

func TestColumnThatDoesNotKeepItsValuesIsRefusedWithABetterType(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		if db.Dialect == "sqlite" {
			t.Skip("the types of SQLite do not decide what is stored")
		}
		good, alter := [3]string{"TIMESTAMPTZ", "DOUBLE PRECISION", "VARCHAR(20)"}, "ALTER TABLE parcels ALTER COLUMN %s TYPE %s USING NULL"
		bad := []columnCase{
			{"modified", "TIMESTAMPTZ(0)", "use TIMESTAMPTZ"},
			{"modified", "TIMESTAMP(3)", "use TIMESTAMPTZ"},
			{"modified", "DATE", "use TIMESTAMPTZ"},
			{"weight", "REAL", "use DOUBLE PRECISION"},
			{"weight", "NUMERIC(10,2)", "use DOUBLE PRECISION"},
			{"weight", "BIGINT", "use DOUBLE PRECISION"},
			{"code", "CHAR(20)", "use VARCHAR or TEXT"},
		}
		if db.Dialect == "mysql" {
			good, alter = [3]string{"DATETIME(6)", "DOUBLE", "VARCHAR(20)"}, "ALTER TABLE parcels MODIFY %s %s"
			bad = []columnCase{
				{"modified", "DATETIME", "use DATETIME(6)"},
				{"modified", "TIMESTAMP(3)", "use DATETIME(6)"},
				{"modified", "DATE", "use DATETIME(6)"},
				{"weight", "FLOAT", "use DOUBLE"},
				{"weight", "DOUBLE(10,2)", "use DOUBLE"},
				{"weight", "DECIMAL(10,2)", "use DOUBLE"},
				{"weight", "INT UNSIGNED", "use DOUBLE"},
				{"code", "CHAR(20)", "use VARCHAR or TEXT"},
			}
		}
		_, m := newParcels(t, db, good[0], good[1], good[2])
		pool, err := m.db.DB.DB()
		enginetest.NoError(t, err)
		pool.SetMaxIdleConns(0) // a connection caches the types of columns
		for i, c := range bad {
			enginetest.NoError(t, db.Exec(fmt.Sprintf(alter, c.column, c.kind)).Error)
			err := errorOf(mirror.New(m.engine, mirror.Config[parcel]{Service: "api", Type: fmt.Sprint("parcel", i)}))
			if err == nil || !strings.Contains(err.Error(), "column "+c.column+" of table parcels") || !strings.Contains(err.Error(), c.better) {
				t.Errorf("%s %s: error = %v, want one that names the column and says %q", c.column, c.kind, err, c.better)
			}
			enginetest.NoError(t, db.Exec(fmt.Sprintf(alter, c.column, good[map[string]int{"modified": 0, "weight": 1, "code": 2}[c.column]])).Error)
		}
	})
}

func TestColumnsThatKeepTheirValuesAreAccepted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		types := map[string][3]string{
			"postgres": {"TIMESTAMP", "NUMERIC", "VARCHAR(20)"}, "mysql": {"TIMESTAMP(6)", "DOUBLE", "VARBINARY(20)"}, "sqlite": {"DATETIME", "REAL", "CHAR(20)"},
		}[db.Dialect]
		stored := sampleParcel()
		stored.Code = "ends with a space "
		_, m := newParcels(t, db, types[0], types[1], types[2], stored)
		m.sync(depot)
		if second := resultOf(t, m.sync(depot)); second.Unchanged != 1 || len(second.Drifted) != 0 {
			t.Errorf("second sync = %+v, want the row unchanged", second)
		}
		row := m.rows()[0]
		if !row.Modified.Equal(stored.Modified) || row.Weight != 0.995 || row.Code != stored.Code {
			t.Errorf("row = %+v, want the values of %+v", row, stored)
		}
		m.ends(m.drain(m.Delete(t.Context(), row, byUser)), tracker.StatusSuccess, "")
	})
}

// manipulate makes the database change what is stored in the column code.
func manipulate(t *testing.T, db *testdb.Database) {
	t.Helper()
	switch db.Dialect {
	case "postgres":
		enginetest.NoError(t, db.Exec("CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.code := ltrim(NEW.code, ''0''); RETURN NEW; END'").Error)
		enginetest.NoError(t, db.Exec("CREATE TRIGGER cut BEFORE INSERT OR UPDATE ON parcels FOR EACH ROW EXECUTE FUNCTION cut()").Error)
	case "mysql":
		for _, event := range []string{"INSERT", "UPDATE"} {
			enginetest.NoError(t, db.Exec("CREATE TRIGGER cut_"+event+" BEFORE "+event+" ON parcels FOR EACH ROW SET NEW.code = TRIM(LEADING '0' FROM NEW.code)").Error)
		}
	}
}

func TestFirstStoreNamesAColumnThatGivesBackAnotherValue(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		types := map[string][3]string{
			"postgres": {"TIMESTAMPTZ", "DOUBLE PRECISION", "TEXT"}, "mysql": {"DATETIME(6)", "DOUBLE", "VARCHAR(20)"}, "sqlite": {"DATETIME", "REAL", "NUMERIC"},
		}[db.Dialect]
		remote, m := newParcels(t, db, types[0], types[1], types[2])
		manipulate(t, db)
		zeros := sampleParcel()
		zeros.Code = "007"
		remote.put(zeros)
		for range 2 { // it stays so until the column is changed
			m.clock.Advance(time.Minute)
			job := m.drain(m.SyncNow(t.Context(), depot, "", byUser))
			m.ends(job, tracker.StatusFailed, `column code of table parcels gives back "7" for "007"`)
			if job.ErrorClass != "config" || len(m.rows()) != 0 {
				t.Errorf("the error's class is %q and the rows are %+v, want config and none", job.ErrorClass, m.rows())
			}
		}
	})
}

func TestUpdateOfARowNamesAColumnThatGivesBackAnotherValue(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		types := map[string][3]string{
			"postgres": {"TIMESTAMPTZ", "DOUBLE PRECISION", "TEXT"}, "mysql": {"DATETIME(6)", "DOUBLE", "VARCHAR(20)"}, "sqlite": {"DATETIME", "REAL", "NUMERIC"},
		}[db.Dialect]
		remote, m := newParcels(t, db, types[0], types[1], types[2], sampleParcel())
		manipulate(t, db)
		m.sync(depot)
		again, err := mirror.New(m.engine, mirror.Config[parcel]{Service: "api", Type: "after_a_restart", Remote: remote})
		enginetest.NoError(t, err)
		zeros := sampleParcel()
		zeros.Code = "007"
		remote.put(zeros)
		m.clock.Advance(time.Minute)
		m.ends(m.drain(again.SyncNow(t.Context(), depot, "", byUser)), tracker.StatusFailed, "column code of table parcels")
	})
}
