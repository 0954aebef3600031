package mirror

import (
	"errors"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync/internal/host"
)

// Internals gives package nawasynctest access to the fields of the snapshot struct. Only this module can make a
// valid key; another one is an error, as are struct tags that New refuses.
func (c Config[T]) Internals(key host.Key) (host.Snapshot, error) {
	if !key.Valid() {
		return host.Snapshot{}, errors.New("mirror.Config.Internals is for package nawasynctest")
	}
	var sample T
	m, err := newModel(&gorm.DB{Config: &gorm.Config{NamingStrategy: schema.NamingStrategy{}}}, &sample)
	if err != nil {
		return host.Snapshot{}, err
	}
	if c.Normalise != nil {
		m.spell = func(v reflect.Value) { c.Normalise(v.Addr().Interface().(*T)) }
	}
	return host.Snapshot{
		Accepted: acceptedHandle,
		Scope:    snapshotFields(m.scope), Key: snapshotFields(m.key), Natural: snapshotFields(m.natural), Content: snapshotFields(m.content),
		Observed: snapshotFields(m.observed), Secrets: snapshotFields(m.secrets),
		Normalised: func(value reflect.Value) reflect.Value {
			out := deepCopy(value)
			m.normalise(out)
			return out
		},
	}, nil
}

func snapshotFields(fields []*field) (list []host.SnapshotField) {
	for _, f := range fields {
		list = append(list, host.SnapshotField{
			Column: f.column, Group: f.group, In: f.value, Equal: f.equal,
			Text: func(value reflect.Value) string { return keyPart(f.value(value)) },
		})
	}
	return list
}
