package mirror_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestCreateUpdateDeleteReachTheRemoteAndTheRowSaysSo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		want := gadget{Instance: "one", Name: "Änne ‘x’ \u8a66", QuotaMB: new(0), Plan: "basic", Tags: []string{"z", "a"}, Password: nawasync.NewSecret("pässword-1")}
		job, err := s.repo.Create(t.Context(), want, by)
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		there, found := s.remote.look(want.Name)
		if !found || *there.QuotaMB != 0 || there.Password.Reveal() != "pässword-1" {
			t.Fatalf("the remote has %+v", there)
		}
		row := s.row(t, want.Name)
		if row.State != nawasync.StateSynced || row.QuotaMB == nil || *row.QuotaMB != 0 || row.Used != 1 || row.LastSyncedAt.IsZero() || row.CreatedAt.IsZero() {
			t.Fatalf("the row is %+v", row)
		}
		job, err = s.repo.Update(t.Context(), row, func(g *gadget) {
			*g.QuotaMB = 500
			g.Tags = []string{"a", "z"} // the same set
			g.Password = nawasync.NewSecret("pässword-2")
		}, nawasync.Options{By: "user:7", Action: "update_quota"})
		enginetest.OK(t, err)
		if *row.QuotaMB != 0 {
			t.Error("Update changed what was seen")
		}
		done := s.status(t, job, tracker.Success)
		if done.Action != "update_quota" || strings.Contains(string(done.Payload), "pässword") || strings.Contains(string(done.Payload), "tags") || !strings.Contains(string(done.Payload), `"from":0`) {
			t.Errorf("its row says %s %s", done.Action, done.Payload)
		}
		if there, _ := s.remote.look(want.Name); *there.QuotaMB != 500 || there.Password.Reveal() != "pässword-2" {
			t.Errorf("the remote has %+v", there)
		}
		row = s.row(t, want.Name)
		if *row.QuotaMB != 500 || row.State != nawasync.StateSynced {
			t.Errorf("the row is %+v", row)
		}
		job, err = s.repo.Delete(t.Context(), row, by)
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		if _, found := s.remote.look(want.Name); found {
			t.Error("the remote has it still")
		}
		if _, err := s.repo.Find(t.Context(), int64(row.ID)); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("the row is there still: %v", err)
		}
	})
}

func TestBadCallsOfARepositoryAreRefusedAndLeaveNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := idleShop(t, enginetest.New(t, db))
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, by)
		enginetest.OK(t, err)
		row := s.row(t, "a")
		for what, refused := range map[string]struct {
			err  error
			want error
		}{
			"a name that is taken": {second(s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a"}, by)), nawasync.ErrExists},
			"no name":              {second(s.repo.Create(t.Context(), gadget{Instance: "one"}, by)), nawasync.ErrInvalid},
			"a trailing space":     {second(s.repo.Create(t.Context(), gadget{Instance: "one", Name: "b "}, by)), nawasync.ErrInvalid},
			"no change":            {second(s.repo.Update(t.Context(), row, func(*gadget) {}, by)), nawasync.ErrUnchanged},
			"another key":          {second(s.repo.Update(t.Context(), row, func(g *gadget) { g.Name = "b" }, by)), nawasync.ErrInvalid},
			"an observed field":    {second(s.repo.Update(t.Context(), row, func(g *gadget) { g.Used = 5 }, by)), nawasync.ErrInvalid},
			"an unknown action":    {second(s.repo.Update(t.Context(), row, func(g *gadget) { g.Plan = "x" }, nawasync.Options{Action: "explode"})), nawasync.ErrInvalid},
			"a row without id":     {second(s.repo.Update(t.Context(), gadget{Name: "a"}, func(g *gadget) { g.Plan = "x" }, by)), nawasync.ErrInvalid},
			"a row that is gone":   {second(s.repo.Delete(t.Context(), gadget{ID: 999, Instance: "one", Name: "zz"}, by)), nawasync.ErrNotFound},
			"an unknown detail":    {second(s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "dark", by)), nawasync.ErrInvalid},
		} {
			if !errors.Is(refused.err, refused.want) {
				t.Errorf("%s: %v", what, refused.err)
			}
		}
		if jobs, err := s.engine.Reader().Search(t.Context(), tracker.Search{Services: []string{"shop"}, Limit: 10}); err != nil || len(jobs.Jobs) != 1 || jobs.Jobs[0].ID != job.ID {
			t.Errorf("there are jobs: %+v %v", jobs.Jobs, err)
		}
		deleting, err := s.repo.Delete(t.Context(), row, by)
		enginetest.OK(t, err)
		if _, err := s.repo.Update(t.Context(), row, func(g *gadget) { g.Plan = "x" }, by); !errors.Is(err, nawasync.ErrDeleting) {
			t.Errorf("an update of what is being deleted: %v", err)
		}
		_, err = s.engine.Cancel(t.Context(), deleting.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.OK(t, err)
		if got := s.row(t, "a"); got.State != nawasync.StatePendingCreate || got.SyncJobID == nil || *got.SyncJobID != job.ID {
			t.Errorf("the job before the cancelled one has the row: %+v", got.SyncStatus)
		}
		_, err = s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:1"})
		enginetest.OK(t, err)
		if _, err := s.repo.FindKey(t.Context(), row); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("a row whose creation was called off is there: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestWritesInsideAHostsTransactionStandOrFallWithIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := idleShop(t, enginetest.New(t, db))
		boom := errors.New("the host changed its mind")
		err := s.engine.Transaction(t.Context(), func(tx *gorm.DB) error {
			inside := s.repo.WithTx(tx)
			if _, err := inside.Create(t.Context(), gadget{Instance: "one", Name: "a"}, by); err != nil {
				return err
			}
			if _, err := inside.FindKey(t.Context(), gadget{Instance: "one", Name: "a"}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if len(s.rows(t)) != 0 {
			t.Error("the row outlived its transaction")
		}
	})
}

// A struct's tags that make no sense are an error that names the field.
func TestSnapshotsThatMakeNoSenseAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	createGadgets(t, h)
	e := h.Engine(nil)
	type noKey struct {
		ID uint64
		nawasync.SyncStatus
	}
	type badTag struct {
		ID   uint64
		Name string `sync:"kee"`
		nawasync.SyncStatus
	}
	type openSecret struct {
		ID   uint64
		Name string          `sync:"key"`
		PIN  nawasync.Secret `gorm:"-"`
		nawasync.SyncStatus
	}
	type textID struct {
		ID   string
		Name string `sync:"key"`
		nawasync.SyncStatus
	}
	type noTable struct {
		ID   uint64
		Name string `sync:"key"`
		nawasync.SyncStatus
	}
	for want, err := range map[string]error{
		`sync:"key"`:    second(mirror.New(e, mirror.Config[noKey]{Service: "a", Type: "b"})),
		"Name":          second(mirror.New(e, mirror.Config[badTag]{Service: "a", Type: "b"})),
		"PIN":           second(mirror.New(e, mirror.Config[openSecret]{Service: "a", Type: "b"})),
		"an integer":    second(mirror.New(e, mirror.Config[textID]{Service: "a", Type: "b"})),
		"StatusColumns": second(mirror.New(e, mirror.Config[noTable]{Service: "a", Type: "b"})),
		"service":       second(mirror.New(e, mirror.Config[plainGadget]{Type: "b"})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := second(mirror.New(e, mirror.Config[gadget]{Service: "a", Type: "b", Remote: newMemory()})); !errors.Is(err, nawasync.ErrNoSealer) {
		t.Errorf("secrets without a Sealer: %v", err)
	}
}

func TestKeyThatMySQLWouldNotTellApartIsRefused(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.MySQL(t))
	enginetest.OK(t, h.DB.Exec("CREATE TABLE plain_gadgets (id BIGINT AUTO_INCREMENT PRIMARY KEY, instance VARCHAR(64) NOT NULL, name VARBINARY(255) NOT NULL, quota_mb INTEGER, plan TEXT, used BIGINT, UNIQUE (instance, name))").Error)
	statements, err := mirror.StatusColumns("mysql", "plain_gadgets")
	enginetest.OK(t, err)
	for _, statement := range statements {
		enginetest.OK(t, h.DB.Exec(statement).Error)
	}
	err = second(mirror.New(h.Engine(nil), mirror.Config[plainGadget]{Service: "a", Type: "b"}))
	if err == nil || !strings.Contains(err.Error(), "VARBINARY") || !strings.Contains(err.Error(), "plain_gadgets.instance") {
		t.Errorf("%v", err)
	}
}

func TestKeysDifferByCaseUnicodeAndSpacesAlikeOnEveryDatabase(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		moment := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 7*3600))
		list := []gadget{
			{Instance: "one", Name: "a"},
			{Instance: "one", Name: "A", QuotaMB: new(0)},
			{Instance: "one", Name: "é"},
			{Instance: "one", Name: "e\u0301"},
			{Instance: "one", Name: "ß", Plan: "trailing "},
			{Instance: "one", Name: "ss", Changed: &moment},
			{Instance: "One", Name: "a"},
			{Instance: "one", Name: "\u65e5\u672c"},
		}
		s.remote.put(list...)
		s.status(t, s.sync(t), tracker.Success)
		rows := s.rows(t)
		if len(rows) != len(list)-1 {
			t.Fatalf("there are %v", names(rows))
		}
		if rows["a"].QuotaMB != nil || rows["A"].QuotaMB == nil || rows["ß"].Plan != "trailing " {
			t.Errorf("NULL, 0 or a space was lost: %+v %+v %+v", rows["a"], rows["A"], rows["ß"])
		}
		if got := rows["ss"].Changed; got == nil || !got.Equal(moment.Truncate(time.Microsecond)) {
			t.Errorf("a time came back as %v, not %v", got, moment)
		}
		again := s.sync(t)
		if result := resultOf(t, again); result.Unchanged != int64(len(list)-1) || result.Updated != 0 {
			t.Errorf("what was stored is not what came: %+v", result)
		}
	})
}

func TestLastSyncedAtIsPerInstance(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.status(t, s.sync(t), tracker.Success)
		var one, two time.Time
		enginetest.Eventually(t, 20*time.Second, "a last sync", func() bool {
			var err error
			one, err = s.repo.LastSyncedAt(context.Background(), gadget{Instance: "one"})
			enginetest.OK(t, err)
			return !one.IsZero()
		})
		two, err := s.repo.LastSyncedAt(t.Context(), gadget{Instance: "two"})
		if err != nil || !two.IsZero() {
			t.Errorf("another instance was synced at %v, %v", two, err)
		}
	})
}
