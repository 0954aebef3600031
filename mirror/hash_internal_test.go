package mirror

import (
	"database/sql"
	"database/sql/driver"
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
	golden        = "42f67db3b77884e21ec03ee1935cb6a7"
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
		"null in JSON":     {func(h *hashedV1) { h.Raw = json.RawMessage(" null ") }, true},
		"an empty object":  {func(h *hashedV1) { h.Raw = json.RawMessage("{}") }, false},
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

func TestValuesOfNoCertainTypeHaveOneCanonicalForm(t *testing.T) {
	t.Parallel()
	type pair struct{ a, b any }
	text := func(v any) string { return string(appendCanonical(nil, reflect.ValueOf(&v).Elem(), false)) }
	for name, c := range map[string]pair{
		"spellings of a number": {[]any{1, 1.0, json.Number("1e0"), json.Number("0.10E+1"), uint8(1)}, json.RawMessage(`[1, 1.0, 1, 10e-1, 1.00]`)},
		"a long number":         {int64(1<<53 + 1), json.Number("9007199254740993.0")},
		"a number of JSON":      {map[string]int64{"a": 1<<62 + 1}, json.RawMessage(`{"a":4611686018427387905}`)},
		"a long fraction":       {json.Number("0.12345678901234567890"), json.Number("1234567890123456789e-19")},
		"minus zero":            {math.Copysign(0, -1), 0},
		"a huge exponent":       {json.Number("1e100000000000000000000"), json.Number("10e99999999999999999999")},
		"escapes":               {json.RawMessage(`"\u003c\u00e9\/"`), "<é/"},
		"a duplicate key":       {json.RawMessage(`{"a":1,"a":2}`), map[string]any{"a": 2}},
		"the order of keys":     {json.RawMessage(`{"b":1,"a":{"d":1,"c":2}}`), json.RawMessage(`{"a": {"c": 2, "d": 1}, "b": 1}`)},
		"no value":              {json.RawMessage(" null "), json.RawMessage{}},
		"a nil in a map":        {map[string]any{"a": nil}, json.RawMessage(`{"a":null}`)},
		"a struct":              {struct{ A time.Time }{time.Unix(0, 0).UTC()}, map[string]any{"A": "1970-01-01T00:00:00Z"}},
	} {
		if text(c.a) != text(c.b) {
			t.Errorf("%s: %s differs from %s", name, text(c.a), text(c.b))
		}
	}
	for name, c := range map[string]pair{
		"numbers beyond 2^53":   {int64(1<<53 + 1), int64(1 << 53)},
		"a number and its text": {1, "1"},
		"null and no entry":     {map[string]any{"a": nil}, map[string]any{}},
		"null and an object":    {json.RawMessage("null"), json.RawMessage("{}")},
		"signs":                 {-1, 1},
		"powers of ten":         {100, 10},
		"invalid JSON":          {json.RawMessage("abc"), json.RawMessage(`"abc"`)},
	} {
		if text(c.a) == text(c.b) {
			t.Errorf("%s: both are %s", name, text(c.a))
		}
	}
}

// labels is stored as JSON by its own methods.
type labels map[string]any

func (l labels) Value() (driver.Value, error) { return json.Marshal(l) }

func TestValueThatIsStoredAsJSONIsComparedAsJSON(t *testing.T) {
	t.Parallel()
	text := func(v any) string { return string(appendCanonical(nil, reflect.ValueOf(v), false)) }
	if a, b := text(labels{"a": int64(1), "b": nil}), text(labels{"b": nil, "a": json.Number("1.0")}); a != b {
		t.Errorf("%s differs from %s", a, b)
	}
	a, b := text(sql.NullString{String: `{"a":1}`, Valid: true}), text(sql.NullString{String: `{"a": 1}`, Valid: true})
	if a == b {
		t.Errorf("two texts are both %s", a)
	}
}
