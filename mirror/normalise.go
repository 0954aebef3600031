package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
)

// The version of a row's hash has Config.NormaliseVersion above normaliseShift bits. The bits below say
// which fields the hash covers; if they are 0, the row has only been rewritten.
const (
	normaliseShift      = 39
	maxNormaliseVersion = 1<<(63-normaliseShift) - 1
)

// useNormalise makes the model spell values as Config.Normalise does. fn may be nil.
func (m *model) useNormalise(fn func(reflect.Value), version int) error {
	switch {
	case version < 0 || version > maxNormaliseVersion:
		return fmt.Errorf("NormaliseVersion is %d; it must be 0 to %d", version, maxNormaliseVersion)
	case (fn == nil) != (version == 0):
		return errors.New("set Normalise and NormaliseVersion together; the first version is 1")
	}
	m.spell = fn
	m.version |= int64(version) << normaliseShift
	return nil
}

// normaliseFloor returns the lowest hash version with the model's NormaliseVersion.
func (m *model) normaliseFloor() int64 { return m.version >> normaliseShift << normaliseShift }

// respell spells a value as the remote does. It copies what the value refers to, because that may belong
// to the remote or to a user.
func (m *model) respell(row reflect.Value) {
	if m.spell != nil {
		row.Set(deepCopy(row))
		m.spell(row)
	}
}

// respelled returns a copy of a row that is spelled as the remote does.
func (m *model) respelled(row reflect.Value) reflect.Value {
	if m.spell == nil {
		return row
	}
	out := deepCopy(row)
	m.spell(out)
	return out
}

// checkSpelling checks that Normalise does not change a value that it has spelled, and keeps the key. All
// rows would be written by every sync otherwise.
func (m *model) checkSpelling(row reflect.Value) error {
	if m.spell == nil {
		return nil
	}
	again := m.respelled(row)
	if m.keyIdentity(again) == m.keyIdentity(row) && m.contentHash(again) == m.contentHash(row) {
		return nil
	}
	return fault.WithClass(fault.ClassConfig, fmt.Errorf("calling Config.Normalise again changes the object %.80q into %.80q, or changes its content; a value that it returned must stay as it is",
		targetText(row, m.key), targetText(again, m.key)))
}

// checkSpelling checks Config.Normalise with one object of a batch.
func (p *preparer) checkSpelling(b listingBatch) error {
	if len(b.ready) == 0 {
		return nil
	}
	return p.repo.model.checkSpelling(b.ready[0].value)
}

// checkVersion refuses a row that a newer release has spelled, so that two releases do not write the same
// rows in turns.
func (r *repo) checkVersion(version int64) error {
	stored, own := version>>normaliseShift, r.model.version>>normaliseShift
	if stored <= own {
		return nil
	}
	return fault.WithClass(fault.ClassTransient, fmt.Errorf("the rows have NormaliseVersion %d and this process has %d, so it syncs nothing; deploy the newer release to all workers, and never lower the version",
		stored, own))
}

// applyChanges sets the changed fields of want, and spells it as the remote does.
func (r *repo) applyChanges(want reflect.Value, m *mutation) error {
	for column, c := range m.Changes {
		f := r.model.byColumn[column]
		if f == nil {
			return nawasync.Permanent(fmt.Errorf("table %s no longer has the column %s", r.model.table, column))
		}
		if err := decodeField(want, f, c.To); err != nil {
			return nawasync.Permanent(err)
		}
	}
	r.model.respell(want)
	return nil
}

// sameObjectText begins the sync_error of a row whose key is that of another row.
const sameObjectText = "the same object as row "

// errSameObject ends the changes of a row whose key is that of another row, since Normalise spells both
// alike. Deleting it deletes the row only.
var errSameObject = errors.New("the object belongs to another row")

// checkSameObject checks that the object of a row does not belong to another row.
func (r *repo) checkSameObject(ctx context.Context, row reflect.Value) error {
	if r.model.spell == nil || !r.model.hasKey(row) {
		return nil
	}
	identity := r.model.keyIdentity(r.model.respelled(row))
	if r.status(row).Identity == identity {
		return nil
	}
	other := r.model.newRow()
	err := r.findRow(ctx, other.Addr(), "identity = ? AND id <> ?", identity, r.model.idOf(row))
	if errors.Is(err, nawasync.ErrNotFound) {
		return nil // no sync has rewritten the row so far
	}
	if err != nil {
		return err
	}
	return gone("%w: row %d of %s is %s%d; nothing was written", errSameObject, r.model.idOf(row), r.model.table, sameObjectText, r.model.idOf(other))
}
