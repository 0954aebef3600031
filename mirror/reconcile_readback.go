package mirror

import (
	"encoding/json"
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
)

// readBackRows is how many rows a sync reads back to check that their columns give back what was stored.
const readBackRows = 20

// readBack reads some of the rows that this transaction has just written, and fails if a column gives
// back another value than was stored in it: every sync would find such values changed, and the changes of
// users would end in conflicts. It does so once per repository and process, with the first rows that a
// sync writes.
func (s *reconcile) readBack(tx *gorm.DB, written []listedItem, fields []*field) error {
	if len(written) == 0 || s.repo.columnsChecked.Load() {
		return nil
	}
	var sample []listedItem
	step := max(1, len(written)/readBackRows)
	for i := 0; i < len(written) && len(sample) < readBackRows; i += step {
		sample = append(sample, written[i])
	}
	rows, err := s.rowsByKey(tx, append([]string{"identity"}, columnNames(fields)...), sample)
	if err != nil {
		return err
	}
	for _, it := range sample {
		row, found := rows[it.key]
		if !found {
			continue // a trigger moved or removed it
		}
		for _, f := range fields {
			if !f.equal(row, it.value) {
				return s.repo.columnError(f, it.value, row)
			}
		}
	}
	s.repo.columnsChecked.Store(true)
	return nil
}

func columnNames(fields []*field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.column
	}
	return list
}

// columnError says that a column does not give back what was stored in it.
func (r *repo) columnError(f *field, stored, returned reflect.Value) error {
	advice := "change the type of the column"
	if better := bestType(r.engine.DB().Name(), f); better != "" {
		advice = "use " + better
	}
	return fault.WithClass(fault.ClassConfig, fmt.Errorf(
		"column %s of table %s gives back %s for %s, so every sync would find the value changed; %s, or remove a trigger that changes it; the batch was not stored",
		f.column, r.model.table, r.maskedValue(f, returned), r.maskedValue(f, stored), advice))
}

// maskedValue returns a value of a field as JSON, unless it may be a secret.
func (r *repo) maskedValue(f *field, row reflect.Value) string {
	document, err := json.Marshal(map[string]any{f.column: abbreviate(f.value(row).Interface())})
	if err != nil {
		return "…"
	}
	var masked map[string]json.RawMessage
	if json.Unmarshal(nawasync.Mask(document, r.maskKeys...), &masked) != nil {
		return "…"
	}
	return string(masked[f.column])
}
