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

func hashOf(t *testing.T, m *model, sample any) string {
	t.Helper()
	v := reflect.ValueOf(sample).Elem()
	m.normalise(v)
	return m.contentHash(v)
}

// The hash of a row must not change from release to release: every row would seem to
// have been changed. Who changes it on purpose raises hashAlgorithm.
func TestContentHashIsTheSameAsEver(t *testing.T) {
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
		t.Errorf("the hash is %s of version %d", got, m.version)
	}
}

const (
	golden        = "b990526ec9d9d6e7135259aee7c4d64b"
	goldenVersion = 503421329153
)

func TestContentHashTellsWhatDiffersAndNothingElse(t *testing.T) {
	t.Parallel()
	m, err := newModel(testdb.SQLite(t).DB, &hashedV1{})
	if err != nil {
		t.Fatal(err)
	}
	zero, moment := 0, time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	base := func() *hashedV1 { return &hashedV1{Since: moment, Tags: []string{"a", "b"}, Order: []string{"a", "b"}} }
	for what, c := range map[string]struct {
		change func(*hashedV1)
		same   bool
	}{
		"nanoseconds":      {func(h *hashedV1) { h.Since = moment.Add(999) }, true},
		"another zone":     {func(h *hashedV1) { h.Since = moment.In(time.FixedZone("", 25200)) }, true},
		"a microsecond":    {func(h *hashedV1) { h.Since = moment.Add(time.Microsecond) }, false},
		"minus zero":       {func(h *hashedV1) { h.Rate = math.Copysign(0, -1) }, true},
		"NULL against 0":   {func(h *hashedV1) { h.Count = &zero }, false},
		"a set's order":    {func(h *hashedV1) { h.Tags = []string{"b", "a", "a"} }, true},
		"a list's order":   {func(h *hashedV1) { h.Order = []string{"b", "a"} }, false},
		"spaces in JSON":   {func(h *hashedV1) { h.Raw = json.RawMessage(" null ") }, false},
		"an observed one":  {func(h *hashedV1) { h.Used = 9 }, true},
		"the key":          {func(h *hashedV1) { h.Name = "other" }, true},
		"its sync status":  {func(h *hashedV1) { h.State = nawasync.StateFailed }, true},
		"bytes not UTF-8":  {func(h *hashedV1) { h.Tags = []string{"a", "b", "\xff"} }, false},
		"texts that merge": {func(h *hashedV1) { h.Order = []string{"a\",\"b"} }, false},
	} {
		row := base()
		c.change(row)
		if same := hashOf(t, m, row) == hashOf(t, m, base()); same != c.same {
			t.Errorf("%s: same is %v", what, same)
		}
	}
}
