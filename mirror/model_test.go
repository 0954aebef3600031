package mirror_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

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
		s.remote.Put(list...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
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
