package mirror_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// limitPlans makes the database refuse gadgets whose plan has 100 bytes or more.
func limitPlans(t *testing.T, db *testdb.Database, s *shop) {
	t.Helper()
	statements := []string{"ALTER TABLE gadgets ADD CONSTRAINT short_plan CHECK (LENGTH(plan) < 100)"}
	if db.Dialect == "sqlite" {
		statements = nil
		for _, event := range []string{"INSERT", "UPDATE"} {
			statements = append(statements, fmt.Sprintf("CREATE TRIGGER short_plan_%s BEFORE %s ON gadgets WHEN LENGTH(NEW.plan) >= 100 BEGIN SELECT RAISE(ABORT, 'the plan is too long'); END", event, event))
		}
	}
	for _, statement := range statements {
		enginetest.NoError(t, s.DB.Exec(statement).Error)
	}
}

func withPlan(list []gadget, plan string) []gadget {
	for i := range list {
		list[i].Plan = plan
	}
	return list
}

// The first load of a scope inserts with COPY on PostgreSQL, later syncs with INSERT and UPDATE.
func TestRowThatTheDatabaseRefusesIsNamedAndStopsNothing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		limitPlans(t, db, s)
		list := numberedGadgets(1200)
		list[500].Plan = long
		s.remote.Put(list...)
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Created != 1199 || got.Refused != 1 || len(got.Refusals) != 1 || !strings.Contains(got.Refusals[0], "g0500") || len(got.Refusals[0]) > 300 {
			t.Errorf("result of the first load = %+v, want 1199 created and g0500 named", got)
		}
		// An update that the database refuses; the others are updated, and what is missing is handled.
		list = withPlan(numberedGadgets(1200), "new")
		list[500].Plan, list[7].Plan = long, long
		s.remote.Put(list...)
		s.remote.Drop(list[3])
		got = resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Updated != 1197 || got.Refused != 2 || got.Missing != 1 || got.Proof != "counted" {
			t.Errorf("result of the second sync = %+v, want 1197 updated, two refused and one missing", got)
		}
		if row := s.row(t, "g0007"); row.Plan != "basic" || row.State != nawasync.StateSynced {
			t.Errorf("the refused row = %+v, want it as it was and not missing", row)
		}
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		if got := s.confirmed(t); got.Deleted != 1 || len(s.rows(t)) != 1198 {
			t.Errorf("result of the confirmation = %+v with %d rows left, want one deleted and 1198", got, len(s.rows(t)))
		}
	})
}

func TestNumberThatIsOutOfRangeAndKeyThatIsTooLongAreRefused(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 100)
		list := withPlan(numberedGadgets(100), "new")
		list[5].QuotaMB = new(1<<63 - 1) // "unlimited"; only SQLite can store it
		s.remote.Put(append(list, gadget{Instance: "one", Name: strings.Repeat("k", 300)})...)
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		want := map[string]int64{"sqlite": 0, "postgres": 1, "mysql": 2}[db.Dialect] // the key column of MySQL has 255 bytes
		updated := int64(99)
		if db.Dialect == "sqlite" {
			updated = 100
		}
		if got.Refused != want || got.Updated != updated || got.Missing != 0 {
			t.Errorf("sync result = %+v, want %d refused and all others updated", got, want)
		}
	})
}

func TestMoreThanOnePercentOfRefusedRowsFailTheRun(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		limitPlans(t, db, s)
		list := numberedGadgets(1000)
		for i := range 10 {
			list[i*100].Plan = strings.Repeat("x", 100)
		}
		s.remote.Put(list...)
		if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Refused != 10 || got.Created != 990 {
			t.Errorf("result with 10 of 1000 objects refused = %+v, want success", got)
		}
		list[1].Plan = strings.Repeat("x", 100)
		s.remote.Put(list[1])
		s.remote.Drop(list[2])
		job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
		enginetest.NoError(t, err)
		enginetest.Eventually(t, 20e9, "the error of a run with too many refused objects", func() bool {
			current, err := s.engine.Reader().Get(t.Context(), job.ID)
			return err == nil && strings.Contains(current.Error, "11 of 999 objects could not be stored")
		})
		if row := s.row(t, "g0002"); row.State != nawasync.StateSynced {
			t.Errorf("the row that was not listed is %s, want it untouched", row.State)
		}
	})
}
