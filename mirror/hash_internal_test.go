package mirror

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
)

type hashedV1 struct {
	ID    uint64
	Name  string `sync:"key"`
	Count *int
	Rate  float64
	Since time.Time
	Tags  []string        `gorm:"serializer:json" sync:"set"`
	Order []string        `gorm:"serializer:json"`
	Raw   json.RawMessage `gorm:"type:text"`
	On    bool
	Used  int64 `sync:"observed"`
	nawasync.SyncStatus
}

// hashOf normalises a sample row and returns its content hash.
func hashOf(t *testing.T, m *model, sample any) string {
	t.Helper()
	v := reflect.ValueOf(sample).Elem()
	m.normalise(v)
	return m.contentHash(v)
}

// If a release changed how the content hash is computed, every row would look changed to the next
// sync. To change it on purpose, raise hashAlgorithm and update the golden values.
func TestContentHashIsStableAcrossReleases(t *testing.T) {
	t.Parallel()
	m, err := newModel(testdb.SQLite(t).DB, &hashedV1{})
	if err != nil {
		t.Fatal(err)
	}
	three := 3
	row := &hashedV1{
		Name: "n", Count: &three, Rate: 0.1, Since: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), Tags: []string{"b", "a", "b"},
		Order: []string{"y", "x"}, Raw: json.RawMessage(`{"b": 1.50, "a": [null]}`), On: true, Used: 7,
	}
	if got := hashOf(t, m, row); got != golden || m.version != goldenVersion {
		t.Errorf("hash = %s with version %d, want %s with version %d", got, m.version, golden, goldenVersion)
	}
}

const (
	golden        = "b990526ec9d9d6e7135259aee7c4d64b"
	goldenVersion = 503421329154
)

func TestContentHashChangesOnlyWithTheContent(t *testing.T) {
	t.Parallel()
	m, err := newModel(testdb.SQLite(t).DB, &hashedV1{})
	if err != nil {
		t.Fatal(err)
	}
	zero, since := 0, time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	base := func() *hashedV1 { return &hashedV1{Since: since, Tags: []string{"a", "b"}, Order: []string{"a", "b"}} }
	for name, c := range map[string]struct {
		change func(*hashedV1)
		equal  bool // whether the hash stays equal
	}{
		"nanoseconds":      {func(h *hashedV1) { h.Since = since.Add(999) }, true},
		"another zone":     {func(h *hashedV1) { h.Since = since.In(time.FixedZone("", 25200)) }, true},
		"a microsecond":    {func(h *hashedV1) { h.Since = since.Add(time.Microsecond) }, false},
		"minus zero":       {func(h *hashedV1) { h.Rate = math.Copysign(0, -1) }, true},
		"0 for NULL":       {func(h *hashedV1) { h.Count = &zero }, false},
		"order in a set":   {func(h *hashedV1) { h.Tags = []string{"b", "a", "a"} }, true},
		"order in a list":  {func(h *hashedV1) { h.Order = []string{"b", "a"} }, false},
		"spaces in JSON":   {func(h *hashedV1) { h.Raw = json.RawMessage(" null ") }, false},
		"observed field":   {func(h *hashedV1) { h.Used = 9 }, true},
		"the key":          {func(h *hashedV1) { h.Name = "other" }, true},
		"the sync status":  {func(h *hashedV1) { h.State = nawasync.StateFailed }, true},
		"invalid UTF-8":    {func(h *hashedV1) { h.Tags = []string{"a", "b", "\xff"} }, false},
		"quotes in a list": {func(h *hashedV1) { h.Order = []string{"a\",\"b"} }, false},
	} {
		row := base()
		c.change(row)
		if equal := hashOf(t, m, row) == hashOf(t, m, base()); equal != c.equal {
			t.Errorf("%s: hash stays equal = %v, want %v", name, equal, c.equal)
		}
	}
}
