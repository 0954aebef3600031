package mirror_test

import (
	"encoding/json"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

type wireRecord struct {
	ID       uint64
	Zone     string          `sync:"scope"`
	Remote   string          `sync:"key"`
	Name     string          `sync:"natural"            wire:"name"`
	Type     string          `sync:"group=data"         wire:"type"`
	Content  string          `sync:"group=data"         wire:"content"`
	Priority *int            `wire:"priority,omitempty"`
	TTL      *int            `gorm:"column:ttl"         wire:"ttl"`
	Tags     []string        `gorm:"serializer:json"    wire:"tags"`
	Note     string          // no call sends it
	Password nawasync.Secret `gorm:"-" sync:"secret" wire:"pass"`
	nawasync.SyncStatus
}

func TestWireHasTheValuesOfACall(t *testing.T) {
	t.Parallel()
	w, err := mirror.NewWire[wireRecord]()
	if err != nil {
		t.Fatal(err)
	}
	record := wireRecord{Name: "www", Type: "A", Content: "192.0.2.1", Password: nawasync.NewSecret("s3cret")}
	diff := func(columns ...string) (d mirror.FieldDiff) {
		for _, c := range columns {
			d = append(d, mirror.FieldChange{Field: c})
		}
		return d
	}
	check := func(what, want string, got map[string]any, err error) {
		t.Helper()
		text, _ := json.Marshal(got)
		if err != nil || string(text) != want {
			t.Errorf("%s: %s and %v, want %s", what, text, err, want)
		}
	}
	got, err := w.Changed(record, diff("name"))
	check("one field", `{"name":"www"}`, got, err)
	got, err = w.Changed(record, diff("content", "ttl", "priority", "tags"))
	check("a group and empty values", `{"content":"192.0.2.1","tags":[],"ttl":null,"type":"A"}`, got, err)
	got, err = w.Changed(record, diff("password"))
	check("a secret", `{"pass":"s3cret"}`, got, err)
	got, err = w.All(record)
	check("all", `{"content":"192.0.2.1","name":"www","pass":"s3cret","tags":[],"ttl":null,"type":"A"}`, got, err)
	record.Password, record.Priority = nawasync.Secret{}, new(0)
	got, err = w.All(record)
	check("priority 0", `{"content":"192.0.2.1","name":"www","priority":0,"tags":[],"ttl":null,"type":"A"}`, got, err)
	if _, err := w.Changed(record, diff("note")); fault.ClassOf(err) != fault.ClassPermanent {
		t.Errorf("a field without a name: %v, want a permanent error", err)
	}
}

func TestWireRefusesWrongTags(t *testing.T) {
	t.Parallel()
	if _, err := mirror.NewWire[struct {
		ID   uint64
		Name string `sync:"key" wire:",omitempty"`
		nawasync.SyncStatus
	}](); err == nil {
		t.Error("a tag without a name is accepted")
	}
	if _, err := mirror.NewWire[struct{ ID uint64 }](); err == nil {
		t.Error("a struct that is no snapshot is accepted")
	}
}
