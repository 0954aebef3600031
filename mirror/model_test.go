package mirror_test

import (
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

func TestInvalidSnapshotsAreRefusedWithTheReason(t *testing.T) {
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
	type softDeleted struct {
		ID        uint64
		Name      string `sync:"key"`
		DeletedAt gorm.DeletedAt
		nawasync.SyncStatus
	}
	type sameColumn struct {
		ID      uint64
		Name    string    `sync:"key"`
		Removed time.Time `gorm:"column:deleted_at"`
		nawasync.SyncStatus
	}
	type noTable struct {
		ID   uint64
		Name string `sync:"key"`
		nawasync.SyncStatus
	}
	for want, err := range map[string]error{
		`sync:"key"`:    errorOf(mirror.New(e, mirror.Config[noKey]{Service: "a", Type: "b"})),
		"Name":          errorOf(mirror.New(e, mirror.Config[badTag]{Service: "a", Type: "b"})),
		"PIN":           errorOf(mirror.New(e, mirror.Config[openSecret]{Service: "a", Type: "b"})),
		"soft deletion": errorOf(mirror.New(e, mirror.Config[softDeleted]{Service: "a", Type: "b"})),
		"two fields":    errorOf(mirror.New(e, mirror.Config[sameColumn]{Service: "a", Type: "b"})),
		"an integer":    errorOf(mirror.New(e, mirror.Config[textID]{Service: "a", Type: "b"})),
		"StatusColumns": errorOf(mirror.New(e, mirror.Config[noTable]{Service: "a", Type: "b"})),
		"service":       errorOf(mirror.New(e, mirror.Config[plainGadget]{Type: "b"})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one that contains %s", err, want)
		}
	}
	if err := errorOf(mirror.New(e, mirror.Config[gadget]{Service: "a", Type: "b", Remote: newGadgetRemote()})); !errors.Is(err, nawasync.ErrNoSealer) {
		t.Errorf("secret field without Config.Sealer: error = %v, want ErrNoSealer", err)
	}
}

func TestKeysAndValuesAreStoredExactlyOnEveryDatabase(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		changed := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 7*3600))
		list := []gadget{
			{Instance: "one", Name: "a"},
			{Instance: "one", Name: "A", QuotaMB: new(0)},
			{Instance: "one", Name: "é"},
			{Instance: "one", Name: "e\u0301"},
			{Instance: "one", Name: "ß", Plan: "trailing "},
			{Instance: "one", Name: "ss", Changed: &changed},
			{Instance: "One", Name: "a"},
			{Instance: "one", Name: "\u65e5\u672c"},
		}
		s.remote.Put(list...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		rows := s.rows(t)
		if len(rows) != len(list)-1 {
			t.Fatalf("rows = %v, want one for each of %d keys", sortedNames(rows), len(list)-1)
		}
		if rows["a"].QuotaMB != nil || rows["A"].QuotaMB == nil || rows["ß"].Plan != "trailing " {
			t.Errorf("rows = %+v, %+v and %+v, want a NULL quota, a quota of 0 and a trailing space", rows["a"], rows["A"], rows["ß"])
		}
		if got := rows["ss"].Changed; got == nil || !got.Equal(changed.Truncate(time.Microsecond)) {
			t.Errorf("stored time = %v, want %v in microseconds", got, changed)
		}
		second := s.sync(t)
		if result := resultOf(t, second); result.Unchanged != int64(len(list)-1) || result.Updated != 0 {
			t.Errorf("second sync = %+v, want every row unchanged", result)
		}
	})
}
