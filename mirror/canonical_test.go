package mirror_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// document is an object with values of no certain type.
type document struct {
	ID       uint64
	Realm    string          `sync:"scope"`
	Name     string          `sync:"key"`
	Settings map[string]any  `gorm:"serializer:json"`
	Any      any             `gorm:"serializer:json;column:any_value"`
	Text     json.RawMessage `gorm:"column:text_value"`
	Binary   json.RawMessage `gorm:"column:binary_value"`
	Optional *json.RawMessage
	Title    string
	nawasync.SyncStatus
}

// newDocuments returns a repository with columns for JSON of the database's own type and of text.
func newDocuments(t *testing.T, db *testdb.Database, list ...document) (*mapRemote[document], *mirrored[document]) {
	t.Helper()
	remote := &mapRemote[document]{
		objects: map[string]document{},
		keyOf:   func(d document) string { return d.Name },
		find:    func(_ map[string]document, key document) string { return key.Name },
	}
	remote.put(list...)
	binary := map[string]string{"postgres": "JSONB", "mysql": "JSON", "sqlite": "JSON"}[db.Dialect]
	columns := "realm TEXT NOT NULL, name TEXT NOT NULL, settings BINARY, any_value TEXT, text_value TEXT, binary_value BINARY, optional BINARY, title TEXT"
	return remote, newMirrored[document](t, db, "documents", strings.ReplaceAll(columns, "BINARY", binary), remote)
}

var documents = document{Realm: "r"}

const beyondFloat = 1<<53 + 1 // a float64 cannot hold this number

func sampleDocument() document {
	optional := json.RawMessage(`[1.0, {"b":1,"a":"\u00e9"}]`)
	return document{
		Realm: "r", Name: "doc", Title: "old",
		Settings: map[string]any{"id": int64(beyondFloat), "rate": json.Number("1.50"), "max": uint64(1<<64 - 1), "off": false, "none": nil},
		Any:      []any{1, 2.0, "é", map[string]any{"b": 1e21, "a": int8(3)}},
		Text:     json.RawMessage(`{"b": 1.0e2, "a": 9007199254740993, "a": 9007199254740995}`),
		Binary:   json.RawMessage(`{"z": 1.50, "aa": [null, true], "b": 9007199254740993}`),
		Optional: &optional,
	}
}

func TestDocumentIsUnchangedByItsColumns(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newDocuments(t, db, sampleDocument())
		m.sync(documents)
		second := resultOf(t, m.sync(documents))
		if second.Unchanged != 1 || second.Updated != 0 || len(second.Drifted) != 0 {
			t.Errorf("second sync = %+v, want the row unchanged", second)
		}
		changed := sampleDocument()
		changed.Settings = map[string]any{"none": nil, "off": false, "max": json.Number("18446744073709551615"), "rate": 1.5, "id": json.Number("9007199254740993.0")}
		changed.Text = json.RawMessage(`{"a":9007199254740995,"b":100}`)
		remote.put(changed)
		if again := resultOf(t, m.sync(documents)); again.Unchanged != 1 {
			t.Errorf("sync of the same document in another spelling = %+v, want the row unchanged", again)
		}
		changed.Settings["id"] = int64(beyondFloat + 1)
		remote.put(changed)
		if again := resultOf(t, m.sync(documents)); again.Drifted["settings"] != 1 {
			t.Errorf("sync after a number beyond 2^53 changed by 1 = %+v, want drift of the settings", again)
		}
	})
}

func TestNumberBeyondAFloatSurvivesAChangeOfAnotherEntry(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newDocuments(t, db, sampleDocument())
		m.sync(documents)
		row := m.rows()[0]
		if got, ok := row.Settings["id"].(json.Number); !ok || got != "9007199254740993" {
			t.Fatalf("settings.id = %#v, want json.Number(9007199254740993)", row.Settings["id"])
		}
		if row.Settings["rate"] != 1.5 {
			t.Errorf("settings.rate = %#v, want the float64 1.5", row.Settings["rate"])
		}
		updating := m.drain(m.Update(t.Context(), row, func(d *document) {
			d.Settings["off"] = true
			d.Settings["next"] = int64(beyondFloat + 2)
		}, byUser))
		m.ends(updating, tracker.StatusSuccess, "")
		text, err := json.Marshal(remote.objects["doc"].Settings)
		enginetest.NoError(t, err)
		for _, part := range []string{`"id":9007199254740993`, `"next":9007199254740995`, `"off":true`} {
			if !strings.Contains(string(text), part) {
				t.Errorf("the remote has the settings %s, want %s in them", text, part)
			}
		}
		var column string
		enginetest.NoError(t, db.Raw("SELECT settings FROM documents").Row().Scan(&column))
		if !strings.Contains(column, "9007199254740993") || !strings.Contains(column, "9007199254740995") {
			t.Errorf("the row has the settings %s, want both long numbers", column)
		}
		m.ends(m.drain(m.Delete(t.Context(), m.rows()[0], byUser)), tracker.StatusSuccess, "")
	})
}

func TestDocumentThatIsNullIsStoredAsNULL(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		null := json.RawMessage(" null ")
		remote, m := newDocuments(t, db, document{Realm: "r", Name: "doc", Text: null, Binary: json.RawMessage{}, Optional: &null})
		m.sync(documents)
		nulls := func() (n int64) {
			t.Helper()
			enginetest.NoError(t, db.Raw("SELECT COUNT(*) FROM documents WHERE text_value IS NULL AND binary_value IS NULL AND optional IS NULL AND settings IS NULL AND any_value IS NULL").Scan(&n).Error)
			return n
		}
		if nulls() != 1 {
			t.Error("a column is not NULL")
		}
		remote.put(document{Realm: "r", Name: "doc"})
		if again := resultOf(t, m.sync(documents)); again.Unchanged != 1 {
			t.Errorf("sync of nil instead of null = %+v, want the row unchanged", again)
		}
		m.ends(m.drain(m.Update(t.Context(), m.rows()[0], func(d *document) { d.Title = "new" }, byUser)), tracker.StatusSuccess, "")
		if nulls() != 1 {
			t.Error("after an update, a column is not NULL any more")
		}
		m.ends(m.drain(m.Update(t.Context(), m.rows()[0], func(d *document) { d.Text = json.RawMessage("{}") }, byUser)), tracker.StatusSuccess, "")
		if got := string(remote.objects["doc"].Text); got != "{}" {
			t.Errorf("the remote has %q, want an empty object, which differs from none", got)
		}
		m.ends(m.drain(m.Update(t.Context(), m.rows()[0], func(d *document) { d.Text = nil }, byUser)), tracker.StatusSuccess, "")
		if nulls() != 1 {
			t.Error("after a document was removed, its column is not NULL")
		}
		m.ends(m.drain(m.Create(t.Context(), document{Realm: "r", Name: "other", Binary: json.RawMessage{}}, byUser)), tracker.StatusSuccess, "")
	})
}

// hostName is a text whose type says that case and a dot at the end have no meaning.
type hostName string

func (h hostName) MarshalText() ([]byte, error) {
	return []byte(strings.TrimSuffix(strings.ToLower(string(h)), ".")), nil
}

// mapper is an element that the remote gives an id.
type mapper struct {
	ID    string `json:"id,omitempty"`
	Name  string `json:"name"`
	Claim string `json:"claim"`
}

// Canonical leaves out the id.
func (m mapper) Canonical() any { return mapper{Name: m.Name, Claim: m.Claim} }

// flags is a map in which false is the same as no entry.
type flags map[string]bool

// Canonical leaves out what is false.
func (f flags) Canonical() any {
	on := flags{}
	for name, value := range f {
		if value {
			on[name] = true
		}
	}
	return on
}

type client struct {
	ID      uint64
	Realm   string `sync:"scope"`
	Name    string `sync:"key"`
	Host    hostName
	Flags   flags    `gorm:"serializer:json"`
	Mappers []mapper `gorm:"serializer:json" sync:"set"`
	nawasync.SyncStatus
}

// clientRemote stores host names in its own spelling, drops what is false and gives mappers ids.
type clientRemote struct{ *mapRemote[client] }

func (r clientRemote) Update(ctx context.Context, current mirror.Object[client], want client, touched mirror.FieldDiff) (mirror.Object[client], error) {
	want.Host = hostName(strings.ToUpper(string(want.Host)))
	want.Flags = want.Flags.Canonical().(flags)
	var mappers []mapper
	for i := range want.Mappers {
		m := want.Mappers[len(want.Mappers)-1-i]
		m.ID = "m-" + m.Name
		mappers = append(mappers, m)
	}
	want.Mappers = mappers
	return r.mapRemote.Update(ctx, current, want, touched)
}

func (r clientRemote) List(ctx context.Context, scope client, detail string) iter.Seq2[mirror.Page[client], error] {
	return r.mapRemote.List(ctx, scope, detail)
}

func TestTypeDecidesWhichOfItsValuesAreEqual(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := clientRemote{&mapRemote[client]{
			objects: map[string]client{},
			keyOf:   func(c client) string { return c.Name },
			find:    func(_ map[string]client, key client) string { return key.Name },
		}}
		remote.put(client{Realm: "r", Name: "app", Host: "old.example.com.", Mappers: []mapper{{"m-1", "email", "email"}}})
		m := newMirrored[client](t, db, "clients", "realm TEXT NOT NULL, name TEXT NOT NULL, host TEXT NOT NULL, flags TEXT, mappers TEXT", remote)
		m.sync(client{Realm: "r"})
		for name, change := range map[string]func(c *client){
			"a spelling": func(c *client) { c.Host = "Target.example.com" },
			"a false":    func(c *client) { c.Flags = flags{"flatten": true, "ipv4_only": false} },
			"an element": func(c *client) { c.Mappers = append(c.Mappers, mapper{Name: "phone", Claim: "phone"}) },
		} {
			updating := m.drain(m.Update(t.Context(), m.rows()[0], change, byUser))
			if updating.Status != tracker.StatusSuccess {
				t.Errorf("%s: the update is %s (%s)", name, updating.Status, updating.Error)
			}
		}
		got := remote.objects["app"]
		got.Host, got.Mappers = "target.EXAMPLE.com.", []mapper{{"7", "email", "email"}, {"8", "phone", "phone"}}
		remote.put(got)
		if result := resultOf(t, m.sync(client{Realm: "r"})); result.Unchanged != 1 || len(result.Drifted) != 0 {
			t.Errorf("sync of another spelling = %+v, want the row unchanged", result)
		}
		row := m.rows()[0]
		if job, err := m.Update(t.Context(), row, func(c *client) { c.Host = "TARGET.example.com" }, byUser); err == nil {
			t.Errorf("update to another spelling = job %d, want %v", job.ID, nawasync.ErrUnchanged)
		}
		if got := fmt.Sprint(row.Mappers); !strings.Contains(got, "m-phone") {
			t.Errorf("the row has the mappers %s, want them with the remote's ids", got)
		}
	})
}
